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
    int32_t n_new = sequence->n_tokens - lcrt_engine_held(engine, sequence);
    return sequence->started && n_new <= (sequence->n_known > 1 ? sequence->n_known : 1);
}

int32_t lcrt_engine_free_cells(const lcrt_engine *engine) {
    if (!engine->backend.info.unified) {
        return INT32_MAX;
    }
    return engine->backend.info.n_ctx - (int32_t)engine->slots.cells.n_used;
}

void lcrt_engine_lose(lcrt_engine *engine, int32_t slot, int32_t n_kept) {
    lcrt_engine_keep(engine, slot, n_kept);
}

lcrt_status lcrt_engine_drop(lcrt_engine *engine, int32_t slot) {
    lcrt_status status = engine->backend.vtable->trim(engine->backend.self, engine->slots.slots[slot].id, 0, -1);
    if (status == LCRT_OK) {
        lcrt_slots_trim(&engine->slots, slot, 0);
        lcrt_engine_cut_checkpoints(engine, slot, 0);
    }
    return status;
}

lcrt_status lcrt_engine_evict(lcrt_engine *engine, int32_t slot) {
    if (lcrt_slots_held(&engine->slots, slot) == 0) {
        return LCRT_OK;
    }
    lcrt_engine_lose(engine, slot, 0);
    return lcrt_engine_drop(engine, slot);
}

/* Drops the idle content whose cells are worth least. */
static bool evict_loosest(lcrt_engine *engine) {
    int32_t slot = lcrt_slots_loosest(&engine->slots, lcrt_engine_now(engine));
    return slot >= 0 && lcrt_engine_evict(engine, slot) == LCRT_OK;
}

void lcrt_engine_free_idle(lcrt_engine *engine, int32_t n) {
    bool more = true;
    while (more && lcrt_engine_free_cells(engine) < n) {
        more = evict_loosest(engine);
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

/* Cells that a running job has, or will have, in common with an older one. */
static int32_t overlap_of(const lcrt_engine *engine, int32_t i) {
    const lcrt_sequence *sequence = engine->running[i];
    int32_t n_max = sequence->leader != 0 ? sequence->n_join : 0;
    for (int32_t k = 0; k < i; k++) {
        int32_t n = lcrt_cells_common(&engine->slots.cells, sequence->slot, engine->running[k]->slot);
        n_max = n > n_max ? n : n_max;
    }
    return n_max;
}

bool lcrt_engine_fits(const lcrt_engine *engine, const lcrt_sequence *sequence, int32_t n_busy) {
    if (!engine->backend.info.unified || engine->n_running == 0) {
        return true;
    }
    int64_t n = reserve_of(engine, sequence) - n_busy;
    for (int32_t i = 0; i < engine->n_running; i++) {
        n += reserve_of(engine, engine->running[i]) - overlap_of(engine, i);
    }
    return n <= engine->backend.info.n_ctx;
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
    while (status == LCRT_ERR_FULL) {
        int32_t slot = lcrt_slots_least(&engine->slots, lcrt_engine_now(engine));
        if (slot < 0 || lcrt_engine_evict(engine, slot) != LCRT_OK) {
            break;
        }
        status = lcrt_slots_close_gaps(&engine->slots, &engine->backend, &n_moves);
    }
    atomic_fetch_add_explicit(&engine->counters.n_moves, n_moves, memory_order_relaxed);
    engine->n_gap_steps = status == LCRT_OK || status == LCRT_ERR_FULL ? 0 : -GAP_RETRY;
}

/* Whether other slots have cells of this one behind the first n; idle ones give them up. */
static bool tied(lcrt_engine *engine, int32_t slot, int32_t n) {
    lcrt_slots *slots = &engine->slots;
    const lcrt_backend *backend = &engine->backend;
    for (int32_t i = 0; i < slots->n; i++) {
        if (slots->slots[i].busy || lcrt_cells_common(&slots->cells, slot, i) <= n) {
            continue;
        }
        lcrt_engine_lose(engine, i, n);
        if (backend->vtable->trim(backend->self, slots->slots[i].id, n, -1) == LCRT_OK) {
            lcrt_slots_trim(slots, i, n);
        }
    }
    return lcrt_cells_shared(&slots->cells, slot) > n;
}

/* What a job holds in [p0, p1) goes, and what is behind moves down. Cells that another job
 * has too cannot move: then all behind p0 is given up, and computed again from there. */
static lcrt_status move_down(lcrt_engine *engine, const lcrt_sequence *sequence, int32_t p0, int32_t p1) {
    const lcrt_backend *backend = &engine->backend;
    int32_t n_held = lcrt_engine_held(engine, sequence);
    int32_t slot = sequence->slot, id = engine->slots.slots[slot].id;
    bool again = n_held > p1 && tied(engine, slot, p1);
    lcrt_status status = backend->vtable->trim(backend->self, id, p0, again ? -1 : p1);
    if (status != LCRT_OK) {
        return LCRT_ERR_UNSUPPORTED;
    }
    if (again) {
        lcrt_slots_trim(&engine->slots, slot, p0);
        return LCRT_OK;
    }
    if (n_held > p1) {
        status = backend->vtable->shift(backend->self, id, p1, n_held, p0 - p1);
    }
    return status == LCRT_OK ? lcrt_slots_cut(&engine->slots, slot, p0, p1) : status;
}

/* Forgets the older half of what a job holds behind the tokens it keeps. False when there
 * is nothing to forget or the backend cannot; the job then has its finish. */
static bool shift(lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t n_keep = sequence->n_keep < 0 ? sequence->n_prompt : sequence->n_keep;
    int32_t n_kept, n_dropped;
    lcrt_shift_plan(sequence->n_tokens - 1, sequence->n_ctx, n_keep, &n_kept, &n_dropped);
    int32_t n_held = lcrt_engine_held(engine, sequence);
    int32_t p0 = n_kept < n_held ? n_kept : n_held;
    int32_t p1 = n_kept + n_dropped < n_held ? n_kept + n_dropped : n_held;
    lcrt_status status = n_dropped > 0 ? LCRT_OK : LCRT_ERR_UNSUPPORTED;
    if (status == LCRT_OK && p1 > p0) {
        status = move_down(engine, sequence, p0, p1);
    }
    if (status == LCRT_ERR_UNSUPPORTED) {
        lcrt_sequence_finish(sequence, LCRT_FINISH_LENGTH, LCRT_OK, lcrt_engine_now(engine));
        lcrt_engine_retire(engine, sequence);
        return false;
    }
    if (status != LCRT_OK) {
        lcrt_engine_fail(engine, sequence, status);
        return false;
    }
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
    if (evict_loosest(engine)) {
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
