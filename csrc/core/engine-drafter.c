/* engine-drafter.c -- guesses of a smaller model or of the model's own layers, where the history has none that are as
 * good.
 *
 * It runs before the pass in which its guesses have rows. A prompt that it has not computed is caught up with in
 * pieces, one for each pass, once the gate says that its guesses will bring that in. All that it takes is paid for. */
#include <stdlib.h>
#include <string.h>

#include "average.h"
#include "engine-state.h"

/* Tokens that it may lag by when it is to guess. */
#define LAG_MAX 32
/* Rows of a piece: as many as take as long as a pass of the large model, within these bounds. */
#define PIECE_MIN 32
#define PIECE_MAX 512
/* The history costs nothing: the model must be better than it by this factor. */
#define BETTER 1.1

/* Answers are taken to have so many tokens more, or fewer if they are limited. */
#define TOKENS_LEFT 128

/* How fast a measurement moves what it is known to take. */
#define LEARN 0.2

lcrt_status lcrt_engine_drafter_open(lcrt_engine *engine) {
    const lcrt_backend *backend = engine->params.drafter;
    if (backend != NULL) {
        engine->drafter_backend = *backend;
    }
    if (engine->lookup == NULL || (backend == NULL && !engine->backend.info.can_guess)) {
        return LCRT_OK; /* nothing is guessed, or by nobody */
    }
    engine->draftings = calloc((size_t)engine->params.n_slots, sizeof(*engine->draftings));
    if (engine->draftings == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    int32_t n_slots = engine->params.n_slots;
    return backend != NULL ? lcrt_drafter_model(backend, n_slots, engine->backend.info.n_vocab, &engine->drafter)
                           : lcrt_drafter_heads(&engine->backend, n_slots, &engine->drafter);
}

void lcrt_engine_drafter_free(lcrt_engine *engine) {
    if (engine->drafter.vtable != NULL) {
        engine->drafter.vtable->free(engine->drafter.self);
    }
    free(engine->draftings);
    engine->drafter = (lcrt_drafter){0};
    engine->draftings = NULL;
}

static int32_t tokens_left(const lcrt_sequence *sequence) {
    int32_t n = sequence->max_tokens - sequence->usage.n_generated;
    return sequence->max_tokens >= 0 && n < TOKENS_LEFT ? n : TOKENS_LEFT;
}

lcrt_gate_wish lcrt_engine_wish_drafter(lcrt_engine *engine, int32_t i, lcrt_gate_wish found) {
    if (engine->drafter.vtable == NULL) {
        return found;
    }
    lcrt_sequence *sequence = engine->sharing[i];
    lcrt_draft *draft = &sequence->draft;
    lcrt_drafting *drafting = &engine->draftings[i];
    *drafting = (lcrt_drafting){.slot = sequence->slot,
                                .seq = engine->slots.slots[sequence->slot].id,
                                .tokens = sequence->tokens,
                                .n_tokens = sequence->n_tokens,
                                .out = draft->tokens};
    double rate = draft->own.rates[LCRT_GATE_MODEL];
    /* What a guess takes is found out with one. */
    int32_t n_max = engine->guess_ns > 0 ? LCRT_DRAFT_MAX : 1;
    if (lcrt_gate_is_curious(&engine->gate) && rate < LCRT_GATE_RETRY_RATE) {
        rate = LCRT_GATE_RETRY_RATE;
        n_max = n_max < LCRT_GATE_RETRY_TOKENS ? n_max : LCRT_GATE_RETRY_TOKENS;
    }
    if (!draft->begun || (found.n_max > 0 && rate < BETTER * found.rate)) {
        return found;
    }
    int32_t n_room = lcrt_engine_draft_max(engine, sequence);
    drafting->n_max = n_max < n_room ? n_max : n_room;
    engine->drafter.vtable->compare(engine->drafter.self, drafting);
    if (drafting->n_max <= 0) {
        drafting->n_max = 0;
        return found;
    }
    draft->source = LCRT_GATE_MODEL;
    draft->n_found = 0;
    return (lcrt_gate_wish){.n_max = drafting->n_max,
                            .rate = rate,
                            .each_ns = engine->guess_ns,
                            .once_ns = engine->catch_up_ns * (drafting->n_tokens - 1 - drafting->n_same),
                            .n_left = tokens_left(sequence)};
}

static int32_t piece(const lcrt_engine *engine) {
    double pass_ns = lcrt_gate_cost(&engine->gate, engine->n_streams);
    double n = engine->catch_up_ns > 0 ? pass_ns / engine->catch_up_ns : PIECE_MIN;
    return n < PIECE_MIN ? PIECE_MIN : n > PIECE_MAX ? PIECE_MAX : (int32_t)n;
}

/* At least 1, so that what was measured differs from what was not. */
static int64_t time_since(const lcrt_engine *engine, int64_t begin_ns) {
    int64_t ns = lcrt_engine_now(engine) - begin_ns;
    return ns > 0 ? ns : 1;
}

static lcrt_status catch_up(lcrt_engine *engine, lcrt_drafting *drafting) {
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_status status = engine->drafter.vtable->catch_up(engine->drafter.self, drafting, piece(engine));
    int64_t ns = time_since(engine, begin_ns);
    lcrt_gate_spend(&engine->gate, ns);
    if (status == LCRT_OK && drafting->n > 0) {
        lcrt_average(&engine->catch_up_ns, (double)ns / drafting->n, LEARN);
    }
    return status;
}

/* Those that it lags too far behind to guess for are left out, and the first of them is caught up with by a piece;
 * *n_computed becomes its tokens. Where a pass wants as many rows of each sequence, it is all or none. */
static lcrt_status prepare(lcrt_engine *engine, int32_t n_max, int32_t *n_computed) {
    lcrt_status status = LCRT_OK;
    bool all = true;
    *n_computed = 0;
    for (int32_t i = 0; i < engine->n_shares && status == LCRT_OK; i++) {
        lcrt_drafting *drafting = &engine->draftings[i];
        drafting->n_max = drafting->n_max < n_max ? drafting->n_max : n_max;
        if (drafting->n_max > 0 && drafting->n_tokens - drafting->n_same > LAG_MAX) {
            status = *n_computed == 0 ? catch_up(engine, drafting) : LCRT_OK;
            *n_computed += *n_computed == 0 ? drafting->n : 0;
            drafting->n_max = drafting->n_tokens - drafting->n_same > LAG_MAX ? 0 : drafting->n_max;
            all = all && drafting->n_max > 0;
        }
    }
    for (int32_t i = 0; i < engine->n_shares && engine->backend.info.consecutive && !all; i++) {
        engine->draftings[i].n_max = 0;
    }
    return status;
}

static lcrt_status guess(lcrt_engine *engine, int32_t *n_guessed) {
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_status status = engine->drafter.vtable->guess(engine->drafter.self, engine->draftings, engine->n_shares);
    int64_t ns = time_since(engine, begin_ns);
    lcrt_gate_spend(&engine->gate, ns);
    *n_guessed = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        *n_guessed += engine->draftings[i].n;
    }
    if (status == LCRT_OK && *n_guessed > 0) {
        lcrt_average(&engine->guess_ns, (double)ns / *n_guessed, LEARN);
    }
    return status;
}

/* Its guesses become drafts, as far as they may come. */
static void take_guesses(lcrt_engine *engine) {
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        lcrt_draft *draft = &sequence->draft;
        if (engine->draftings[i].n > 0) {
            draft->n_found = lcrt_engine_usable_draft(engine, sequence, engine->draftings[i].n);
            lcrt_draft_note(draft);
            engine->wishes[i].n_max = draft->n_found;
        }
    }
}

void lcrt_engine_run_drafter(lcrt_engine *engine, int32_t n_max) {
    int32_t n_computed, n_guessed = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        if (engine->draftings[i].n_max > 0) {
            engine->wishes[i].n_max = 0;
        }
    }
    lcrt_status status = prepare(engine, n_max, &n_computed);
    if (status == LCRT_OK) {
        status = guess(engine, &n_guessed);
    }
    if (status != LCRT_OK) {
        lcrt_engine_drafter_free(engine); /* it goes on without */
        return;
    }
    if (n_computed + n_guessed == 0) {
        lcrt_gate_settle(&engine->gate, engine->n_streams, 0, 0); /* it could not, and is not asked at once again */
    }
    take_guesses(engine);
}
