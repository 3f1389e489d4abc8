/* engine-drafter.c -- guesses of a smaller model, where the history has none that are as good.
 *
 * It runs before the pass in which its guesses have rows. A prompt that it has not computed is caught up with in
 * pieces, one for each pass, as long as its guesses promise to pay. */
#include <stdlib.h>
#include <string.h>

#include "engine-state.h"

/* Tokens that it may lag by when it is to guess. */
#define LAG_MAX 32
/* Rows of a piece: as many as take as long as a pass of the large model, within these bounds. */
#define PIECE_MIN 32
#define PIECE_MAX 512
/* The history costs nothing: the model must be better than it by this factor. */
#define BETTER 1.1

#define LEARN 0.2

lcrt_status lcrt_engine_drafter_open(lcrt_engine *engine) {
    const lcrt_backend *backend = engine->params.drafter;
    if (backend == NULL) {
        return LCRT_OK;
    }
    engine->drafter_backend = *backend;
    if (engine->lookup == NULL) {
        return LCRT_OK; /* nothing is guessed */
    }
    engine->draftings = calloc((size_t)engine->params.n_slots, sizeof(*engine->draftings));
    if (engine->draftings == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    return lcrt_drafter_init(backend, engine->params.n_slots, engine->backend.info.n_vocab, &engine->drafter);
}

void lcrt_engine_drafter_free(lcrt_engine *engine) {
    lcrt_drafter_free(engine->drafter);
    free(engine->draftings);
    engine->drafter = NULL;
    engine->draftings = NULL;
}

static lcrt_drafting drafting_for(const lcrt_sequence *sequence, int32_t n_max) {
    return (lcrt_drafting){.slot = sequence->slot,
                           .tokens = sequence->tokens,
                           .n_tokens = sequence->n_tokens,
                           .n_max = n_max,
                           .out = NULL};
}

static void learn(double *known, double sample) {
    *known += *known > 0 ? LEARN * (sample - *known) : sample;
}

lcrt_gate_wish lcrt_engine_wish_drafter(const lcrt_engine *engine, lcrt_sequence *sequence, lcrt_gate_wish found) {
    lcrt_draft *draft = &sequence->draft;
    int32_t n_max = lcrt_engine_draft_max(engine, sequence);
    if (engine->drafter == NULL || !draft->begun || n_max <= 0) {
        return found;
    }
    bool curious = lcrt_gate_is_curious(&engine->gate);
    double rate = draft->own.rates[LCRT_GATE_MODEL];
    rate = curious && rate < LCRT_GATE_RETRY_RATE ? LCRT_GATE_RETRY_RATE : rate;
    if (found.n_max > 0 && rate < BETTER * found.rate) {
        return found;
    }
    lcrt_drafting drafting = drafting_for(sequence, n_max);
    int32_t lag = curious ? lcrt_drafter_lag(engine->drafter, &drafting) : 0;
    draft->source = LCRT_GATE_MODEL;
    draft->n_found = 0;
    return (lcrt_gate_wish){
        .n_max = n_max, .rate = rate, .each_ns = engine->guess_ns, .once_ns = lag * engine->catch_up_ns};
}

static int32_t piece(const lcrt_engine *engine) {
    double n = engine->catch_up_ns > 0 ? engine->gate.one_ns / engine->catch_up_ns : PIECE_MIN;
    return n < PIECE_MIN ? PIECE_MIN : n > PIECE_MAX ? PIECE_MAX : (int32_t)n;
}

/* Whether it is near enough to guess now; *status is an error of the model. */
static bool catch_up(lcrt_engine *engine, lcrt_drafting *drafting, bool at_once, lcrt_status *status) {
    int32_t lag = lcrt_drafter_lag(engine->drafter, drafting);
    while (*status == LCRT_OK && lag > LAG_MAX) {
        int64_t begin_ns = lcrt_engine_now(engine);
        *status = lcrt_drafter_catch_up(engine->drafter, drafting, piece(engine));
        int64_t ns = lcrt_engine_now(engine) - begin_ns;
        if (*status != LCRT_OK || drafting->n == 0) {
            return false;
        }
        learn(&engine->catch_up_ns, (double)ns / drafting->n);
        engine->drafter_ns += at_once ? ns : 0;
        lag -= drafting->n;
        if (!at_once) {
            break;
        }
    }
    return *status == LCRT_OK && lag <= LAG_MAX;
}

/* Its guesses become drafts, as far as they may come. */
static void take_guesses(lcrt_engine *engine, int32_t n_draftings) {
    int32_t n = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        lcrt_draft *draft = &sequence->draft;
        if (n >= n_draftings || engine->draftings[n].slot != sequence->slot) {
            continue;
        }
        draft->n_found = lcrt_engine_usable_draft(engine, sequence, engine->draftings[n++].n);
        lcrt_draft_note(draft);
        engine->wishes[i].n_max = draft->n_found;
    }
}

void lcrt_engine_run_drafter(lcrt_engine *engine, int32_t n_max) {
    lcrt_status status = LCRT_OK;
    int32_t n_draftings = 0, n_guessed = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        lcrt_gate_wish *wish = &engine->wishes[i];
        if (wish->n_max <= 0 || sequence->draft.source != LCRT_GATE_MODEL) {
            continue;
        }
        lcrt_drafting drafting = drafting_for(sequence, wish->n_max < n_max ? wish->n_max : n_max);
        drafting.out = sequence->draft.tokens;
        wish->n_max = 0;
        if (catch_up(engine, &drafting, wish->once_ns > 0, &status)) {
            engine->draftings[n_draftings++] = drafting;
        }
    }
    int64_t begin_ns = lcrt_engine_now(engine);
    if (status == LCRT_OK && n_draftings > 0) {
        status = lcrt_drafter_guess(engine->drafter, engine->draftings, n_draftings);
    }
    int64_t ns = lcrt_engine_now(engine) - begin_ns;
    for (int32_t i = 0; i < n_draftings; i++) {
        n_guessed += engine->draftings[i].n;
    }
    if (status != LCRT_OK) {
        lcrt_engine_drafter_free(engine); /* it goes on without */
        return;
    }
    if (n_guessed > 0) {
        learn(&engine->guess_ns, (double)ns / n_guessed);
    }
    engine->drafter_ns += ns;
    take_guesses(engine, n_draftings);
}
