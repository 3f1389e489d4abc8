#include <stdlib.h>
#include <string.h>

#include "prefix-tree.h"

/* An entry that holds nothing yet. */
static void attach_empty(lcrt_prefix *prefix, int32_t entry, void *data) {
    prefix_node *root = prefix->root;
    prefix->entries[entry] = (prefix_entry){.node = root, .next = root->first, .prev = -1, .data = data};
    if (root->first >= 0) {
        prefix->entries[root->first].prev = entry;
    }
    root->first = entry;
    if (entry < prefix->n_slots) {
        root->n_slots++;
    } else {
        root->n_stored++;
    }
}

lcrt_status lcrt_prefix_init(int32_t n_slots, lcrt_prefix **out) {
    if (n_slots < 0) {
        return LCRT_ERR_INVALID;
    }
    lcrt_prefix *prefix = calloc(1, sizeof(*prefix));
    if (prefix == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    prefix->root = prefix_node_new(NULL, NULL, 0);
    prefix->entries = calloc((size_t)n_slots + 1, sizeof(*prefix->entries));
    if (prefix->root == NULL || prefix->entries == NULL) {
        lcrt_prefix_free(prefix);
        return LCRT_ERR_NO_MEMORY;
    }
    prefix->n_slots = prefix->n_entries = n_slots;
    prefix->unused = -1;
    for (int32_t i = 0; i < n_slots; i++) {
        attach_empty(prefix, i, NULL);
    }
    *out = prefix;
    return LCRT_OK;
}

void lcrt_prefix_free(lcrt_prefix *prefix) {
    if (prefix == NULL) {
        return;
    }
    for (prefix_node *node = prefix->root; node != NULL;) {
        if (node->n_children > 0) {
            node = node->children[--node->n_children];
        } else {
            prefix_node *parent = node->parent;
            prefix_node_free(node);
            node = parent;
        }
    }
    free(prefix->entries);
    free(prefix);
}

/* An entry that ends at position len of node has n_tokens more from now on. */
static lcrt_status extend(lcrt_prefix *prefix, int32_t entry, prefix_node *node, int32_t len, const int32_t *tokens,
                          int32_t n_tokens) {
    int32_t n = prefix_follow(&node, len, tokens, n_tokens);
    if (n < n_tokens) {
        lcrt_status status = prefix_graft(prefix, node, len + n, tokens + n, n_tokens - n, &node);
        if (status != LCRT_OK) {
            return status;
        }
    }
    prefix_move(prefix, entry, node, len + n_tokens);
    return LCRT_OK;
}

lcrt_status lcrt_prefix_put(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    return extend(prefix, slot, prefix->root, 0, tokens, n_tokens);
}

lcrt_status lcrt_prefix_add(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    const prefix_entry *own = &prefix->entries[slot];
    return extend(prefix, slot, own->node, own->n_tokens, tokens, n_tokens);
}

void lcrt_prefix_copy(lcrt_prefix *prefix, int32_t slot, int32_t entry, int32_t n) {
    prefix_move(prefix, slot, prefix_above(prefix->entries[entry].node, n), n);
}

void lcrt_prefix_trim(lcrt_prefix *prefix, int32_t slot, int32_t n) {
    if (n < prefix->entries[slot].n_tokens) {
        lcrt_prefix_copy(prefix, slot, slot, n);
    }
}

lcrt_status lcrt_prefix_cut(lcrt_prefix *prefix, int32_t slot, int32_t p0, int32_t p1) {
    int32_t n_tokens = prefix->entries[slot].n_tokens;
    if (p1 <= p0) {
        return LCRT_OK;
    }
    int32_t *tokens = malloc((size_t)n_tokens * sizeof(*tokens));
    if (tokens == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    lcrt_prefix_read(prefix, slot, n_tokens, tokens);
    memmove(tokens + p0, tokens + p1, (size_t)(n_tokens - p1) * sizeof(*tokens));
    lcrt_status status = lcrt_prefix_put(prefix, slot, tokens, n_tokens - (p1 - p0));
    free(tokens);
    return status;
}

/* A place for a stored entry; -1 without memory. */
static int32_t new_place(lcrt_prefix *prefix) {
    if (prefix->unused < 0) {
        int32_t n = prefix->n_entries + prefix->n_entries / 2 + 16;
        prefix_entry *entries = realloc(prefix->entries, (size_t)n * sizeof(*entries));
        if (entries == NULL) {
            return -1;
        }
        for (int32_t i = n - 1; i >= prefix->n_entries; i--) {
            entries[i] = (prefix_entry){.next = prefix->unused};
            prefix->unused = i;
        }
        prefix->entries = entries;
        prefix->n_entries = n;
    }
    int32_t place = prefix->unused;
    prefix->unused = prefix->entries[place].next;
    return place;
}

lcrt_status lcrt_prefix_store(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, void *data,
                              int32_t *entry) {
    int32_t place = n_tokens > 0 ? new_place(prefix) : -1;
    if (place < 0) {
        return n_tokens > 0 ? LCRT_ERR_NO_MEMORY : LCRT_ERR_INVALID;
    }
    attach_empty(prefix, place, data);
    prefix->n_stored++;
    lcrt_status status = extend(prefix, place, prefix->root, 0, tokens, n_tokens);
    if (status != LCRT_OK) {
        lcrt_prefix_remove(prefix, place);
        return status;
    }
    *entry = place;
    return LCRT_OK;
}

lcrt_status lcrt_prefix_store_of(lcrt_prefix *prefix, int32_t other, int32_t n, void *data, int32_t *entry) {
    bool sensible = n > 0 && n <= prefix->entries[other].n_tokens;
    int32_t place = sensible ? new_place(prefix) : -1;
    if (place < 0) {
        return sensible ? LCRT_ERR_NO_MEMORY : LCRT_ERR_INVALID;
    }
    attach_empty(prefix, place, data);
    prefix->n_stored++;
    lcrt_prefix_copy(prefix, place, other, n);
    *entry = place;
    return LCRT_OK;
}

void lcrt_prefix_remove(lcrt_prefix *prefix, int32_t entry) {
    prefix_leave(prefix, entry);
    prefix->entries[entry] = (prefix_entry){.next = prefix->unused};
    prefix->unused = entry;
    prefix->n_stored--;
}

void *lcrt_prefix_data(const lcrt_prefix *prefix, int32_t entry) {
    return prefix->entries[entry].data;
}

int32_t lcrt_prefix_length(const lcrt_prefix *prefix, int32_t entry) {
    return prefix->entries[entry].n_tokens;
}

void lcrt_prefix_read(const lcrt_prefix *prefix, int32_t entry, int32_t n, int32_t *out) {
    const prefix_node *node = prefix_above(prefix->entries[entry].node, n);
    for (int32_t end = n; node->parent != NULL; node = node->parent) {
        memcpy(out + node->start, node->tokens, (size_t)(end - node->start) * sizeof(*out));
        end = node->start;
    }
}

void lcrt_prefix_stats_get(const lcrt_prefix *prefix, lcrt_prefix_stats *out) {
    *out = (lcrt_prefix_stats){
        .n_stored = prefix->n_stored,
        .size = sizeof(*prefix) + (size_t)prefix->n_entries * sizeof(*prefix->entries),
    };
    for (const prefix_node *node = prefix->root; node != NULL; node = prefix_next(node, prefix->root)) {
        out->n_nodes++;
        out->n_tokens += node->n_tokens;
        out->size += sizeof(*node) + (size_t)node->tokens_cap * sizeof(*node->tokens) +
                     (size_t)node->children_cap * sizeof(*node->children);
    }
}
