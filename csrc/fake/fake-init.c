/* fake-init.c -- how the fake backend is made, watched and held. */
#include <stdlib.h>
#include <string.h>

#include "fake-backend.h"

/* Virtual time begins here: a clock is never at 0. */
#define CLOCK_BEGIN_NS 1000000000

void fake_free(void *self) {
    fake_backend *fake = self;
    if (fake == NULL) {
        return;
    }
    pthread_cond_destroy(&fake->cond);
    pthread_mutex_destroy(&fake->mutex);
    fake_cells_free(&fake->cells);
    free(fake->script);
    free(fake->row_output);
    free(fake->logits);
    free(fake->peaks);
    free(fake);
}

lcrt_fake_params lcrt_fake_params_default(void) {
    return (lcrt_fake_params){
        .mode = LCRT_FAKE_ALPHABET,
        .n_vocab = LCRT_FAKE_N_VOCAB,
        .n_ctx = 4096,
        .n_ctx_seq = 4096,
        .n_seq_max = 8,
        .n_batch = 512,
        .n_parallel = 1,
        .unified = true,
        .can_trim = true,
        .can_shift = true,
        .can_store = true,
    };
}

static bool sensible(const lcrt_fake_params *params) {
    bool sizes = params->n_vocab >= LCRT_FAKE_WORDS && params->n_ctx > 0 && params->n_ctx_seq > 0 &&
                 params->n_seq_max > 0 && params->n_batch > 0;
    return sizes && (params->mode != LCRT_FAKE_SCRIPT || (params->script != NULL && params->n_script > 0));
}

/* The arrays that init allocates; free frees what there is. */
static lcrt_status allocate(fake_backend *fake) {
    const lcrt_fake_params *params = &fake->params;
    size_t n_logits = (size_t)params->n_outputs * (size_t)params->n_vocab;
    size_t script_len = (size_t)(params->mode == LCRT_FAKE_SCRIPT ? params->n_script : 1) * sizeof(int32_t);
    fake->row_output = malloc((size_t)params->n_batch * sizeof(int32_t));
    fake->logits = malloc(n_logits * sizeof(float));
    fake->peaks = malloc((size_t)params->n_outputs * sizeof(int32_t));
    fake->script = malloc(script_len);
    if (fake->row_output == NULL || fake->logits == NULL || fake->peaks == NULL || fake->script == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n_logits; i++) {
        fake->logits[i] = FAKE_FLOOR;
    }
    for (int32_t i = 0; i < params->n_outputs; i++) {
        fake->peaks[i] = -1;
    }
    if (params->mode == LCRT_FAKE_SCRIPT) {
        memcpy(fake->script, params->script, script_len);
        fake->params.script = fake->script;
    }
    lcrt_status status = fake_cells_init(&fake->cells, params->n_seq_max, params->n_ctx_seq, params->unified);
    fake->cells.n_back = params->can_trim ? -1 : params->n_back;
    return status;
}

lcrt_status lcrt_backend_fake(const lcrt_fake_params *params, lcrt_backend *out) {
    if (!sensible(params)) {
        return LCRT_ERR_INVALID;
    }
    fake_backend *fake = calloc(1, sizeof(*fake));
    if (fake == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    fake->params = *params;
    fake->params.n_outputs = params->n_outputs > 0 ? params->n_outputs : params->n_seq_max;
    atomic_init(&fake->clock_ns, CLOCK_BEGIN_NS);
    pthread_mutex_init(&fake->mutex, NULL);
    pthread_cond_init(&fake->cond, NULL);
    lcrt_status status = allocate(fake);
    if (status != LCRT_OK) {
        fake_free(fake);
        return status;
    }
    *out = (lcrt_backend){
        .vtable = &fake_vtable,
        .self = fake,
        .info =
            {
                .n_vocab = params->n_vocab,
                .n_ctx = params->n_ctx,
                .n_ctx_seq = params->n_ctx_seq,
                .n_seq_max = params->n_seq_max,
                .n_batch = params->n_batch,
                .n_outputs = fake->params.n_outputs,
                .n_parallel = params->n_parallel,
                .n_chunk = params->n_chunk,
                .unified = params->unified,
                .consecutive = params->consecutive,
                .can_trim = params->can_trim,
                .can_store = params->can_store,
                .can_shift = params->can_shift,
                .can_guess = params->can_guess,
                .n_undo = params->n_undo,
            },
    };
    return LCRT_OK;
}

void lcrt_fake_stats_get(const lcrt_backend *backend, lcrt_fake_stats *out) {
    fake_backend *fake = backend->self;
    pthread_mutex_lock(&fake->mutex);
    *out = fake->stats;
    pthread_mutex_unlock(&fake->mutex);
}

int64_t lcrt_fake_clock(void *self) {
    fake_backend *fake = self;
    return atomic_load(&fake->clock_ns);
}

void lcrt_fake_hold(const lcrt_backend *backend, bool on) {
    fake_backend *fake = backend->self;
    pthread_mutex_lock(&fake->mutex);
    fake->hold = on;
    fake->held = fake->held && on;
    pthread_cond_broadcast(&fake->cond);
    pthread_mutex_unlock(&fake->mutex);
}

void lcrt_fake_wait_held(const lcrt_backend *backend) {
    fake_backend *fake = backend->self;
    pthread_mutex_lock(&fake->mutex);
    while (!fake->held) {
        pthread_cond_wait(&fake->cond, &fake->mutex);
    }
    pthread_mutex_unlock(&fake->mutex);
}
