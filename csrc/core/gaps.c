/* gaps.c -- active slots of each set get consecutive sequence ids. */
#include "slots.h"

static bool is_of(const lcrt_slots *slots, int32_t id, const lcrt_slots_set *set) {
    const lcrt_slot *slot = &slots->slots[slots->by_id[id]];
    return slot->active && slot->set == set->set;
}

static bool in_run(int32_t id, const lcrt_slots_set *set) {
    return id >= set->first && id < set->first + set->n_active;
}

static int32_t held_at(const lcrt_slots *slots, int32_t id) {
    return lcrt_slots_held(slots, slots->by_id[id]);
}

/* Whether an active slot with a lower id is of the same set. */
static bool has_lower(const lcrt_slots *slots, int32_t id) {
    uint64_t set = slots->slots[slots->by_id[id]].set;
    for (int32_t i = 0; i < id; i++) {
        const lcrt_slot *lower = &slots->slots[slots->by_id[i]];
        if (lower->active && lower->set == set) {
            return true;
        }
    }
    return false;
}

bool lcrt_slots_compact(const lcrt_slots *slots) {
    const lcrt_slot *last = NULL;
    for (int32_t id = 0; id < slots->n; id++) {
        const lcrt_slot *slot = &slots->slots[slots->by_id[id]];
        bool goes_on = last != NULL && last->active && last->set == slot->set;
        if (slot->active && !goes_on && has_lower(slots, id)) {
            return false;
        }
        last = slot;
    }
    return true;
}

/* How many slots of a set are active, and where most of what they hold is. */
static void weigh(lcrt_slots *slots, lcrt_slots_set *set) {
    double weight = 0, moment = 0;
    set->n_active = 0;
    set->first = -1;
    for (int32_t id = 0; id < slots->n; id++) {
        if (is_of(slots, id, set)) {
            double held = held_at(slots, id) + 1;
            set->n_active++;
            weight += held;
            moment += held * id;
        }
    }
    set->middle = weight > 0 ? moment / weight : 0;
}

/* Of those without a run, the set whose middle is lowest; NULL when all have one. */
static lcrt_slots_set *next_set(const lcrt_slots *slots) {
    lcrt_slots_set *next = NULL;
    for (int32_t i = 0; i < slots->n_sets; i++) {
        lcrt_slots_set *set = &slots->sets[i];
        if (set->n_active > 0 && set->first < 0 && (next == NULL || set->middle < next->middle)) {
            next = set;
        }
    }
    return next;
}

/* The first id of the run between lowest and highest that a set can have with the fewest tokens moved: those of
 * its own slots outside of it, and of others inside. */
static int32_t cheapest_run(const lcrt_slots *slots, lcrt_slots_set set, int32_t lowest, int32_t highest) {
    int32_t best = lowest;
    int64_t best_cost = INT64_MAX;
    for (set.first = lowest; set.first <= highest; set.first++) {
        int64_t cost = 0;
        for (int32_t id = 0; id < slots->n; id++) {
            cost += in_run(id, &set) != is_of(slots, id, &set) ? held_at(slots, id) : 0;
        }
        if (cost < best_cost) {
            best = set.first;
            best_cost = cost;
        }
    }
    return best;
}

/* A run for each set, in the order that they are in already. */
static void plan_runs(lcrt_slots *slots) {
    int32_t lowest = 0, n_left = 0;
    for (int32_t i = 0; i < slots->n_sets; i++) {
        weigh(slots, &slots->sets[i]);
        n_left += slots->sets[i].n_active;
    }
    for (lcrt_slots_set *set = next_set(slots); set != NULL; set = next_set(slots)) {
        set->first = cheapest_run(slots, *set, lowest, slots->n - n_left);
        lowest = set->first + set->n_active;
        n_left -= set->n_active;
    }
}

/* The set whose run an id is in, NULL without any. */
static const lcrt_slots_set *run_at(const lcrt_slots *slots, int32_t id) {
    for (int32_t i = 0; i < slots->n_sets; i++) {
        if (slots->sets[i].n_active > 0 && in_run(id, &slots->sets[i])) {
            return &slots->sets[i];
        }
    }
    return NULL;
}

/* An id of a set's run where something else has content; -1 without any. */
static int32_t content_in(const lcrt_slots *slots, const lcrt_slots_set *set) {
    for (int32_t id = set->first; id < set->first + set->n_active; id++) {
        if (!is_of(slots, id, set) && held_at(slots, id) > 0) {
            return id;
        }
    }
    return -1;
}

/* An id of a set's run without content: of another slot rather than of one of its own. -1 without any. */
static int32_t empty_in(const lcrt_slots *slots, const lcrt_slots_set *set) {
    int32_t found = -1;
    for (int32_t id = set->first; id < set->first + set->n_active; id++) {
        bool own = is_of(slots, id, set);
        if (held_at(slots, id) == 0 && (found < 0 || !own)) {
            found = id;
        }
    }
    return found;
}

/* An id without content, outside of all runs rather than in one; -1 without any. */
static int32_t empty_id(const lcrt_slots *slots) {
    int32_t found = -1;
    for (int32_t id = 0; id < slots->n; id++) {
        bool outside = run_at(slots, id) == NULL;
        if (held_at(slots, id) == 0 && (found < 0 || outside)) {
            found = id;
            if (outside) {
                return id;
            }
        }
    }
    return found;
}

/* An id outside of a set's run that one of its slots has: with content, or without. -1 without any. */
static int32_t stray_of(const lcrt_slots *slots, const lcrt_slots_set *set, bool content) {
    for (int32_t id = 0; id < slots->n; id++) {
        if (is_of(slots, id, set) && !in_run(id, set) && (held_at(slots, id) > 0) == content) {
            return id;
        }
    }
    return -1;
}

/* The next move of content; false when all is in its place. Content goes where its run has an id without any; where no
 * run has one, something makes way that is in the run of another one, and what belongs there comes next. So there are
 * two moves at most for each slot that gets into its place. */
static bool next_move(const lcrt_slots *slots, int32_t *from, int32_t *to) {
    int32_t in_the_way = -1;
    for (int32_t i = 0; i < slots->n_sets; i++) {
        const lcrt_slots_set *set = &slots->sets[i];
        *from = stray_of(slots, set, true);
        *to = *from >= 0 ? empty_in(slots, set) : -1;
        if (*to >= 0) {
            return true;
        }
        in_the_way = *from >= 0 ? content_in(slots, set) : in_the_way;
    }
    for (int32_t i = 0; i < slots->n_sets && in_the_way < 0; i++) {
        in_the_way = content_in(slots, &slots->sets[i]); /* of a slot that has no content yet */
    }
    *from = in_the_way;
    *to = empty_id(slots);
    return in_the_way >= 0;
}

/* Slots without content exchange ids for nothing. */
static void place_empty(lcrt_slots *slots, const lcrt_slots_set *set) {
    for (int32_t from = stray_of(slots, set, false); from >= 0; from = stray_of(slots, set, false)) {
        lcrt_slots_swap_ids(slots, slots->by_id[from], slots->by_id[empty_in(slots, set)]);
    }
}

lcrt_status lcrt_slots_close_gaps(lcrt_slots *slots, const lcrt_backend *backend, int64_t *n_moves) {
    int32_t from, to;
    plan_runs(slots);
    while (next_move(slots, &from, &to)) {
        lcrt_status status = to < 0 ? LCRT_ERR_FULL : backend->vtable->move(backend->self, from, to);
        if (status != LCRT_OK) {
            return status;
        }
        ++*n_moves;
        lcrt_slots_swap_ids(slots, slots->by_id[from], slots->by_id[to]);
    }
    for (int32_t i = 0; i < slots->n_sets; i++) {
        place_empty(slots, &slots->sets[i]);
    }
    return LCRT_OK;
}
