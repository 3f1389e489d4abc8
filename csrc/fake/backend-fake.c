/* backend-fake.c -- what the engine calls. */
#include <string.h>
#include <time.h>

#include "fake-backend.h"

static void fill_hash(const lcrt_fake_params *params, uint64_t hash, float *out) {
    for (int32_t t = 0; t < params->n_vocab; t++) {
        uint64_t x = fake_hash(hash ^ params->seed, t);
        out[t] = (float)(x >> 40) * (8.0f / 16777216.0f) - 4.0f;
    }
    out[LCRT_FAKE_EOG] += params->eog_bias;
}

/* The one token that comes next. */
static int32_t next_token(const lcrt_fake_params *params, uint64_t set, int32_t token, int32_t pos) {
    int32_t stride = 1 + (int32_t)(set % 5);
    if (params->mode == LCRT_FAKE_SCRIPT) {
        return params->script[pos % params->n_script];
    }
    if (token >= LCRT_FAKE_A && token < LCRT_FAKE_SPACE) {
        return token + stride < LCRT_FAKE_SPACE ? token + stride : LCRT_FAKE_EOG;
    }
    return token;
}

void lcrt_fake_logits(const lcrt_fake_params *params, uint64_t set, const int32_t *tokens, int32_t n_tokens,
                      float *out) {
    uint64_t hash = 0;
    int32_t n_last = params->n_window > 0 && params->n_window < n_tokens ? params->n_window : n_tokens;
    for (int32_t i = n_tokens - n_last; i < n_tokens; i++) {
        hash = fake_hash_in(set, hash, tokens[i]);
    }
    if (params->mode == LCRT_FAKE_HASH) {
        fill_hash(params, hash, out);
        return;
    }
    for (int32_t t = 0; t < params->n_vocab; t++) {
        out[t] = FAKE_FLOOR;
    }
    out[next_token(params, set, tokens[n_tokens - 1], n_tokens - 1)] = FAKE_PEAK;
}

/* The hash of the last tokens that count. */
static uint64_t hash_of(const fake_backend *fake, const fake_seq *own) {
    int32_t n_window = fake->params.n_window;
    if (n_window == 0 || n_window >= own->n_cells) {
        return own->cells[own->n_cells - 1].hash;
    }
    uint64_t hash = 0;
    for (int32_t i = own->n_cells - n_window; i < own->n_cells; i++) {
        hash = fake_hash_in(own->cells[i].set, hash, own->cells[i].token);
    }
    return hash;
}

/* Logits of a sequence after its last cell. */
static void put_logits(fake_backend *fake, int32_t output, int32_t seq) {
    const fake_seq *own = &fake->cells.seqs[seq];
    const fake_cell *last = &own->cells[own->n_cells - 1];
    float *out = fake->logits + (size_t)output * (size_t)fake->params.n_vocab;
    if (fake->params.mode == LCRT_FAKE_HASH) {
        fill_hash(&fake->params, hash_of(fake, own), out);
        return;
    }
    if (fake->peaks[output] >= 0) {
        out[fake->peaks[output]] = FAKE_FLOOR;
    }
    fake->peaks[output] = next_token(&fake->params, last->set, last->token, last->pos);
    out[fake->peaks[output]] = FAKE_PEAK;
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool fake_spend(fake_backend *fake, int64_t cost) {
    if (fake->params.virtual_time || cost == 0) {
        atomic_fetch_add(&fake->clock_ns, cost);
        return true;
    }
    for (int64_t end = now_ns() + cost; now_ns() < end;) {
        if (atomic_load(&fake->interrupted)) {
            return false;
        }
    }
    return true;
}

/* Waits while the test holds it; false when interrupted. */
static bool pass_gate(fake_backend *fake) {
    pthread_mutex_lock(&fake->mutex);
    while (fake->hold && !atomic_load(&fake->interrupted)) {
        fake->held = true;
        pthread_cond_broadcast(&fake->cond);
        pthread_cond_wait(&fake->cond, &fake->mutex);
    }
    fake->held = false;
    pthread_mutex_unlock(&fake->mutex);
    return !atomic_load(&fake->interrupted);
}

/* Whether the rows can be put into the cells at all. */
static bool check_rows(fake_backend *fake, const lcrt_row *rows, int32_t n_rows) {
    bool good = n_rows > 0 && n_rows <= fake->params.n_batch;
    int32_t n_outputs = 0;
    int32_t n_before = 0; /* rows of the same sequence in this batch */
    for (int32_t i = 0; i < n_rows && good; i++) {
        n_before = i > 0 && rows[i - 1].seq == rows[i].seq ? n_before + 1 : 0;
        n_outputs += rows[i].output;
        good = fake_cells_fits(&fake->cells, rows[i].seq, rows[i].pos, n_before) && rows[i].token >= 0 &&
               rows[i].token < fake->params.n_vocab && n_outputs <= fake->params.n_outputs;
    }
    return good;
}

/* How often the sequences of the rows do not follow each other, in that order. */
static int32_t count_gaps(const lcrt_row *rows, int32_t n_rows) {
    int32_t n = 0;
    for (int32_t i = 1; i < n_rows; i++) {
        n += rows[i].seq != rows[i - 1].seq && rows[i].seq != rows[i - 1].seq + 1;
    }
    return n;
}

static void count(fake_backend *fake, const lcrt_row *rows, int32_t n_rows) {
    pthread_mutex_lock(&fake->mutex);
    fake->stats.n_decodes += n_rows > 0;
    fake->stats.n_rows += n_rows;
    fake->stats.n_gaps += count_gaps(rows, n_rows) > 0;
    fake->stats.n_faults = fake->cells.n_faults;
    fake->stats.n_cells = fake->cells.n_used;
    fake->stats.n_moved = fake->cells.n_moved;
    pthread_mutex_unlock(&fake->mutex);
}

static void compute(fake_backend *fake, const lcrt_row *rows, int32_t n_rows) {
    int32_t n_outputs = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        fake_cells_put(&fake->cells, rows[i].seq, rows[i].token);
        fake->row_output[i] = rows[i].output ? n_outputs++ : -1;
        if (rows[i].output) {
            put_logits(fake, fake->row_output[i], rows[i].seq);
        }
    }
    fake->n_rows = n_rows;
}

static lcrt_status fake_adapt(void *self, uint64_t set) {
    fake_backend *fake = self;
    if (set != 0 && set > fake->params.n_sets) {
        return LCRT_ERR_INVALID;
    }
    if (set != fake->cells.set) {
        fake->cells.set = set;
        pthread_mutex_lock(&fake->mutex);
        fake->stats.n_adapts++;
        pthread_mutex_unlock(&fake->mutex);
        (void)fake_spend(fake, fake->params.adapt_ns);
    }
    return LCRT_OK;
}

/* Leaves the cells as they were, or if these cannot be forgotten, some of the rows in them. */
static lcrt_status give_up(fake_backend *fake, const lcrt_row *rows, int32_t n_rows) {
    if (fake->params.can_trim || !check_rows(fake, rows, n_rows)) {
        return LCRT_ERR_CANCELLED;
    }
    compute(fake, rows, (n_rows + 1) / 2);
    fake->n_rows = 0;
    return LCRT_ERR_BACKEND;
}

static lcrt_status fake_decode(void *self, const lcrt_row *rows, int32_t n_rows) {
    fake_backend *fake = self;
    const lcrt_fake_params *params = &fake->params;
    if (params->on_decode != NULL) {
        params->on_decode(params->on_decode_data, rows, n_rows);
    }
    int32_t call = ++fake->n_calls;
    fake->n_rows = 0;
    if (!pass_gate(fake)) {
        return give_up(fake, rows, n_rows);
    }
    if (call == params->fail_at) {
        return LCRT_ERR_BACKEND;
    }
    if (!check_rows(fake, rows, n_rows)) {
        count(fake, rows, 0);
        return LCRT_ERR_BACKEND;
    }
    bool refused = params->full_at > 0 && call >= params->full_at && call <= params->full_at + params->n_full;
    if (refused || (params->unified && fake->cells.n_used + n_rows > params->n_ctx)) {
        return LCRT_ERR_FULL;
    }
    int32_t n_passes = params->consecutive ? 1 + count_gaps(rows, n_rows) : 1;
    if (!fake_spend(fake, params->step_ns * n_passes + params->row_ns * n_rows)) {
        return give_up(fake, rows, n_rows);
    }
    compute(fake, rows, n_rows);
    count(fake, rows, n_rows);
    return LCRT_OK;
}

static const float *fake_logits(void *self, int32_t i) {
    fake_backend *fake = self;
    if (i < 0 || i >= fake->n_rows || fake->row_output[i] < 0) {
        return NULL;
    }
    return fake->logits + (size_t)fake->row_output[i] * (size_t)fake->params.n_vocab;
}

static lcrt_status fake_trim(void *self, int32_t seq, int32_t p0, int32_t p1) {
    fake_backend *fake = self;
    bool whole = p0 == 0 && p1 < 0;
    if (!whole && (p1 < 0 ? p0 < fake_cells_min(&fake->cells, seq) : !fake->params.can_trim)) {
        return LCRT_ERR_UNSUPPORTED;
    }
    lcrt_status status = fake_cells_trim(&fake->cells, seq, p0, p1);
    count(fake, NULL, 0);
    return status;
}

static lcrt_status fake_shift(void *self, int32_t seq, int32_t p0, int32_t p1, int32_t delta) {
    fake_backend *fake = self;
    if (!fake->params.can_shift) {
        return LCRT_ERR_UNSUPPORTED;
    }
    return fake_cells_shift(&fake->cells, seq, p0, p1, delta);
}

static lcrt_status fake_share(void *self, int32_t src, int32_t dst, int32_t n) {
    fake_backend *fake = self;
    if (n < fake_cells_min(&fake->cells, src)) {
        return LCRT_ERR_UNSUPPORTED;
    }
    lcrt_status status = fake_cells_share(&fake->cells, src, dst, n);
    if (status == LCRT_OK && fake->params.n_undo > 0) {
        fake_cells_settle(&fake->cells, dst); /* snapshots are not copied */
    }
    if (!fake->params.unified) {
        (void)fake_spend(fake, fake->params.copy_ns * fake->cells.seqs[src].n_cells);
    }
    count(fake, NULL, 0);
    return status;
}

static lcrt_status fake_move(void *self, int32_t src, int32_t dst) {
    fake_backend *fake = self;
    lcrt_status status = fake_cells_move(&fake->cells, src, dst);
    count(fake, NULL, 0);
    return status;
}

static int32_t fake_trim_min(void *self, int32_t seq) {
    const fake_backend *fake = self;
    return fake_cells_min(&fake->cells, seq);
}

static size_t fake_state_size(void *self, int32_t seq, bool part) {
    const fake_backend *fake = self;
    return fake->params.can_store ? fake_cells_size(&fake->cells, seq, part) : 0;
}

static lcrt_status fake_state_get(void *self, int32_t seq, bool part, uint8_t *out, size_t cap, size_t *len) {
    const fake_backend *fake = self;
    *len = fake_state_size(self, seq, part);
    if (*len == 0 || *len > cap) {
        return LCRT_ERR_BACKEND;
    }
    fake_cells_get(&fake->cells, seq, part, out);
    return LCRT_OK;
}

static lcrt_status fake_state_set(void *self, int32_t seq, bool part, const uint8_t *data, size_t len) {
    fake_backend *fake = self;
    int64_t n_max = fake->params.unified ? fake->params.n_ctx : -1;
    lcrt_status status = fake_cells_set(&fake->cells, seq, part, data, len, n_max);
    count(fake, NULL, 0);
    return status;
}

static int32_t fake_piece(void *self, int32_t token, bool special, char *out, int32_t cap) {
    (void)self;
    return lcrt_fake_piece(token, special, out, cap);
}

static bool fake_is_eog(void *self, int32_t token) {
    (void)self;
    return token == LCRT_FAKE_EOG;
}

static void fake_interrupt(void *self, bool on) {
    fake_backend *fake = self;
    pthread_mutex_lock(&fake->mutex);
    atomic_store(&fake->interrupted, on);
    pthread_cond_broadcast(&fake->cond);
    pthread_mutex_unlock(&fake->mutex);
}

const lcrt_backend_vtable fake_vtable = {
    .adapt = fake_adapt,
    .decode = fake_decode,
    .logits = fake_logits,
    .trim = fake_trim,
    .shift = fake_shift,
    .share = fake_share,
    .move = fake_move,
    .trim_min = fake_trim_min,
    .state_size = fake_state_size,
    .state_get = fake_state_get,
    .state_set = fake_state_set,
    .guess = fake_guess,
    .piece = fake_piece,
    .is_eog = fake_is_eog,
    .interrupt = fake_interrupt,
    .free = fake_free,
};
