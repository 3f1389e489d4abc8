#include "state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksum.h"

#define FORMAT_VERSION 2
/* Sizes that no state has; a head that claims more is damaged. */
#define TOKENS_MAX (1 << 28)
#define CHECKPOINTS_MAX (1 << 16)
#define NAME_MAX_LEN 128

static const char magic[8] = {'L', 'C', 'R', 'T', 'S', 'T', 'A', 'T'};

/* The first bytes of a file; tokens and checkpoint_records follow. */
typedef struct head_record {
    char magic[8];
    uint32_t format;
    uint32_t byte_order;
    lcrt_state_key key;
    uint64_t set;
    int32_t n_tokens;
    int32_t n_checkpoints;
    uint64_t len; /* of the whole content */
    uint64_t file_len;
    uint64_t sum; /* of the head with 0 here, and of what follows up to the content */
} head_record;

typedef struct checkpoint_record {
    int64_t n_tokens;
    uint64_t len;
} checkpoint_record;

typedef struct state_writer {
    int fd;
    lcrt_checksum sum;
} state_writer;

static lcrt_status put(state_writer *out, const void *data, size_t len) {
    lcrt_checksum_add(&out->sum, data, len);
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(out->fd, at, len < ((size_t)1 << 30) ? len : (size_t)1 << 30);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return LCRT_ERR_IO;
        }
        at += n;
        len -= (size_t)n;
    }
    return LCRT_OK;
}

static lcrt_status get(int fd, void *data, size_t len) {
    char *at = data;
    while (len > 0) {
        ssize_t n = read(fd, at, len < ((size_t)1 << 30) ? len : (size_t)1 << 30);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? LCRT_ERR_FORMAT : LCRT_ERR_IO;
        }
        at += n;
        len -= (size_t)n;
    }
    return LCRT_OK;
}

static uint64_t head_len(int32_t n_tokens, int32_t n_checkpoints) {
    return sizeof(head_record) + (uint64_t)n_tokens * sizeof(int32_t) +
           (uint64_t)n_checkpoints * sizeof(checkpoint_record);
}

static checkpoint_record *records_of(const lcrt_state *state) {
    size_t n = (size_t)state->checkpoints.n;
    checkpoint_record *records = calloc(n + 1, sizeof(*records));
    for (size_t i = 0; records != NULL && i < n; i++) {
        records[i].n_tokens = state->checkpoints.items[i]->n_tokens;
        records[i].len = state->checkpoints.items[i]->len;
    }
    return records;
}

static head_record head_of(const lcrt_state_key *key, const lcrt_state *state, const checkpoint_record *records) {
    head_record head;
    memset(&head, 0, sizeof(head));
    memcpy(head.magic, magic, sizeof(magic));
    head.format = FORMAT_VERSION;
    head.byte_order = 0x01020304;
    head.key = *key;
    head.set = state->set;
    head.n_tokens = state->n_tokens;
    head.n_checkpoints = state->checkpoints.n;
    head.len = state->len;
    head.file_len = head_len(head.n_tokens, head.n_checkpoints) + state->len +
                    lcrt_checkpoints_len(&state->checkpoints) + sizeof(uint64_t);
    lcrt_checksum sum;
    lcrt_checksum_init(&sum);
    lcrt_checksum_add(&sum, &head, sizeof(head));
    lcrt_checksum_add(&sum, state->tokens, (size_t)state->n_tokens * sizeof(int32_t));
    lcrt_checksum_add(&sum, records, (size_t)state->checkpoints.n * sizeof(*records));
    head.sum = lcrt_checksum_get(&sum);
    return head;
}

static lcrt_status put_state(state_writer *out, const lcrt_state_key *key, const lcrt_state *state) {
    checkpoint_record *records = records_of(state);
    if (records == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    head_record head = head_of(key, state, records);
    lcrt_status status = put(out, &head, sizeof(head));
    if (status == LCRT_OK) {
        status = put(out, state->tokens, (size_t)state->n_tokens * sizeof(int32_t));
    }
    if (status == LCRT_OK) {
        status = put(out, records, (size_t)state->checkpoints.n * sizeof(*records));
    }
    free(records);
    if (status == LCRT_OK) {
        status = put(out, state->data, state->len);
    }
    for (int32_t i = 0; status == LCRT_OK && i < state->checkpoints.n; i++) {
        status = put(out, state->checkpoints.items[i]->data, state->checkpoints.items[i]->len);
    }
    uint64_t sum = lcrt_checksum_get(&out->sum);
    return status == LCRT_OK ? put(out, &sum, sizeof(sum)) : status;
}

lcrt_status lcrt_state_file_write(int folder, const char *name, const lcrt_state_key *key, const lcrt_state *state) {
    char other[NAME_MAX_LEN];
    if (snprintf(other, sizeof(other), "%s.%ld" LCRT_STATE_TEMPORARY, name, (long)getpid()) >= (int)sizeof(other)) {
        return LCRT_ERR_INVALID;
    }
    (void)unlinkat(folder, other, 0);
    state_writer out = {.fd = openat(folder, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (out.fd < 0) {
        return LCRT_ERR_IO;
    }
    lcrt_checksum_init(&out.sum);
    lcrt_status status = put_state(&out, key, state);
    if (status == LCRT_OK && fsync(out.fd) != 0) {
        status = LCRT_ERR_IO;
    }
    if (close(out.fd) != 0 && status == LCRT_OK) {
        status = LCRT_ERR_IO;
    }
    if (status == LCRT_OK && renameat(folder, other, folder, name) != 0) {
        status = LCRT_ERR_IO;
    }
    if (status != LCRT_OK) {
        (void)unlinkat(folder, other, 0);
    } else {
        (void)fsync(folder);
    }
    return status;
}

/* Opens a plain file and tells its size. */
static int open_file(int folder, const char *name, uint64_t *len) {
    struct stat facts;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))) {
        (void)close(fd);
        return -1;
    }
    *len = fd >= 0 ? (uint64_t)facts.st_size : 0;
    return fd;
}

static bool sensible(const head_record *head, uint64_t len) {
    bool ours = memcmp(head->magic, magic, sizeof(magic)) == 0 && head->format == FORMAT_VERSION &&
                head->byte_order == 0x01020304;
    bool counts = head->n_tokens > 0 && head->n_tokens <= TOKENS_MAX && head->n_checkpoints >= 0 &&
                  head->n_checkpoints <= CHECKPOINTS_MAX;
    return ours && counts && head->file_len == len && head->len <= len &&
           head_len(head->n_tokens, head->n_checkpoints) + sizeof(uint64_t) <= len;
}

/* Lengths in the head add up to the file's, and the checkpoints are in order. */
static bool adds_up(const head_record *head, const checkpoint_record *records) {
    uint64_t len = head_len(head->n_tokens, head->n_checkpoints) + sizeof(uint64_t);
    uint64_t left = head->file_len - len;
    if (head->len > left) {
        return false;
    }
    left -= head->len;
    int64_t before = 0;
    for (int32_t i = 0; i < head->n_checkpoints; i++) {
        if (records[i].len > left || records[i].n_tokens <= before || records[i].n_tokens > head->n_tokens) {
            return false;
        }
        left -= records[i].len;
        before = records[i].n_tokens;
    }
    return left == 0;
}

typedef struct state_reader {
    int fd;
    head_record head;
    int32_t *tokens;
    checkpoint_record *records;
    lcrt_checksum sum;
} state_reader;

/* Reads the head and what belongs to it, and checks it. */
static lcrt_status read_head(state_reader *in, uint64_t len) {
    head_record *head = &in->head;
    if (len < sizeof(*head)) {
        return LCRT_ERR_FORMAT;
    }
    lcrt_status status = get(in->fd, head, sizeof(*head));
    if (status != LCRT_OK || !sensible(head, len)) {
        return status == LCRT_OK ? LCRT_ERR_FORMAT : status;
    }
    size_t tokens_len = (size_t)head->n_tokens * sizeof(int32_t);
    size_t records_len = (size_t)head->n_checkpoints * sizeof(checkpoint_record);
    in->tokens = malloc(tokens_len);
    in->records = malloc(records_len + 1);
    if (in->tokens == NULL || in->records == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    status = get(in->fd, in->tokens, tokens_len);
    if (status == LCRT_OK) {
        status = get(in->fd, in->records, records_len);
    }
    if (status != LCRT_OK) {
        return status;
    }
    lcrt_checksum_init(&in->sum);
    lcrt_checksum_add(&in->sum, head, sizeof(*head));
    head_record bare = *head;
    bare.sum = 0;
    lcrt_checksum sum;
    lcrt_checksum_init(&sum);
    lcrt_checksum_add(&sum, &bare, sizeof(bare));
    lcrt_checksum_add(&sum, in->tokens, tokens_len);
    lcrt_checksum_add(&sum, in->records, records_len);
    lcrt_checksum_add(&in->sum, in->tokens, tokens_len);
    lcrt_checksum_add(&in->sum, in->records, records_len);
    return lcrt_checksum_get(&sum) == head->sum && adds_up(head, in->records) ? LCRT_OK : LCRT_ERR_FORMAT;
}

static void end_reading(state_reader *in) {
    free(in->tokens);
    free(in->records);
    (void)close(in->fd);
}

lcrt_status lcrt_state_file_peek(int folder, const char *name, lcrt_state_head *out) {
    uint64_t len;
    state_reader in = {.fd = open_file(folder, name, &len)};
    if (in.fd < 0) {
        return LCRT_ERR_IO;
    }
    lcrt_status status = read_head(&in, len);
    int32_t n_stops = in.head.n_checkpoints;
    int32_t *stops = status == LCRT_OK ? malloc((size_t)n_stops * sizeof(*stops) + 1) : NULL;
    if (status == LCRT_OK && stops == NULL) {
        status = LCRT_ERR_NO_MEMORY;
    }
    if (status == LCRT_OK) {
        for (int32_t i = 0; i < n_stops; i++) {
            stops[i] = (int32_t)in.records[i].n_tokens;
        }
        *out = (lcrt_state_head){.key = in.head.key,
                                 .set = in.head.set,
                                 .tokens = in.tokens,
                                 .n_tokens = in.head.n_tokens,
                                 .stops = stops,
                                 .n_stops = n_stops,
                                 .file_len = (int64_t)len};
        in.tokens = NULL;
    }
    end_reading(&in);
    return status;
}

static lcrt_status read_checkpoints(state_reader *in, lcrt_state *state) {
    for (int32_t i = 0; i < in->head.n_checkpoints; i++) {
        const checkpoint_record *record = &in->records[i];
        lcrt_checkpoint *checkpoint = lcrt_checkpoint_new((int32_t)record->n_tokens, (size_t)record->len);
        if (checkpoint == NULL) {
            return LCRT_ERR_NO_MEMORY;
        }
        lcrt_status status = get(in->fd, checkpoint->data, checkpoint->len);
        if (status != LCRT_OK) {
            lcrt_checkpoint_free(checkpoint);
            return status;
        }
        lcrt_checksum_add(&in->sum, checkpoint->data, checkpoint->len);
        status = lcrt_checkpoints_put(&state->checkpoints, checkpoint);
        if (status != LCRT_OK) {
            return status;
        }
    }
    return LCRT_OK;
}

static lcrt_status read_content(state_reader *in, lcrt_state **out) {
    lcrt_state *state;
    lcrt_status status = lcrt_state_init(in->tokens, in->head.n_tokens, (size_t)in->head.len, &state);
    if (status != LCRT_OK) {
        return status;
    }
    state->set = in->head.set;
    status = get(in->fd, state->data, state->len);
    if (status == LCRT_OK) {
        lcrt_checksum_add(&in->sum, state->data, state->len);
        status = read_checkpoints(in, state);
    }
    uint64_t sum = 0;
    if (status == LCRT_OK) {
        status = get(in->fd, &sum, sizeof(sum));
    }
    if (status == LCRT_OK && sum != lcrt_checksum_get(&in->sum)) {
        status = LCRT_ERR_FORMAT;
    }
    if (status != LCRT_OK) {
        lcrt_state_free(state);
        return status;
    }
    *out = state;
    return LCRT_OK;
}

lcrt_status lcrt_state_file_read(int folder, const char *name, const lcrt_state_key *key, lcrt_state **out) {
    uint64_t len;
    state_reader in = {.fd = open_file(folder, name, &len)};
    if (in.fd < 0) {
        return LCRT_ERR_IO;
    }
    lcrt_status status = read_head(&in, len);
    if (status == LCRT_OK && memcmp(&in.head.key, key, sizeof(*key)) != 0) {
        status = LCRT_ERR_FORMAT;
    }
    if (status == LCRT_OK) {
        status = read_content(&in, out);
    }
    end_reading(&in);
    return status;
}
