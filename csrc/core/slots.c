#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "value.h"

lcrt_status lcrt_slots_init(lcrt_slots *slots, int32_t n) {
    memset(slots, 0, sizeof(*slots));
    slots->slots = calloc((size_t)n, sizeof(*slots->slots));
    slots->sets = calloc((size_t)n, sizeof(*slots->sets));
    slots->by_id = calloc((size_t)n, sizeof(*slots->by_id));
    slots->n_shared = calloc((size_t)n, sizeof(*slots->n_shared));
    bool made = slots->slots != NULL && slots->sets != NULL && slots->by_id != NULL && slots->n_shared != NULL &&
                lcrt_cells_init(&slots->cells, n) == LCRT_OK;
    if (!made || lcrt_prefix_init(n, &slots->sets[0].tree) != LCRT_OK) {
        lcrt_slots_free(slots);
        return LCRT_ERR_NO_MEMORY;
    }
    slots->n = n;
    slots->n_sets = 1;
    slots->sets[0].n_slots = n;
    for (int32_t i = 0; i < n; i++) {
        slots->slots[i].id = slots->by_id[i] = i;
        slots->slots[i].tree = slots->sets[0].tree;
    }
    return LCRT_OK;
}

void lcrt_slots_free(lcrt_slots *slots) {
    for (int32_t i = 0; i < slots->n_sets; i++) {
        lcrt_prefix_free(slots->sets[i].tree);
    }
    lcrt_cells_free(&slots->cells);
    free(slots->slots);
    free(slots->sets);
    free(slots->by_id);
    free(slots->n_shared);
    memset(slots, 0, sizeof(*slots));
}

int32_t lcrt_slots_held(const lcrt_slots *slots, int32_t slot) {
    return lcrt_prefix_length(slots->slots[slot].tree, slot);
}

void lcrt_slots_read(const lcrt_slots *slots, int32_t slot, int32_t n, int32_t *out) {
    lcrt_prefix_read(slots->slots[slot].tree, slot, n, out);
}

int32_t lcrt_slots_common(const lcrt_slots *slots, int32_t slot) {
    return lcrt_prefix_common(slots->slots[slot].tree, slot, false);
}

static lcrt_slots_set *find_set(const lcrt_slots *slots, uint64_t set) {
    for (int32_t i = 0; i < slots->n_sets; i++) {
        if (slots->sets[i].set == set) {
            return &slots->sets[i];
        }
    }
    return NULL;
}

void lcrt_slots_look_up(lcrt_slots *slots, uint64_t set, const int32_t *tokens, int32_t n_tokens) {
    const lcrt_slots_set *found = find_set(slots, set);
    if (found != NULL) {
        lcrt_prefix_slots(found->tree, tokens, n_tokens, slots->n_shared);
    } else {
        memset(slots->n_shared, 0, (size_t)slots->n * sizeof(*slots->n_shared));
    }
}

/* One slot less; a set without slots is forgotten. */
static void leave_set(lcrt_slots *slots, lcrt_slots_set *old) {
    if (--old->n_slots == 0) {
        lcrt_prefix_free(old->tree);
        *old = slots->sets[--slots->n_sets];
    }
}

lcrt_status lcrt_slots_adapt(lcrt_slots *slots, int32_t slot, uint64_t set) {
    lcrt_slot *own = &slots->slots[slot];
    if (own->set == set) {
        return LCRT_OK;
    }
    lcrt_slots_set *old = find_set(slots, own->set);
    lcrt_slots_set *new = find_set(slots, set);
    if (new == NULL && old->n_slots == 1) {
        own->set = old->set = set; /* its tree is empty */
        return LCRT_OK;
    }
    if (new == NULL) {
        new = &slots->sets[slots->n_sets];
        *new = (lcrt_slots_set){.set = set};
        lcrt_status status = lcrt_prefix_init(slots->n, &new->tree);
        if (status != LCRT_OK) {
            return status;
        }
        slots->n_sets++;
    }
    new->n_slots++;
    own->set = set;
    own->tree = new->tree;
    leave_set(slots, old);
    return LCRT_OK;
}

void lcrt_slots_claim(lcrt_slots *slots, int32_t slot, bool closed) {
    slots->slots[slot].busy = true;
    slots->slots[slot].closed = closed;
}

void lcrt_slots_release(lcrt_slots *slots, int32_t slot, int64_t now_ns) {
    lcrt_slot *own = &slots->slots[slot];
    own->busy = own->closed = false;
    own->used = lcrt_slots_held(slots, slot) > 0 ? ++slots->tick : 0;
    own->used_ns = now_ns;
}

lcrt_status lcrt_slots_add(lcrt_slots *slots, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    lcrt_status status = lcrt_prefix_add(slots->slots[slot].tree, slot, tokens, n_tokens);
    if (status == LCRT_OK) {
        lcrt_cells_grow(&slots->cells, slot, n_tokens);
    }
    return status;
}

void lcrt_slots_share(lcrt_slots *slots, int32_t src, int32_t dst, int32_t n, bool common) {
    lcrt_prefix_copy(slots->slots[dst].tree, dst, src, n);
    if (common) {
        lcrt_cells_share(&slots->cells, src, dst, n);
    } else {
        lcrt_cells_grow(&slots->cells, dst, n);
    }
}

void lcrt_slots_trim(lcrt_slots *slots, int32_t slot, int32_t n) {
    lcrt_slot *own = &slots->slots[slot];
    lcrt_prefix_trim(own->tree, slot, n);
    lcrt_cells_trim(&slots->cells, slot, n);
    own->n_prompt = own->n_prompt < n ? own->n_prompt : n;
    if (n == 0) {
        own->used = 0;
        own->n_uses = 0;
    }
}

lcrt_status lcrt_slots_cut(lcrt_slots *slots, int32_t slot, int32_t p0, int32_t p1) {
    lcrt_status status = lcrt_prefix_cut(slots->slots[slot].tree, slot, p0, p1);
    if (status == LCRT_OK) {
        lcrt_cells_cut(&slots->cells, slot, p0, p1);
    }
    return status;
}

double lcrt_slots_value(const lcrt_slots *slots, int32_t slot, int32_t n_kept, int64_t now_ns) {
    const lcrt_slot *own = &slots->slots[slot];
    int32_t n_common = lcrt_slots_common(slots, slot);
    n_kept = n_common > n_kept ? n_common : n_kept;
    int32_t n_held = lcrt_slots_held(slots, slot);
    lcrt_worth worth = {
        .n_saved = n_held > n_kept ? n_held - n_kept : 0, .n_uses = own->n_uses, .age_ns = now_ns - own->used_ns};
    return lcrt_value(&worth);
}

int32_t lcrt_slots_least(const lcrt_slots *slots, int64_t now_ns) {
    int32_t least = -1;
    double least_value = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        if (slots->slots[i].busy || lcrt_slots_held(slots, i) == 0) {
            continue;
        }
        double value = lcrt_slots_value(slots, i, 0, now_ns);
        bool older = least >= 0 && slots->slots[i].used < slots->slots[least].used;
        if (least < 0 || value < least_value || (value == least_value && older)) {
            least = i;
            least_value = value;
        }
    }
    return least;
}

/* Cells that would be free if no idle slot had them. */
static int32_t kept_idle(const lcrt_slots *slots, int32_t slot) {
    int32_t n_busy = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        int32_t n = slots->slots[i].busy ? lcrt_cells_common(&slots->cells, slot, i) : 0;
        n_busy = n > n_busy ? n : n_busy;
    }
    return lcrt_slots_held(slots, slot) - n_busy;
}

int32_t lcrt_slots_loosest(const lcrt_slots *slots, int64_t now_ns) {
    int32_t loosest = -1, shared = -1;
    double least_value = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        int32_t n_freed = lcrt_slots_held(slots, i) - lcrt_cells_shared(&slots->cells, i);
        if (slots->slots[i].busy) {
            continue;
        }
        if (n_freed <= 0) {
            bool first = shared < 0 || slots->slots[i].used < slots->slots[shared].used;
            shared = first && kept_idle(slots, i) > 0 ? i : shared;
            continue;
        }
        double value = lcrt_slots_value(slots, i, 0, now_ns) / n_freed;
        bool older = loosest >= 0 && slots->slots[i].used < slots->slots[loosest].used;
        if (loosest < 0 || value < least_value || (value == least_value && older)) {
            loosest = i;
            least_value = value;
        }
    }
    return loosest >= 0 ? loosest : shared;
}

void lcrt_slots_swap_ids(lcrt_slots *slots, int32_t a, int32_t b) {
    int32_t id = slots->slots[a].id;
    slots->slots[a].id = slots->slots[b].id;
    slots->slots[b].id = id;
    slots->by_id[slots->slots[a].id] = a;
    slots->by_id[slots->slots[b].id] = b;
}
