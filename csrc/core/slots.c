#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "value.h"

lcrt_status lcrt_slots_init(lcrt_slots *slots, int32_t n) {
    memset(slots, 0, sizeof(*slots));
    slots->slots = calloc((size_t)n, sizeof(*slots->slots));
    slots->by_id = calloc((size_t)n, sizeof(*slots->by_id));
    slots->n_shared = calloc((size_t)n, sizeof(*slots->n_shared));
    bool made = slots->slots != NULL && slots->by_id != NULL && slots->n_shared != NULL &&
                lcrt_cells_init(&slots->cells, n) == LCRT_OK;
    if (!made || lcrt_prefix_init(n, &slots->prefix) != LCRT_OK) {
        lcrt_slots_free(slots);
        return LCRT_ERR_NO_MEMORY;
    }
    slots->n = n;
    for (int32_t i = 0; i < n; i++) {
        slots->slots[i].id = slots->by_id[i] = i;
    }
    return LCRT_OK;
}

void lcrt_slots_free(lcrt_slots *slots) {
    lcrt_prefix_free(slots->prefix);
    lcrt_cells_free(&slots->cells);
    free(slots->slots);
    free(slots->by_id);
    free(slots->n_shared);
    memset(slots, 0, sizeof(*slots));
}

int32_t lcrt_slots_held(const lcrt_slots *slots, int32_t slot) {
    return lcrt_prefix_length(slots->prefix, slot);
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
    lcrt_status status = lcrt_prefix_add(slots->prefix, slot, tokens, n_tokens);
    if (status == LCRT_OK) {
        lcrt_cells_grow(&slots->cells, slot, n_tokens);
    }
    return status;
}

void lcrt_slots_share(lcrt_slots *slots, int32_t src, int32_t dst, int32_t n, bool common) {
    lcrt_prefix_copy(slots->prefix, dst, src, n);
    if (common) {
        lcrt_cells_share(&slots->cells, src, dst, n);
    } else {
        lcrt_cells_grow(&slots->cells, dst, n);
    }
}

void lcrt_slots_fill(lcrt_slots *slots, int32_t slot, int32_t entry, int32_t n) {
    lcrt_prefix_copy(slots->prefix, slot, entry, n);
    lcrt_cells_grow(&slots->cells, slot, n);
}

void lcrt_slots_trim(lcrt_slots *slots, int32_t slot, int32_t n) {
    lcrt_slot *own = &slots->slots[slot];
    lcrt_prefix_trim(slots->prefix, slot, n);
    lcrt_cells_trim(&slots->cells, slot, n);
    own->n_prompt = own->n_prompt < n ? own->n_prompt : n;
    if (n == 0) {
        own->used = 0;
        own->n_uses = 0;
    }
}

lcrt_status lcrt_slots_cut(lcrt_slots *slots, int32_t slot, int32_t p0, int32_t p1) {
    lcrt_status status = lcrt_prefix_cut(slots->prefix, slot, p0, p1);
    if (status == LCRT_OK) {
        lcrt_cells_cut(&slots->cells, slot, p0, p1);
    }
    return status;
}

double lcrt_slots_value(const lcrt_slots *slots, int32_t slot, int32_t n_kept, int64_t now_ns) {
    const lcrt_slot *own = &slots->slots[slot];
    int32_t n_common = lcrt_prefix_common(slots->prefix, slot, false);
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

int32_t lcrt_slots_loosest(const lcrt_slots *slots, int64_t now_ns) {
    int32_t loosest = -1;
    double least_value = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        int32_t n_freed = lcrt_slots_held(slots, i) - lcrt_cells_shared(&slots->cells, i);
        if (slots->slots[i].busy || n_freed <= 0) {
            continue;
        }
        double value = lcrt_slots_value(slots, i, 0, now_ns) / n_freed;
        bool older = loosest >= 0 && slots->slots[i].used < slots->slots[loosest].used;
        if (loosest < 0 || value < least_value || (value == least_value && older)) {
            loosest = i;
            least_value = value;
        }
    }
    return loosest;
}

void lcrt_slots_swap_ids(lcrt_slots *slots, int32_t a, int32_t b) {
    int32_t id = slots->slots[a].id;
    slots->slots[a].id = slots->slots[b].id;
    slots->slots[b].id = id;
    slots->by_id[slots->slots[a].id] = a;
    slots->by_id[slots->slots[b].id] = b;
}
