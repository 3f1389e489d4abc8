#include "slots.h"

#include <stdlib.h>
#include <string.h>

lcrt_status lcrt_slots_init(lcrt_slots *slots, int32_t n) {
    memset(slots, 0, sizeof(*slots));
    slots->slots = calloc((size_t)n, sizeof(*slots->slots));
    slots->by_id = calloc((size_t)n, sizeof(*slots->by_id));
    if (slots->slots == NULL || slots->by_id == NULL || lcrt_prefix_init(n, &slots->prefix) != LCRT_OK) {
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
    free(slots->slots);
    free(slots->by_id);
    memset(slots, 0, sizeof(*slots));
}

int32_t lcrt_slots_held(const lcrt_slots *slots, int32_t slot) {
    int32_t n_tokens;
    lcrt_prefix_tokens(slots->prefix, slot, &n_tokens);
    return n_tokens;
}

/* How much of tokens a slot can spare its new job. */
static int32_t usable(const lcrt_slots *slots, int32_t slot, const int32_t *tokens, int32_t n_tokens, bool can_trim) {
    int32_t n_shared = lcrt_prefix_shared(slots->prefix, slot, tokens, n_tokens);
    int32_t n_max = n_tokens > 0 ? n_tokens - 1 : 0;
    if (can_trim) {
        return n_shared < n_max ? n_shared : n_max;
    }
    return n_shared == lcrt_slots_held(slots, slot) && n_shared <= n_max ? n_shared : 0;
}

int32_t lcrt_slots_find(const lcrt_slots *slots, const int32_t *tokens, int32_t n_tokens, bool can_trim,
                        int32_t *n_shared) {
    int32_t best = -1, best_lost = 0, oldest = -1;
    *n_shared = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        if (slots->slots[i].busy) {
            continue;
        }
        if (oldest < 0 || slots->slots[i].used < slots->slots[oldest].used) {
            oldest = i;
        }
        int32_t n = usable(slots, i, tokens, n_tokens, can_trim);
        int32_t n_lost = lcrt_slots_held(slots, i) - n;
        if (n > *n_shared || (n > 0 && n == *n_shared && n_lost < best_lost)) {
            best = i;
            best_lost = n_lost;
            *n_shared = n;
        }
    }
    if (best >= 0 && *n_shared >= n_tokens / 10) {
        return best;
    }
    *n_shared = oldest < 0 ? 0 : usable(slots, oldest, tokens, n_tokens, can_trim);
    return oldest;
}

void lcrt_slots_claim(lcrt_slots *slots, int32_t slot) {
    slots->slots[slot].busy = true;
}

void lcrt_slots_release(lcrt_slots *slots, int32_t slot) {
    slots->slots[slot].busy = false;
    slots->slots[slot].used = lcrt_slots_held(slots, slot) > 0 ? ++slots->tick : 0;
}

void lcrt_slots_clear(lcrt_slots *slots, int32_t slot) {
    lcrt_prefix_trim(slots->prefix, slot, 0);
    slots->slots[slot].used = 0;
}

int32_t lcrt_slots_oldest(const lcrt_slots *slots) {
    int32_t oldest = -1;
    for (int32_t i = 0; i < slots->n; i++) {
        bool candidate = !slots->slots[i].busy && lcrt_slots_held(slots, i) > 0;
        if (candidate && (oldest < 0 || slots->slots[i].used < slots->slots[oldest].used)) {
            oldest = i;
        }
    }
    return oldest;
}

void lcrt_slots_swap_ids(lcrt_slots *slots, int32_t a, int32_t b) {
    int32_t id = slots->slots[a].id;
    slots->slots[a].id = slots->slots[b].id;
    slots->slots[b].id = id;
    slots->by_id[slots->slots[a].id] = a;
    slots->by_id[slots->slots[b].id] = b;
}
