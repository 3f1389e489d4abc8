/* engine-grammar.c -- masks of the next tokens, computed while the model computes. */
#include "engine-state.h"

void lcrt_engine_level_streams(lcrt_engine *engine) {
    bool even = engine->backend.info.consecutive || engine->backend.info.n_undo > 0;
    if (!even || engine->n_streams < 2) {
        return;
    }
    int32_t n_least = INT32_MAX;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        const lcrt_share *share = &engine->shares[i];
        n_least = share->decoding && share->n_wanted < n_least ? share->n_wanted : n_least;
    }
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_share *share = &engine->shares[i];
        share->n_wanted = share->decoding ? n_least : share->n_wanted;
    }
}

/* Where every stream gets one row of a pass, forced tokens wait for their turn anyway, and looking for them between
 * passes, one stream after the other, would only hold all of them up. Guesses are drawn from what was computed: there
 * what is forced must be known at once. */
void lcrt_engine_lag(const lcrt_engine *engine, lcrt_sequence *sequence) {
    bool several = engine->n_streams > 1 || engine->n_draws > 1;
    sequence->guided.lags = engine->backend.info.consecutive && several && sequence->draft.n == 0;
}

static bool wants_mask(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    const lcrt_guided *guided = &sequence->guided;
    if (!lcrt_guided_is_on(guided) || guided->ready || sequence->n_rows == 0) {
        return false;
    }
    int32_t n_rows = sequence->n_rows - sequence->draft.n; /* behind them are guesses */
    return lcrt_engine_held(engine, sequence) + n_rows == sequence->n_tokens;
}

static void prepare_one(void *data, int32_t i) {
    const lcrt_engine *engine = data;
    lcrt_sequence *sequence = engine->masking[i];
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_guided_prepare(&sequence->guided);
    lcrt_guided_look_ahead(&sequence->guided, sequence->draft.tokens, sequence->draft.n);
    sequence->guided.prepare_ns = lcrt_engine_now(engine) - begin_ns;
}

void lcrt_engine_masks_begin(lcrt_engine *engine) {
    engine->n_masking = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        if (wants_mask(engine, engine->sharing[i])) {
            engine->masking[engine->n_masking++] = engine->sharing[i];
        }
    }
    if (engine->n_masking > 0) {
        lcrt_crew_begin(engine->mask_crew, prepare_one, engine, engine->n_masking);
    }
}

void lcrt_engine_masks_end(lcrt_engine *engine) {
    if (engine->n_masking == 0) {
        return;
    }
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_crew_end(engine->mask_crew);
    lcrt_engine_counters *counters = &engine->counters;
    int64_t wait_ns = lcrt_engine_now(engine) - begin_ns;
    int64_t mask_ns = 0;
    for (int32_t i = 0; i < engine->n_masking; i++) {
        mask_ns += engine->masking[i]->guided.prepare_ns;
    }
    atomic_fetch_add_explicit(&counters->n_masks, engine->n_masking, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->n_mask_waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->mask_ns, mask_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->mask_wait_ns, wait_ns, memory_order_relaxed);
    engine->n_masking = 0;
}
