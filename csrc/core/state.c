#include "state.h"

#include <stdlib.h>
#include <string.h>

lcrt_checkpoint *lcrt_checkpoint_new(int32_t n_tokens, size_t len) {
    lcrt_checkpoint *checkpoint = malloc(sizeof(*checkpoint) + len);
    if (checkpoint != NULL) {
        atomic_init(&checkpoint->n_refs, 1);
        checkpoint->n_tokens = n_tokens;
        checkpoint->len = len;
    }
    return checkpoint;
}

lcrt_checkpoint *lcrt_checkpoint_ref(lcrt_checkpoint *checkpoint) {
    atomic_fetch_add_explicit(&checkpoint->n_refs, 1, memory_order_relaxed);
    return checkpoint;
}

void lcrt_checkpoint_free(lcrt_checkpoint *checkpoint) {
    if (checkpoint != NULL && atomic_fetch_sub(&checkpoint->n_refs, 1) == 1) {
        free(checkpoint);
    }
}

void lcrt_checkpoints_free(lcrt_checkpoints *list) {
    lcrt_checkpoints_cut(list, -1);
    free(list->items);
    *list = (lcrt_checkpoints){0};
}

/* Place of the first that is at least n long. */
static int32_t place_of(const lcrt_checkpoints *list, int32_t n) {
    int32_t i = list->n;
    while (i > 0 && list->items[i - 1]->n_tokens >= n) {
        i--;
    }
    return i;
}

static lcrt_status grow(lcrt_checkpoints *list) {
    if (list->n < list->cap) {
        return LCRT_OK;
    }
    int32_t cap = list->cap * 2 + 4;
    lcrt_checkpoint **items = realloc(list->items, (size_t)cap * sizeof(*items));
    if (items == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    list->items = items;
    list->cap = cap;
    return LCRT_OK;
}

lcrt_status lcrt_checkpoints_put(lcrt_checkpoints *list, lcrt_checkpoint *checkpoint) {
    int32_t at = place_of(list, checkpoint->n_tokens);
    if (at < list->n && list->items[at]->n_tokens == checkpoint->n_tokens) {
        lcrt_checkpoint_free(list->items[at]);
        list->items[at] = checkpoint;
        return LCRT_OK;
    }
    if (grow(list) != LCRT_OK) {
        lcrt_checkpoint_free(checkpoint);
        return LCRT_ERR_NO_MEMORY;
    }
    memmove(list->items + at + 1, list->items + at, (size_t)(list->n - at) * sizeof(*list->items));
    list->items[at] = checkpoint;
    list->n++;
    return LCRT_OK;
}

void lcrt_checkpoints_cut(lcrt_checkpoints *list, int32_t n) {
    while (list->n > 0 && list->items[list->n - 1]->n_tokens > n) {
        lcrt_checkpoint_free(list->items[--list->n]);
    }
}

lcrt_status lcrt_checkpoints_copy(lcrt_checkpoints *list, const lcrt_checkpoints *from, int32_t n) {
    for (int32_t i = 0; i < from->n && from->items[i]->n_tokens <= n; i++) {
        if (lcrt_checkpoints_put(list, lcrt_checkpoint_ref(from->items[i])) != LCRT_OK) {
            return LCRT_ERR_NO_MEMORY;
        }
    }
    return LCRT_OK;
}

lcrt_checkpoint *lcrt_checkpoints_find(const lcrt_checkpoints *list, int32_t n) {
    for (int32_t i = list->n; i > 0; i--) {
        if (list->items[i - 1]->n_tokens <= n) {
            return list->items[i - 1];
        }
    }
    return NULL;
}

size_t lcrt_checkpoints_len(const lcrt_checkpoints *list) {
    size_t len = 0;
    for (int32_t i = 0; i < list->n; i++) {
        len += list->items[i]->len;
    }
    return len;
}

void lcrt_checkpoints_thin(lcrt_checkpoints *list, int32_t n_max) {
    while (list->n > n_max && list->n > 1) {
        int32_t least = 0, gap_min = INT32_MAX;
        for (int32_t i = 0; i + 1 < list->n; i++) {
            int32_t before = i > 0 ? list->items[i - 1]->n_tokens : 0;
            int32_t gap = list->items[i + 1]->n_tokens - before;
            if (gap < gap_min) {
                least = i;
                gap_min = gap;
            }
        }
        lcrt_checkpoint_free(list->items[least]);
        list->n--;
        memmove(list->items + least, list->items + least + 1, (size_t)(list->n - least) * sizeof(*list->items));
    }
}

lcrt_status lcrt_state_init(const int32_t *tokens, int32_t n_tokens, size_t len, lcrt_state **out) {
    lcrt_state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    state->tokens = malloc((size_t)n_tokens * sizeof(*tokens) + 1);
    state->data = malloc(len + 1);
    if (state->tokens == NULL || state->data == NULL) {
        lcrt_state_free(state);
        return LCRT_ERR_NO_MEMORY;
    }
    if (n_tokens > 0) {
        memcpy(state->tokens, tokens, (size_t)n_tokens * sizeof(*tokens));
    }
    state->n_tokens = n_tokens;
    state->len = len;
    *out = state;
    return LCRT_OK;
}

void lcrt_state_free(lcrt_state *state) {
    if (state != NULL) {
        lcrt_checkpoints_free(&state->checkpoints);
        free(state->tokens);
        free(state->data);
        free(state);
    }
}

size_t lcrt_state_len(const lcrt_state *state) {
    return sizeof(*state) + (size_t)state->n_tokens * sizeof(*state->tokens) + state->len +
           lcrt_checkpoints_len(&state->checkpoints);
}
