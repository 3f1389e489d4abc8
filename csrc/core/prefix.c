#include "lcrt/prefix.h"

#include <stdlib.h>
#include <string.h>

typedef struct prefix_entry {
    int32_t *tokens;
    int32_t n_tokens;
    int32_t cap;
} prefix_entry;

struct lcrt_prefix {
    int32_t n_slots;
    prefix_entry entries[];
};

lcrt_status lcrt_prefix_init(int32_t n_slots, lcrt_prefix **out) {
    if (n_slots < 1) {
        return LCRT_ERR_INVALID;
    }
    lcrt_prefix *prefix = calloc(1, sizeof(*prefix) + (size_t)n_slots * sizeof(prefix->entries[0]));
    if (prefix == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    prefix->n_slots = n_slots;
    *out = prefix;
    return LCRT_OK;
}

void lcrt_prefix_free(lcrt_prefix *prefix) {
    if (prefix == NULL) {
        return;
    }
    for (int32_t i = 0; i < prefix->n_slots; i++) {
        free(prefix->entries[i].tokens);
    }
    free(prefix);
}

static lcrt_status grow(prefix_entry *entry, int32_t n_tokens) {
    if (n_tokens <= entry->cap) {
        return LCRT_OK;
    }
    int32_t cap = entry->cap + entry->cap / 2 + 64;
    cap = cap > n_tokens ? cap : n_tokens;
    int32_t *tokens = realloc(entry->tokens, (size_t)cap * sizeof(*tokens));
    if (tokens == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    entry->tokens = tokens;
    entry->cap = cap;
    return LCRT_OK;
}

lcrt_status lcrt_prefix_add(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    prefix_entry *entry = &prefix->entries[slot];
    lcrt_status status = grow(entry, entry->n_tokens + n_tokens);
    if (status == LCRT_OK && n_tokens > 0) {
        memcpy(entry->tokens + entry->n_tokens, tokens, (size_t)n_tokens * sizeof(*tokens));
        entry->n_tokens += n_tokens;
    }
    return status;
}

lcrt_status lcrt_prefix_put(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    lcrt_status status = grow(&prefix->entries[slot], n_tokens);
    if (status == LCRT_OK) {
        prefix->entries[slot].n_tokens = 0;
        status = lcrt_prefix_add(prefix, slot, tokens, n_tokens);
    }
    return status;
}

lcrt_status lcrt_prefix_append(lcrt_prefix *prefix, int32_t slot, int32_t token) {
    return lcrt_prefix_add(prefix, slot, &token, 1);
}

void lcrt_prefix_trim(lcrt_prefix *prefix, int32_t slot, int32_t n) {
    prefix_entry *entry = &prefix->entries[slot];
    entry->n_tokens = n < entry->n_tokens ? n : entry->n_tokens;
}

void lcrt_prefix_cut(lcrt_prefix *prefix, int32_t slot, int32_t p0, int32_t p1) {
    prefix_entry *entry = &prefix->entries[slot];
    if (p1 <= p0) {
        return;
    }
    memmove(entry->tokens + p0, entry->tokens + p1, (size_t)(entry->n_tokens - p1) * sizeof(*entry->tokens));
    entry->n_tokens -= p1 - p0;
}

const int32_t *lcrt_prefix_tokens(const lcrt_prefix *prefix, int32_t slot, int32_t *n_tokens) {
    *n_tokens = prefix->entries[slot].n_tokens;
    return prefix->entries[slot].tokens;
}

int32_t lcrt_prefix_shared(const lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    const prefix_entry *entry = &prefix->entries[slot];
    int32_t n_max = n_tokens < entry->n_tokens ? n_tokens : entry->n_tokens;
    int32_t n = 0;
    while (n < n_max && entry->tokens[n] == tokens[n]) {
        n++;
    }
    return n;
}
