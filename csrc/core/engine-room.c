#include "engine-state.h"
#include "shift.h"

/* Steps that a gap between sequence ids is left open: a new job may fill it. */
#define GAP_PATIENCE 4
/* Steps until closing gaps is tried again after the backend could not. */
#define GAP_RETRY 1000
/* The least room for an answer that admission leaves to every job. */
#define ANSWER_ROOM_MIN 32

int32_t lcrt_engine_held(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    return lcrt_slots_held(&engine->slots, sequence->slot);
}

bool lcrt_engine_decoding(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    return sequence->started && sequence->n_tokens - lcrt_engine_held(engine, sequence) == 1;
}

int32_t lcrt_engine_free_cells(const lcrt_engine *engine) {
    if (!engine->backend.info.unified) {
        return INT32_MAX;
    }
    int32_t n = engine->backend.info.n_ctx;
    for (int32_t i = 0; i < engine->slots.n; i++) {
        n -= lcrt_slots_held(&engine->slots, i);
    }
    return n;
}

lcrt_status lcrt_engine_drop(lcrt_engine *engine, int32_t slot) {
    lcrt_status status = engine->backend.vtable->trim(engine->backend.self, engine->slots.slots[slot].id, 0, -1);
    if (status == LCRT_OK) {
        lcrt_slots_clear(&engine->slots, slot);
    }
    return status;
}

void lcrt_engine_free_idle(lcrt_engine *engine, int32_t n) {
    while (lcrt_engine_free_cells(engine) < n) {
        int32_t slot = lcrt_slots_oldest(&engine->slots);
        if (slot < 0 || lcrt_engine_drop(engine, slot) != LCRT_OK) {
            return;
        }
    }
}

/* Cells that a job needs soon: what it has and some of the answer that may follow. */
static int64_t reserve_of(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    int32_t room = engine->backend.info.n_ctx / (4 * engine->slots.n);
    room = room > ANSWER_ROOM_MIN ? room : ANSWER_ROOM_MIN;
    int32_t n_left = sequence->n_ctx - sequence->n_tokens;
    room = room < n_left ? room : n_left;
    if (sequence->max_tokens >= 0) {
        n_left = sequence->max_tokens - sequence->usage.n_generated;
        room = room < n_left ? room : n_left;
    }
    return (int64_t)sequence->n_tokens + room;
}

/* Whether the pool has room for one more job beside the running ones. */
static bool fits(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    if (!engine->backend.info.unified || engine->n_running == 0) {
        return true;
    }
    int64_t n = reserve_of(engine, sequence);
    for (int32_t i = 0; i < engine->n_running; i++) {
        n += reserve_of(engine, engine->running[i]);
    }
    return n <= engine->backend.info.n_ctx;
}

/* A slot keeps its first n_shared tokens, or none where the backend cannot. */
static lcrt_status keep_shared(lcrt_engine *engine, int32_t slot, int32_t *n_shared) {
    if (lcrt_slots_held(&engine->slots, slot) == *n_shared) {
        return LCRT_OK;
    }
    const lcrt_backend *backend = &engine->backend;
    int32_t id = engine->slots.slots[slot].id;
    if (*n_shared > 0 && backend->vtable->trim(backend->self, id, *n_shared, -1) == LCRT_OK) {
        lcrt_prefix_trim(engine->slots.prefix, slot, *n_shared);
        return LCRT_OK;
    }
    *n_shared = 0;
    return lcrt_engine_drop(engine, slot);
}

/* Running jobs stay in order of submission. */
static void insert_running(lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t i = engine->n_running++;
    for (; i > 0 && engine->running[i - 1]->serial > sequence->serial; i--) {
        engine->running[i] = engine->running[i - 1];
    }
    engine->running[i] = sequence;
}

static void place(lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t n_shared;
    int32_t n_wanted = sequence->cache ? sequence->n_tokens : 0;
    bool can_trim = engine->backend.info.can_trim;
    int32_t slot = lcrt_slots_find(&engine->slots, sequence->tokens, n_wanted, can_trim, &n_shared);
    lcrt_slots_claim(&engine->slots, slot);
    sequence->slot = slot;
    engine->owners[slot] = sequence;
    insert_running(engine, sequence);
    lcrt_status status = keep_shared(engine, slot, &n_shared);
    if (status != LCRT_OK) {
        lcrt_engine_fail(engine, sequence, status);
        return;
    }
    if (sequence->row_ns == 0) {
        sequence->usage.n_cached = n_shared;
    }
}

void lcrt_engine_admit(lcrt_engine *engine) {
    while (engine->waiting.first != NULL && engine->n_running < engine->slots.n) {
        lcrt_sequence *sequence = engine->waiting.first;
        bool held = engine->admission_held && engine->n_running > 0;
        if (held || !fits(engine, sequence)) {
            return;
        }
        engine->waiting.first = sequence->next;
        if (sequence->next == NULL) {
            engine->waiting.end = &engine->waiting.first;
        }
        atomic_fetch_sub(&engine->n_queued, 1);
        place(engine, sequence);
    }
}

void lcrt_engine_close_gaps(lcrt_engine *engine) {
    bool begins = false; /* a slot without content has rows: now it can go anywhere for nothing */
    for (int32_t i = 0; i < engine->slots.n; i++) {
        lcrt_slot *slot = &engine->slots.slots[i];
        bool held = lcrt_slots_held(&engine->slots, i) > 0;
        bool rows = engine->owners[i] != NULL && engine->owners[i]->n_rows > 0;
        slot->active = rows || (slot->busy && held);
        begins = begins || (rows && !held);
    }
    if (!engine->backend.info.consecutive || lcrt_slots_compact(&engine->slots)) {
        engine->n_gap_steps = engine->n_gap_steps < 0 ? engine->n_gap_steps : 0;
        return;
    }
    engine->n_gap_steps++;
    if (engine->n_gap_steps < 0 || (!begins && engine->n_gap_steps < GAP_PATIENCE)) {
        return;
    }
    int64_t n_moves = 0;
    lcrt_status status = lcrt_slots_close_gaps(&engine->slots, &engine->backend, &n_moves);
    atomic_fetch_add_explicit(&engine->counters.n_moves, n_moves, memory_order_relaxed);
    engine->n_gap_steps = status == LCRT_OK || status == LCRT_ERR_FULL ? 0 : -GAP_RETRY;
}

/* Forgets the older half of what a job holds behind the tokens it keeps. False when there
 * is nothing to forget or the backend cannot; the job then has its finish. */
static bool shift(lcrt_engine *engine, lcrt_sequence *sequence) {
    const lcrt_backend *backend = &engine->backend;
    int32_t n_keep = sequence->n_keep < 0 ? sequence->n_prompt : sequence->n_keep;
    int32_t n_kept, n_dropped;
    lcrt_shift_plan(sequence->n_tokens - 1, sequence->n_ctx, n_keep, &n_kept, &n_dropped);
    int32_t n_held = lcrt_engine_held(engine, sequence);
    int32_t p0 = n_kept < n_held ? n_kept : n_held;
    int32_t p1 = n_kept + n_dropped < n_held ? n_kept + n_dropped : n_held;
    int32_t id = engine->slots.slots[sequence->slot].id;
    lcrt_status status = n_dropped > 0 ? LCRT_OK : LCRT_ERR_UNSUPPORTED;
    if (status == LCRT_OK && p1 > p0) {
        status = backend->vtable->trim(backend->self, id, p0, p1);
    }
    if (status != LCRT_OK) {
        lcrt_sequence_finish(sequence, LCRT_FINISH_LENGTH, LCRT_OK, lcrt_engine_now(engine));
        lcrt_engine_retire(engine, sequence);
        return false;
    }
    if (n_held > p1 && p1 > p0) {
        status = backend->vtable->shift(backend->self, id, p1, n_held, p0 - p1);
    }
    if (status != LCRT_OK) {
        lcrt_engine_fail(engine, sequence, status);
        return false;
    }
    lcrt_prefix_cut(engine->slots.prefix, sequence->slot, p0, p1);
    int32_t *tokens = sequence->tokens;
    for (int32_t i = n_kept + n_dropped; i < sequence->n_tokens; i++) {
        tokens[i - n_dropped] = tokens[i];
    }
    sequence->n_tokens -= n_dropped;
    sequence->usage.n_shifts++;
    return true;
}

void lcrt_engine_shift_full(lcrt_engine *engine) {
    for (int32_t i = engine->n_running - 1; i >= 0; i--) {
        lcrt_sequence *sequence = engine->running[i];
        if (sequence->n_tokens >= sequence->n_ctx) {
            (void)shift(engine, sequence);
        }
    }
}

/* The only running job does not fit the cells that there are. */
static void make_room_alone(lcrt_engine *engine) {
    lcrt_sequence *sequence = engine->running[0];
    if (!sequence->started) {
        lcrt_engine_fail(engine, sequence, LCRT_ERR_FULL);
        return;
    }
    if (sequence->shift && engine->backend.info.can_shift && engine->backend.info.can_trim) {
        (void)shift(engine, sequence);
        return;
    }
    lcrt_sequence_finish(sequence, LCRT_FINISH_LENGTH, LCRT_OK, lcrt_engine_now(engine));
    lcrt_engine_retire(engine, sequence);
}

void lcrt_engine_make_room(lcrt_engine *engine, int32_t *n_prompt_max) {
    int32_t idle = lcrt_slots_oldest(&engine->slots);
    if (idle >= 0 && lcrt_engine_drop(engine, idle) == LCRT_OK) {
        return;
    }
    int32_t n_prompt = engine->n_prompt_rows;
    bool decoding = engine->n_streams > 0;
    if (n_prompt > 0 && (decoding || n_prompt > 1)) {
        *n_prompt_max = decoding ? 0 : n_prompt / 2;
        return;
    }
    *n_prompt_max = INT32_MAX;
    if (engine->n_running > 1) {
        lcrt_engine_preempt(engine, engine->running[engine->n_running - 1]); /* the youngest */
    } else {
        make_room_alone(engine);
    }
}
