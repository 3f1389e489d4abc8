/* engine-draft.c -- passes with more tokens than are known: guesses, each with a row of logits.
 *
 * Every token is drawn from the model's own row, from the front, as it would be without guesses;
 * a row is used only when all guesses before it were drawn. So drafts change when a token comes,
 * never which. */
#include <stdlib.h>
#include <string.h>

#include "engine-state.h"

/* Tokens of the history; about 9 MiB with its index. One text may take a quarter of it. */
#define HISTORY (1 << 17)
/* With more streams than this there are no drafts. */
#define STREAMS_MAX 8

static void add(atomic_int_fast64_t *counter, int64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

lcrt_status lcrt_engine_drafts_open(lcrt_engine *engine) {
    const lcrt_backend_info *info = &engine->backend.info;
    lcrt_gate_init(&engine->gate, engine->params.drafter != NULL || info->can_guess);
    bool goes_back = info->can_trim || info->n_undo > 0;
    if (engine->params.n_draft == 0 || !goes_back || info->n_outputs <= engine->params.n_slots) {
        return LCRT_OK;
    }
    engine->wishes = calloc((size_t)engine->params.n_slots, sizeof(*engine->wishes));
    return engine->wishes != NULL ? lcrt_lookup_init(HISTORY, &engine->lookup) : LCRT_ERR_NO_MEMORY;
}

void lcrt_engine_drafts_free(lcrt_engine *engine) {
    lcrt_lookup_free(engine->lookup);
    free(engine->wishes);
}

/* Writes what is new of a text into the history. */
static void put_text(lcrt_engine *engine, lcrt_sequence *sequence) {
    lcrt_draft *draft = &sequence->draft;
    int32_t n = sequence->usage.n_generated - draft->n_put;
    if (!draft->begun) {
        lcrt_gate_begin(&engine->gate, &draft->own);
        draft->begun = true;
        n = sequence->n_tokens < HISTORY / 4 ? sequence->n_tokens : HISTORY / 4;
    }
    n = n < sequence->n_tokens ? n : sequence->n_tokens;
    draft->n_put = sequence->usage.n_generated;
    lcrt_lookup_put(engine->lookup, &draft->trail, sequence->tokens + sequence->n_tokens - n, n);
}

/* Compares a guess with n tokens at the end of what has come. */
static void check_guess(lcrt_engine *engine, lcrt_sequence *sequence, lcrt_guess *guess, int32_t n) {
    for (int32_t i = sequence->n_tokens - n; i < sequence->n_tokens && guess->n_seen < guess->n; i++) {
        bool right = sequence->tokens[i] == guess->tokens[guess->n_seen];
        lcrt_gate_observe(&engine->gate, &sequence->draft.own, guess->source, right, !right);
        guess->n_seen = right ? guess->n_seen + 1 : guess->n;
    }
}

/* Learns from n tokens at the end of what has come. */
static void take_note(lcrt_engine *engine, lcrt_sequence *sequence, int32_t n) {
    check_guess(engine, sequence, &sequence->draft.guesses[0], n);
    check_guess(engine, sequence, &sequence->draft.guesses[1], n);
    for (int32_t i = sequence->n_tokens - n; i < sequence->n_tokens; i++) {
        lcrt_lookup_walk(engine->lookup, &sequence->draft.way, sequence->tokens[i]);
    }
}

int32_t lcrt_engine_usable_draft(const lcrt_engine *engine, const lcrt_sequence *sequence, int32_t n_found) {
    const lcrt_backend *backend = &engine->backend;
    const lcrt_grammar *grammar = &sequence->guided.grammar;
    const int32_t *tokens = sequence->draft.tokens;
    bool guided = lcrt_guided_is_on(&sequence->guided);
    int32_t n = 0;
    while (n < n_found && ((sequence->ignore_eog && !guided) || !backend->vtable->is_eog(backend->self, tokens[n]))) {
        n++;
    }
    return guided && n > 0 ? grammar->vtable->valid(grammar->self, tokens, n) : n;
}

int32_t lcrt_engine_draft_max(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    const lcrt_backend_info *info = &engine->backend.info;
    int32_t n_max = abs(engine->params.n_draft);
    n_max = info->can_trim || n_max < info->n_undo ? n_max : info->n_undo;
    int32_t n_left = sequence->n_ctx - sequence->n_tokens - 1;
    n_max = n_left < n_max ? n_left : n_max;
    if (sequence->max_tokens >= 0) {
        n_left = sequence->max_tokens - sequence->usage.n_generated - 1;
        n_max = n_left < n_max ? n_left : n_max;
    }
    return n_max;
}

/* The place whose tokens are guessed: behind the same last tokens, if these are many, else where the text is that
 * this one is like, and what else there is. */
static lcrt_place find_place(const lcrt_engine *engine, lcrt_sequence *sequence) {
    lcrt_draft *draft = &sequence->draft;
    const lcrt_way *way = &draft->way;
    int32_t level = LCRT_LOOKUP_LEVELS;
    lcrt_place found = lcrt_lookup_find(engine->lookup, sequence->tokens, sequence->n_tokens, &level);
    lcrt_place near = lcrt_lookup_next(engine->lookup, way, way->n_lost > 0);
    bool better = near.begun != 0 && way->n_lost == 0;
    draft->source = level;
    if (found.begun != 0 && (level < LCRT_LOOKUP_LEVELS - 1 || !better)) {
        draft->way = lcrt_lookup_follow(found);
        return found;
    }
    draft->source = better ? LCRT_GATE_NEAR : LCRT_GATE_SKIP;
    return way->n_lost <= 1 ? near : found;
}

void lcrt_draft_note(lcrt_draft *draft) {
    lcrt_guess *guess = &draft->guesses[draft->source == LCRT_GATE_MODEL];
    if (draft->n_found > 0 && guess->n_seen == guess->n) {
        memcpy(guess->tokens, draft->tokens, sizeof(guess->tokens));
        guess->n = draft->n_found;
        guess->n_seen = 0;
        guess->source = draft->source;
    }
}

/* Looks for a draft in the history. */
static lcrt_gate_wish find_draft(lcrt_engine *engine, lcrt_sequence *sequence) {
    lcrt_draft *draft = &sequence->draft;
    int32_t n_max = lcrt_engine_draft_max(engine, sequence);
    draft->n_found = 0;
    if (n_max > 0 && sequence->cache) {
        lcrt_place place = find_place(engine, sequence);
        int32_t n = lcrt_lookup_read(engine->lookup, place, sequence->tokens, sequence->n_tokens, draft->tokens, n_max);
        draft->n_found = lcrt_engine_usable_draft(engine, sequence, n);
    }
    lcrt_draft_note(draft);
    double rate = draft->n_found > 0 ? draft->own.rates[draft->source] : 0;
    return (lcrt_gate_wish){.n_max = draft->n_found, .rate = rate};
}

/* Rows that a pass has room for beyond those that its streams need, as far as the gate knows what they cost. More tokens
 * may be known than there is room for. */
static int32_t spare_rows(const lcrt_engine *engine, int32_t n_wanted) {
    const lcrt_backend_info *info = &engine->backend.info;
    int32_t n_chunk = engine->params.n_chunk;
    n_chunk = n_chunk > 0 ? n_chunk : lcrt_pace_chunk(&engine->pace, engine->n_streams);
    int32_t n = n_chunk - (n_wanted - engine->n_streams);
    n = n < info->n_batch - n_wanted ? n : info->n_batch - n_wanted;
    n = n < info->n_outputs - engine->n_streams ? n : info->n_outputs - engine->n_streams;
    n = n < LCRT_GATE_ROWS - engine->n_streams ? n : LCRT_GATE_ROWS - engine->n_streams;
    return n > 0 ? n : 0;
}

/* Whether every row of the pass is a stream's, and each of them comes to its end. */
static bool can_draft(const lcrt_engine *engine) {
    if (engine->drafts_held || engine->n_streams == 0 || engine->n_streams != engine->n_shares) {
        return false;
    }
    for (int32_t i = 0; i < engine->n_shares; i++) {
        const lcrt_sequence *sequence = engine->sharing[i];
        if (engine->shares[i].n_wanted < sequence->n_tokens - lcrt_engine_held(engine, sequence)) {
            return false;
        }
    }
    return engine->n_streams <= STREAMS_MAX;
}

/* Where a pass wants as many rows of each sequence, all wish the same. Memory with snapshots wants it in a pool too: a
 * pass of uneven ones falls apart, and the snapshots of one part do not outlive the next. */
static void level_wishes(lcrt_engine *engine) {
    bool even = engine->backend.info.consecutive || engine->backend.info.n_undo > 0;
    int32_t n_least = INT32_MAX;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        n_least = engine->wishes[i].n_max < n_least ? engine->wishes[i].n_max : n_least;
    }
    for (int32_t i = 0; i < engine->n_shares && even; i++) {
        engine->wishes[i].n_max = n_least;
    }
}

/* Finds drafts, decides how long they may be, and has those that do not exist yet made. */
static int32_t choose(lcrt_engine *engine, int32_t n_spare) {
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        engine->wishes[i] = lcrt_engine_wish_drafter(engine, i, find_draft(engine, sequence));
    }
    level_wishes(engine);
    bool always = engine->params.n_draft < 0;
    int32_t n_always = n_spare / engine->n_streams;
    int32_t n = always ? n_always : lcrt_gate_choose(&engine->gate, engine->wishes, engine->n_streams, n_spare);
    if (n > 0 && engine->drafter.vtable != NULL) {
        lcrt_engine_run_drafter(engine, n);
        level_wishes(engine);
    }
    return n;
}

int32_t lcrt_engine_plan_drafts(lcrt_engine *engine) {
    int32_t n_wanted = 0, n_drafted = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        sequence->draft.n = 0;
        n_wanted += engine->shares[i].n_wanted;
        if (engine->lookup != NULL && sequence->started && sequence->cache && !sequence->draft.begun) {
            put_text(engine, sequence);
        }
    }
    if (engine->lookup == NULL || !can_draft(engine)) {
        return 0;
    }
    int32_t n = choose(engine, spare_rows(engine, n_wanted));
    for (int32_t i = 0; i < engine->n_shares; i++) {
        int32_t n_own = engine->wishes[i].n_max < n ? engine->wishes[i].n_max : n;
        engine->sharing[i]->draft.n = n_own;
        engine->shares[i].n_wanted += n_own;
        n_drafted += n_own;
    }
    return n_drafted;
}

void lcrt_engine_fit_drafts(lcrt_engine *engine) {
    for (int32_t i = 0; i < engine->n_shares; i++) {
        lcrt_sequence *sequence = engine->sharing[i];
        lcrt_draft *draft = &sequence->draft;
        int32_t n_left = sequence->n_rows - (sequence->n_tokens - lcrt_engine_held(engine, sequence));
        n_left = n_left > 0 ? n_left : 0;
        draft->n = draft->n < n_left ? draft->n : n_left;
        draft->base = sequence->n_tokens;
        draft->n_kept = 0;
    }
}

bool lcrt_engine_drop_drafts(lcrt_engine *engine) {
    bool had_any = false;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        had_any = had_any || engine->sharing[i]->draft.n > 0;
    }
    engine->drafts_held = true;
    return had_any;
}

/* Whether the next row of a draft tells what comes next: its tokens so far are those that came. */
static bool goes_on(const lcrt_sequence *sequence) {
    const lcrt_draft *draft = &sequence->draft;
    int32_t n = sequence->n_tokens - draft->base;
    if (sequence->finish != LCRT_FINISH_NONE || sequence->n_tokens >= sequence->n_ctx || n > draft->n) {
        return false;
    }
    size_t len = (size_t)(n - draft->n_kept) * sizeof(int32_t);
    const int32_t *came = sequence->tokens + draft->base + draft->n_kept;
    return n > draft->n_kept && memcmp(came, draft->tokens + draft->n_kept, len) == 0;
}

/* The mask of a token that nobody could know of while the model computed. */
static void prepare_mask(lcrt_engine *engine, lcrt_sequence *sequence) {
    if (!lcrt_guided_is_on(&sequence->guided) || sequence->guided.ready) {
        return;
    }
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_guided_prepare(&sequence->guided);
    int64_t ns = lcrt_engine_now(engine) - begin_ns;
    add(&engine->counters.n_masks, 1);
    add(&engine->counters.mask_ns, ns);
    add(&engine->counters.mask_wait_ns, ns);
}

/* The cells of guesses that were right are the sequence's, those of the others are forgotten. */
static lcrt_status settle_cells(lcrt_engine *engine, const lcrt_sequence *sequence) {
    const lcrt_draft *draft = &sequence->draft;
    const lcrt_backend *backend = &engine->backend;
    int32_t n = draft->base + draft->n_kept;
    lcrt_status status = LCRT_OK;
    if (draft->n_kept > 0) {
        status = lcrt_slots_add(&engine->slots, sequence->slot, sequence->tokens + draft->base, draft->n_kept);
    }
    if (status == LCRT_OK && draft->n_kept < draft->n) {
        status = backend->vtable->trim(backend->self, engine->slots.slots[sequence->slot].id, n, -1);
    }
    return status;
}

lcrt_status lcrt_engine_follow_draft(lcrt_engine *engine, lcrt_draw *draw, bool can_shift, int64_t now_ns) {
    lcrt_sequence *sequence = draw->sequence;
    lcrt_draft *draft = &sequence->draft;
    const lcrt_backend *backend = &engine->backend;
    lcrt_status status = LCRT_OK;
    while (draft->n > 0 && goes_on(sequence)) {
        draft->n_kept = sequence->n_tokens - draft->base;
        const float *logits = backend->vtable->logits(backend->self, draw->row + draft->n_kept);
        if (logits == NULL) {
            return LCRT_ERR_BACKEND;
        }
        prepare_mask(engine, sequence);
        lcrt_sequence_sample(sequence, logits, backend->info.n_vocab);
        lcrt_sequence_advance(sequence, backend, can_shift, now_ns);
    }
    if (draft->n > 0) {
        status = settle_cells(engine, sequence);
        draw->n_drafted = draft->n;
        draw->n_kept = draft->n_kept;
        sequence->usage.n_drafted += draft->n;
        sequence->usage.n_accepted += draft->n_kept;
    }
    if (draft->begun) {
        take_note(engine, sequence, sequence->n_tokens - draft->base);
        put_text(engine, sequence);
    }
    return status;
}

void lcrt_engine_settle_drafts(lcrt_engine *engine) {
    int32_t n_drafted = 0, n_kept = 0;
    for (int32_t i = 0; i < engine->n_draws; i++) {
        n_drafted += engine->draws[i].n_drafted;
        n_kept += engine->draws[i].n_kept;
    }
    if (n_drafted > 0) {
        lcrt_gate_settle(&engine->gate, engine->n_streams, n_drafted, n_kept);
        add(&engine->counters.n_drafted, n_drafted);
        add(&engine->counters.n_accepted, n_kept);
    }
}
