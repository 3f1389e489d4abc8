#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../core/state-file.h"
#include "folder.h"

static const lcrt_state_key key = {.version = 1, .model = 2, .setup = 3};

/* n tokens, len bytes and two checkpoints, all of them made from seed. */
static lcrt_state *make(uint64_t seed, int32_t n, size_t len) {
    int32_t tokens[64];
    REQUIRE(n >= 4 && n <= 64);
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = test_between(&seed, 0, 50000);
    }
    lcrt_state *state;
    REQUIRE(lcrt_state_init(tokens, n, len, &state) == LCRT_OK);
    state->set = test_random(&seed);
    for (size_t i = 0; i < len; i++) {
        state->data[i] = (uint8_t)test_random(&seed);
    }
    for (int32_t i = 1; i <= 2; i++) {
        lcrt_checkpoint *checkpoint = lcrt_checkpoint_new(i * n / 2, 7 * (size_t)i);
        REQUIRE(checkpoint != NULL);
        memset(checkpoint->data, i, checkpoint->len);
        REQUIRE(lcrt_checkpoints_put(&state->checkpoints, checkpoint) == LCRT_OK);
    }
    return state;
}

static bool same(const lcrt_state *a, const lcrt_state *b) {
    bool equal = a->set == b->set && a->n_tokens == b->n_tokens && a->len == b->len &&
                 a->checkpoints.n == b->checkpoints.n &&
                 memcmp(a->tokens, b->tokens, (size_t)a->n_tokens * sizeof(int32_t)) == 0 &&
                 memcmp(a->data, b->data, a->len) == 0;
    for (int32_t i = 0; equal && i < a->checkpoints.n; i++) {
        const lcrt_checkpoint *x = a->checkpoints.items[i], *y = b->checkpoints.items[i];
        equal = x->n_tokens == y->n_tokens && x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
    }
    return equal;
}

static void write_one(const test_folder *folder, uint64_t seed) {
    lcrt_state *state = make(seed, 20, 100);
    REQUIRE(lcrt_state_file_write(folder->fd, "one", &key, state) == LCRT_OK);
    lcrt_state_free(state);
}

static lcrt_status read_one(const test_folder *folder) {
    lcrt_state *state = NULL;
    lcrt_status status = lcrt_state_file_read(folder->fd, "one", &key, &state);
    CHECK((status == LCRT_OK) == (state != NULL));
    lcrt_state_free(state);
    return status;
}

static lcrt_status peek_one(const test_folder *folder) {
    lcrt_state_head head = {0};
    lcrt_status status = lcrt_state_file_peek(folder->fd, "one", &head);
    if (status == LCRT_OK) {
        free(head.tokens);
        free(head.stops);
    }
    return status;
}

static void a_state_comes_back_as_it_was(void) {
    test_folder folder = folder_new();
    const size_t lens[] = {0, 1, 31, 32, 33, 1000, 3000000};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        lcrt_state *state = make(i, 20, lens[i]), *back;
        REQUIRE(lcrt_state_file_write(folder.fd, "one", &key, state) == LCRT_OK);
        REQUIRE(lcrt_state_file_read(folder.fd, "one", &key, &back) == LCRT_OK);
        CHECK(same(state, back));
        lcrt_state_free(back);
        lcrt_state_free(state);
    }
    CHECK_INT(folder_files(&folder), 1);
    folder_free(&folder);
}

static void a_peek_tells_tokens_and_stops(void) {
    test_folder folder = folder_new();
    lcrt_state *state = make(7, 20, 100);
    REQUIRE(lcrt_state_file_write(folder.fd, "one", &key, state) == LCRT_OK);
    lcrt_state_head head;
    REQUIRE(lcrt_state_file_peek(folder.fd, "one", &head) == LCRT_OK);
    REQUIRE(head.n_tokens == 20 && head.n_stops == 2);
    CHECK(memcmp(head.tokens, state->tokens, 20 * sizeof(int32_t)) == 0);
    CHECK_INT(head.stops[0], 10);
    CHECK_INT(head.stops[1], 20);
    CHECK(memcmp(&head.key, &key, sizeof(key)) == 0);
    CHECK(head.file_len > 100);
    free(head.tokens);
    free(head.stops);
    lcrt_state_free(state);
    folder_free(&folder);
}

static void only_the_user_may_read_it(void) {
    test_folder folder = folder_new();
    write_one(&folder, 1);
    struct stat facts;
    REQUIRE(fstatat(folder.fd, "one", &facts, 0) == 0);
    CHECK_INT(facts.st_mode & 0777, 0600);
    folder_free(&folder);
}

static void every_length_but_the_whole_is_refused(void) {
    test_folder folder = folder_new();
    uint8_t data[1024];
    write_one(&folder, 1);
    size_t len = folder_load(folder.fd, "one", data, sizeof(data));
    REQUIRE(len > 200 && len < sizeof(data));
    for (size_t n = 0; n < len; n++) {
        folder_save(folder.fd, "one", data, n);
        CHECK_INT(read_one(&folder), LCRT_ERR_FORMAT);
        CHECK_INT(peek_one(&folder), LCRT_ERR_FORMAT);
    }
    data[len] = 0;
    folder_save(folder.fd, "one", data, len + 1);
    CHECK_INT(read_one(&folder), LCRT_ERR_FORMAT);
    folder_save(folder.fd, "one", data, len);
    CHECK_INT(read_one(&folder), LCRT_OK);
    folder_free(&folder);
}

static void every_flipped_bit_is_noticed(void) {
    test_folder folder = folder_new();
    uint8_t data[1024];
    write_one(&folder, 2);
    size_t len = folder_load(folder.fd, "one", data, sizeof(data));
    for (size_t i = 0; i < len * 8; i++) {
        data[i / 8] ^= (uint8_t)(1 << (i % 8));
        folder_save(folder.fd, "one", data, len);
        CHECK_INT(read_one(&folder), LCRT_ERR_FORMAT);
        data[i / 8] ^= (uint8_t)(1 << (i % 8));
    }
    folder_free(&folder);
}

static void random_bytes_are_refused(void) {
    test_folder folder = folder_new();
    uint8_t data[600];
    uint64_t random = 5;
    for (int32_t round = 0; round < 200; round++) {
        size_t len = (size_t)test_between(&random, 0, (int32_t)sizeof(data));
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)test_random(&random);
        }
        folder_save(folder.fd, "one", data, len);
        CHECK_INT(read_one(&folder), LCRT_ERR_FORMAT);
        CHECK_INT(peek_one(&folder), LCRT_ERR_FORMAT);
    }
    folder_free(&folder);
}

static void another_key_is_refused(void) {
    test_folder folder = folder_new();
    write_one(&folder, 3);
    for (int32_t i = 0; i < 3; i++) {
        lcrt_state_key other = key;
        other.version += i == 0;
        other.model += i == 1;
        other.setup += i == 2;
        lcrt_state *state;
        CHECK_INT(lcrt_state_file_read(folder.fd, "one", &other, &state), LCRT_ERR_FORMAT);
    }
    folder_free(&folder);
}

static void what_is_no_file_is_not_read(void) {
    test_folder folder = folder_new();
    CHECK_INT(read_one(&folder), LCRT_ERR_IO);
    REQUIRE(mkfifoat(folder.fd, "one", 0600) == 0);
    CHECK_INT(read_one(&folder), LCRT_ERR_IO);
    REQUIRE(unlinkat(folder.fd, "one", 0) == 0);
    REQUIRE(symlinkat("/etc/hostname", folder.fd, "one") == 0);
    CHECK_INT(read_one(&folder), LCRT_ERR_IO);
    REQUIRE(unlinkat(folder.fd, "one", 0) == 0);
    REQUIRE(mkdirat(folder.fd, "one", 0700) == 0);
    CHECK_INT(read_one(&folder), LCRT_ERR_IO);
    CHECK_INT(peek_one(&folder), LCRT_ERR_IO);
    folder_free(&folder);
}

static void a_folder_that_is_gone_is_an_error(void) {
    test_folder folder = folder_new();
    REQUIRE(rmdir(folder.path) == 0);
    lcrt_state *state = make(1, 20, 100);
    CHECK_INT(lcrt_state_file_write(folder.fd, "one", &key, state), LCRT_ERR_IO);
    CHECK_INT(lcrt_state_file_write(-1, "one", &key, state), LCRT_ERR_IO);
    lcrt_state_free(state);
    (void)close(folder.fd);
}

/* A limit on the size of files stands for a full disk: the write stops in the middle. */
static void a_full_disk_leaves_nothing_and_the_old_file(void) {
    test_folder folder = folder_new();
    write_one(&folder, 4);
    struct rlimit before, less;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    lcrt_state *state = make(9, 20, 100000);
    const rlim_t limits[] = {0, 50, 300, 65536};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        less = before;
        less.rlim_cur = limits[i];
        REQUIRE(setrlimit(RLIMIT_FSIZE, &less) == 0);
        lcrt_status status = lcrt_state_file_write(folder.fd, "one", &key, state);
        REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHECK_INT(status, LCRT_ERR_IO);
        CHECK_INT(folder_files(&folder), 1);
        CHECK_INT(read_one(&folder), LCRT_OK);
    }
    lcrt_state_free(state);
    folder_free(&folder);
}

/* Two processes write the same name again and again: every read finds one of the two whole. */
static void writers_of_one_name_do_not_mix(void) {
    test_folder folder = folder_new();
    lcrt_state *states[2] = {make(1, 20, 50000), make(2, 30, 70000)};
    REQUIRE(lcrt_state_file_write(folder.fd, "one", &key, states[0]) == LCRT_OK);
    pid_t children[2];
    for (int32_t i = 0; i < 2; i++) {
        children[i] = fork();
        REQUIRE(children[i] >= 0);
        if (children[i] == 0) {
            int32_t n_failed = 0;
            for (int32_t round = 0; round < 50; round++) {
                n_failed += lcrt_state_file_write(folder.fd, "one", &key, states[i]) != LCRT_OK;
            }
            _exit(n_failed > 0);
        }
    }
    for (int32_t round = 0; round < 100; round++) {
        lcrt_state *state;
        REQUIRE(lcrt_state_file_read(folder.fd, "one", &key, &state) == LCRT_OK);
        CHECK(same(state, states[0]) || same(state, states[1]));
        lcrt_state_free(state);
    }
    for (int32_t i = 0; i < 2; i++) {
        int how;
        REQUIRE(waitpid(children[i], &how, 0) == children[i]);
        CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
        lcrt_state_free(states[i]);
    }
    CHECK_INT(folder_files(&folder), 1);
    folder_free(&folder);
}

int main(void) {
    RUN(a_state_comes_back_as_it_was);
    RUN(a_peek_tells_tokens_and_stops);
    RUN(only_the_user_may_read_it);
    RUN(every_length_but_the_whole_is_refused);
    RUN(every_flipped_bit_is_noticed);
    RUN(random_bytes_are_refused);
    RUN(another_key_is_refused);
    RUN(what_is_no_file_is_not_read);
    RUN(a_folder_that_is_gone_is_an_error);
    RUN(a_full_disk_leaves_nothing_and_the_old_file);
    RUN(writers_of_one_name_do_not_mix);
    return test_end();
}
