/* engine-checkpoints.c -- how slots are cut whose memory cannot be cut at any length. */
#include <stdlib.h>

#include "engine-state.h"
#include "engine-tiers.h"

/* Tokens between the checkpoints of a long prompt. Going back to one computes at most so many again, about a
 * second on a small machine. Taking one copies megabytes: milliseconds, against a second of computing. */
#define DISTANCE 1024
/* Shorter contents are computed again. */
#define LENGTH_MIN 32
/* The generation prompt is looked for among so many last tokens. */
#define BOUNDARY_MAX 64
/* Most checkpoints of a slot. */
#define N_MAX 32

static bool has_checkpoints(const lcrt_engine *engine) {
    return !engine->backend.info.can_trim && engine->keeper.checkpoints_max > 0;
}

int32_t lcrt_engine_reach(const lcrt_engine *engine, int32_t slot, int32_t n) {
    const lcrt_backend *backend = &engine->backend;
    int32_t n_held = lcrt_slots_held(&engine->slots, slot);
    if (n >= n_held || backend->info.can_trim) {
        return n < n_held ? n : n_held;
    }
    if (n > 0 && n >= backend->vtable->trim_min(backend->self, engine->slots.slots[slot].id)) {
        return n;
    }
    const lcrt_checkpoint *checkpoint = lcrt_checkpoints_find(&engine->keeper.checkpoints[slot], n);
    return checkpoint != NULL ? checkpoint->n_tokens : 0;
}

/* Where it is now. Nothing happens without memory for it. */
static void take(lcrt_engine *engine, int32_t slot) {
    const lcrt_backend *backend = &engine->backend;
    lcrt_checkpoints *list = &engine->keeper.checkpoints[slot];
    int32_t n = lcrt_slots_held(&engine->slots, slot);
    const lcrt_checkpoint *last = lcrt_checkpoints_find(list, n);
    size_t len = backend->vtable->state_size(backend->self, engine->slots.slots[slot].id, true);
    int64_t n_max = len > 0 ? engine->keeper.checkpoints_max / (int64_t)len : 0;
    if (n_max == 0 || n < LENGTH_MIN || (last != NULL && last->n_tokens == n)) {
        return;
    }
    lcrt_checkpoint *checkpoint = lcrt_checkpoint_new(n, len);
    if (checkpoint == NULL) {
        return;
    }
    int32_t id = engine->slots.slots[slot].id;
    size_t n_bytes;
    if (backend->vtable->state_get(backend->self, id, true, checkpoint->data, len, &n_bytes) != LCRT_OK) {
        lcrt_checkpoint_free(checkpoint);
        return;
    }
    checkpoint->len = n_bytes;
    if (lcrt_checkpoints_put(list, checkpoint) == LCRT_OK) {
        lcrt_checkpoints_thin(list, n_max < N_MAX ? (int32_t)n_max : N_MAX);
        atomic_fetch_add_explicit(&engine->keeper.counters.n_checkpoints, 1, memory_order_relaxed);
    }
}

lcrt_status lcrt_engine_cut(lcrt_engine *engine, int32_t slot, int32_t n) {
    const lcrt_backend *backend = &engine->backend;
    int32_t id = engine->slots.slots[slot].id;
    if (n == 0) {
        return lcrt_engine_drop(engine, slot);
    }
    if (n >= lcrt_slots_held(&engine->slots, slot)) {
        if (has_checkpoints(engine)) {
            take(engine, slot); /* a turn ended here, and another one begins */
        }
        return LCRT_OK;
    }
    lcrt_status status = LCRT_ERR_UNSUPPORTED;
    if (backend->info.can_trim || n >= backend->vtable->trim_min(backend->self, id)) {
        status = backend->vtable->trim(backend->self, id, n, -1);
    } else {
        const lcrt_checkpoint *checkpoint = lcrt_checkpoints_find(&engine->keeper.checkpoints[slot], n);
        if (checkpoint != NULL && checkpoint->n_tokens == n) {
            status = backend->vtable->state_set(backend->self, id, true, checkpoint->data, checkpoint->len);
        }
    }
    if (status == LCRT_OK) {
        lcrt_slots_trim(&engine->slots, slot, n);
        lcrt_engine_cut_checkpoints(engine, slot, n);
    }
    return status;
}

void lcrt_engine_share_checkpoints(lcrt_engine *engine, int32_t src, int32_t dst, int32_t n) {
    const lcrt_checkpoints *from = &engine->keeper.checkpoints[src];
    lcrt_checkpoints *list = &engine->keeper.checkpoints[dst];
    lcrt_checkpoints_cut(list, 0);
    (void)lcrt_checkpoints_copy(list, from, n);
}

void lcrt_engine_cut_checkpoints(lcrt_engine *engine, int32_t slot, int32_t n) {
    lcrt_checkpoints_cut(&engine->keeper.checkpoints[slot], n);
}

/* Where the messages end and the generation prompt begins, as the last control token tells: the next turn has
 * everything before it in common. Without one, all but the last token: the same prompt may come again. */
static int32_t boundary_of(const lcrt_engine *engine, const lcrt_sequence *sequence, bool *told) {
    const lcrt_backend *backend = &engine->backend;
    int32_t n = sequence->n_prompt;
    for (int32_t i = n - 1; i > 0 && i >= n - BOUNDARY_MAX; i--) {
        char text[1];
        *told = backend->vtable->piece(backend->self, sequence->tokens[i], false, text, 0) == 0;
        if (*told) {
            return i;
        }
    }
    return n - 1;
}

/* Where the last message begins, as the same control token tells: other conversations may have everything before
 * it in common, and this one when the message is written anew. 0: unknown. */
static int32_t message_of(const lcrt_sequence *sequence, int32_t boundary) {
    int32_t i = boundary - 1;
    while (i > 0 && sequence->tokens[i] != sequence->tokens[boundary]) {
        i--;
    }
    return i > 0 ? i : 0;
}

void lcrt_engine_plan_checkpoint(const lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t n_held = lcrt_engine_held(engine, sequence);
    sequence->mark = INT32_MAX;
    if (!has_checkpoints(engine) || !sequence->cache || n_held >= sequence->n_prompt) {
        return;
    }
    bool told = false;
    int32_t boundary = boundary_of(engine, sequence, &told);
    int32_t message = told ? message_of(sequence, boundary) : 0;
    int32_t next = (n_held / DISTANCE + 1) * DISTANCE;
    if (message - n_held >= LENGTH_MIN && message < next && boundary - message >= LENGTH_MIN) {
        next = message;
    }
    next = next < boundary ? next : boundary;
    if (next > n_held && next >= LENGTH_MIN) {
        sequence->mark = next;
    }
}

void lcrt_engine_take_checkpoints(lcrt_engine *engine) {
    if (!has_checkpoints(engine)) {
        return;
    }
    for (int32_t i = 0; i < engine->n_running; i++) {
        lcrt_sequence *sequence = engine->running[i];
        if (sequence->n_rows > 0 && lcrt_engine_held(engine, sequence) == sequence->mark) {
            take(engine, sequence->slot);
            lcrt_engine_plan_checkpoint(engine, sequence);
        }
    }
}
