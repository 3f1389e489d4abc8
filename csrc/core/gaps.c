/* gaps.c -- active slots get consecutive sequence ids. */
#include "slots.h"

static bool id_active(const lcrt_slots *slots, int32_t id) {
    return slots->slots[slots->by_id[id]].active;
}

static int32_t n_active(const lcrt_slots *slots) {
    int32_t n = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        n += slots->slots[i].active;
    }
    return n;
}

bool lcrt_slots_compact(const lcrt_slots *slots) {
    int32_t n_edges = 0; /* where a run of active ids begins */
    for (int32_t id = 0; id < slots->n; id++) {
        n_edges += id_active(slots, id) && (id == 0 || !id_active(slots, id - 1));
    }
    return n_edges < 2;
}

/* The first id of the run of n ids that can be filled with the fewest tokens moved:
 * those of active slots outside of it, and of others inside. */
static int32_t cheapest_run(const lcrt_slots *slots, int32_t n) {
    int32_t best = 0;
    int64_t best_cost = INT64_MAX;
    for (int32_t first = 0; first + n <= slots->n; first++) {
        int64_t cost = 0;
        for (int32_t id = 0; id < slots->n; id++) {
            bool inside = id >= first && id < first + n;
            if (inside != id_active(slots, id)) {
                cost += lcrt_slots_held(slots, slots->by_id[id]);
            }
        }
        if (cost < best_cost) {
            best = first;
            best_cost = cost;
        }
    }
    return best;
}

/* Content of a slot to the id of another one, which holds nothing; they exchange ids. */
static lcrt_status move(lcrt_slots *slots, const lcrt_backend *backend, int32_t from, int32_t to, int64_t *n_moves) {
    if (lcrt_slots_held(slots, from) > 0) {
        lcrt_status status = backend->vtable->move(backend->self, slots->slots[from].id, slots->slots[to].id);
        if (status != LCRT_OK) {
            return status;
        }
        ++*n_moves;
    }
    lcrt_slots_swap_ids(slots, from, to);
    return LCRT_OK;
}

/* A slot that is not active and has no content, -1 without any. */
static int32_t empty_place(const lcrt_slots *slots) {
    for (int32_t i = 0; i < slots->n; i++) {
        if (!slots->slots[i].active && lcrt_slots_held(slots, i) == 0) {
            return i;
        }
    }
    return -1;
}

/* An active slot takes the id of another one, whose content goes to an empty one. */
static lcrt_status take_id(lcrt_slots *slots, const lcrt_backend *backend, int32_t active, int32_t other,
                           int64_t *n_moves) {
    if (lcrt_slots_held(slots, active) == 0) {
        return move(slots, backend, other, active, n_moves);
    }
    if (lcrt_slots_held(slots, other) > 0) {
        int32_t empty = empty_place(slots);
        lcrt_status status = empty < 0 ? LCRT_ERR_FULL : move(slots, backend, other, empty, n_moves);
        if (status != LCRT_OK) {
            return status;
        }
        other = empty;
    }
    return move(slots, backend, active, other, n_moves);
}

lcrt_status lcrt_slots_close_gaps(lcrt_slots *slots, const lcrt_backend *backend, int64_t *n_moves) {
    int32_t n = n_active(slots);
    int32_t first = cheapest_run(slots, n);
    int32_t outside = 0;
    for (int32_t id = first; id < first + n; id++) {
        if (id_active(slots, id)) {
            continue;
        }
        while (!id_active(slots, outside) || (outside >= first && outside < first + n)) {
            outside++;
        }
        lcrt_status status = take_id(slots, backend, slots->by_id[outside], slots->by_id[id], n_moves);
        if (status != LCRT_OK) {
            return status;
        }
    }
    return LCRT_OK;
}
