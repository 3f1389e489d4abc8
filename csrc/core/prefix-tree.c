#include "prefix-tree.h"

#include <stdlib.h>
#include <string.h>

prefix_node *prefix_node_new(prefix_node *parent, const int32_t *tokens, int32_t n_tokens) {
    prefix_node *node = calloc(1, sizeof(*node));
    int32_t *copy = n_tokens > 0 ? malloc((size_t)n_tokens * sizeof(*copy)) : NULL;
    if (node == NULL || (n_tokens > 0 && copy == NULL)) {
        free(copy);
        free(node);
        return NULL;
    }
    if (n_tokens > 0) {
        memcpy(copy, tokens, (size_t)n_tokens * sizeof(*copy));
    }
    *node = (prefix_node){.parent = parent, .tokens = copy, .n_tokens = n_tokens, .tokens_cap = n_tokens, .first = -1};
    node->start = parent != NULL ? prefix_end(parent) : 0;
    return node;
}

void prefix_node_free(prefix_node *node) {
    if (node != NULL) {
        free(node->children);
        free(node->tokens);
        free(node);
    }
}

/* Place of the first child whose first token is not below token. */
static int32_t child_place(const prefix_node *node, int32_t token) {
    int32_t low = 0, high = node->n_children;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (node->children[middle]->tokens[0] < token) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

prefix_node *prefix_child(const prefix_node *node, int32_t token) {
    int32_t place = child_place(node, token);
    bool found = place < node->n_children && node->children[place]->tokens[0] == token;
    return found ? node->children[place] : NULL;
}

const prefix_node *prefix_next(const prefix_node *node, const prefix_node *top) {
    if (node->n_children > 0) {
        return node->children[0];
    }
    for (; node != top; node = node->parent) {
        int32_t place = child_place(node->parent, node->tokens[0]) + 1;
        if (place < node->parent->n_children) {
            return node->parent->children[place];
        }
    }
    return NULL;
}

int32_t prefix_follow(prefix_node **node, int32_t len, const int32_t *tokens, int32_t n_tokens) {
    int32_t n = 0;
    while (n < n_tokens) {
        if (len + n == prefix_end(*node)) {
            prefix_node *child = prefix_child(*node, tokens[n]);
            if (child == NULL) {
                break;
            }
            *node = child;
        }
        const prefix_node *at = *node;
        int32_t place = len + n - at->start;
        while (n < n_tokens && place < at->n_tokens && at->tokens[place] == tokens[n]) {
            place++;
            n++;
        }
        if (place < at->n_tokens) {
            break;
        }
    }
    return n;
}

static bool reserve_tokens(prefix_node *node, int32_t n_tokens) {
    if (n_tokens <= node->tokens_cap) {
        return true;
    }
    int32_t cap = node->tokens_cap + node->tokens_cap / 2 + 16;
    cap = cap > n_tokens ? cap : n_tokens;
    int32_t *tokens = realloc(node->tokens, (size_t)cap * sizeof(*tokens));
    if (tokens == NULL) {
        return false;
    }
    node->tokens = tokens;
    node->tokens_cap = cap;
    return true;
}

/* Gives back memory when most of it is not in use. */
static void shrink_tokens(prefix_node *node) {
    if (node->tokens_cap > 2 * node->n_tokens + 64) {
        int32_t *tokens = realloc(node->tokens, (size_t)node->n_tokens * sizeof(*tokens));
        if (tokens != NULL) {
            node->tokens = tokens;
            node->tokens_cap = node->n_tokens;
        }
    }
}

static bool reserve_child(prefix_node *node) {
    if (node->n_children < node->children_cap) {
        return true;
    }
    int32_t cap = node->children_cap + node->children_cap / 2 + 2;
    prefix_node **children = realloc(node->children, (size_t)cap * sizeof(*children));
    if (children == NULL) {
        return false;
    }
    node->children = children;
    node->children_cap = cap;
    return true;
}

/* For which there is a place. */
static void put_child(prefix_node *node, prefix_node *child) {
    int32_t place = child_place(node, child->tokens[0]);
    size_t n_after = (size_t)(node->n_children - place);
    memmove(node->children + place + 1, node->children + place, n_after * sizeof(*node->children));
    node->children[place] = child;
    node->n_children++;
}

static void remove_child(prefix_node *node, const prefix_node *child) {
    int32_t place = child_place(node, child->tokens[0]);
    size_t n_after = (size_t)(node->n_children - place - 1);
    memmove(node->children + place, node->children + place + 1, n_after * sizeof(*node->children));
    node->n_children--;
}

/* Adds n entries of a kind to the counts of node and all above it, up to but not including end. */
static void add_count(const lcrt_prefix *prefix, int32_t entry, prefix_node *node, const prefix_node *end, int32_t n) {
    for (; node != end; node = node->parent) {
        if (entry < prefix->n_slots) {
            node->n_slots += n;
        } else {
            node->n_stored += n;
        }
    }
}

static void link_entry(lcrt_prefix *prefix, int32_t entry, prefix_node *node) {
    prefix_entry *own = &prefix->entries[entry];
    own->node = node;
    own->prev = -1;
    own->next = node->first;
    if (node->first >= 0) {
        prefix->entries[node->first].prev = entry;
    }
    node->first = entry;
}

static void unlink_entry(lcrt_prefix *prefix, int32_t entry) {
    prefix_entry *own = &prefix->entries[entry];
    if (own->prev >= 0) {
        prefix->entries[own->prev].next = own->next;
    } else {
        own->node->first = own->next;
    }
    if (own->next >= 0) {
        prefix->entries[own->next].prev = own->prev;
    }
}

/* A new node takes the first tokens of node, up to position len, and comes between it and
 * its parent. It has room for another child. NULL without memory. */
static prefix_node *split(lcrt_prefix *prefix, prefix_node *node, int32_t len) {
    int32_t n = len - node->start;
    prefix_node *upper = prefix_node_new(node->parent, node->tokens, n);
    if (upper == NULL || !reserve_child(upper)) {
        prefix_node_free(upper);
        return NULL;
    }
    upper->n_slots = node->n_slots;
    upper->n_stored = node->n_stored;
    for (int32_t entry = node->first; entry >= 0;) {
        int32_t next = prefix->entries[entry].next;
        if (prefix->entries[entry].n_tokens <= len) {
            unlink_entry(prefix, entry);
            link_entry(prefix, entry, upper);
            add_count(prefix, entry, node, node->parent, -1);
        }
        entry = next;
    }
    node->parent->children[child_place(node->parent, node->tokens[0])] = upper;
    node->parent = upper;
    node->start = len;
    node->n_tokens -= n;
    memmove(node->tokens, node->tokens + n, (size_t)node->n_tokens * sizeof(*node->tokens));
    shrink_tokens(node);
    put_child(upper, node);
    return upper;
}

lcrt_status prefix_graft(lcrt_prefix *prefix, prefix_node *node, int32_t len, const int32_t *tokens, int32_t n_tokens,
                         prefix_node **end) {
    bool inside = len < prefix_end(node);
    if (!inside && node->n_children == 0 && node != prefix->root) {
        if (!reserve_tokens(node, node->n_tokens + n_tokens)) {
            return LCRT_ERR_NO_MEMORY;
        }
        memcpy(node->tokens + node->n_tokens, tokens, (size_t)n_tokens * sizeof(*tokens));
        node->n_tokens += n_tokens;
        *end = node;
        return LCRT_OK;
    }
    prefix_node *leaf = prefix_node_new(node, tokens, n_tokens);
    prefix_node *parent = node;
    if (leaf != NULL && inside) {
        parent = split(prefix, node, len);
    }
    if (leaf == NULL || parent == NULL || !reserve_child(parent)) {
        prefix_node_free(leaf);
        return LCRT_ERR_NO_MEMORY;
    }
    leaf->parent = parent;
    leaf->start = prefix_end(parent);
    put_child(parent, leaf);
    *end = leaf;
    return LCRT_OK;
}

prefix_node *prefix_above(prefix_node *node, int32_t n) {
    while (node->parent != NULL && node->start >= n) {
        node = node->parent;
    }
    return node;
}

/* The only child becomes part of the node; without memory it stays. */
static void join(lcrt_prefix *prefix, prefix_node *node) {
    prefix_node *child = node->children[0];
    if (!reserve_tokens(node, node->n_tokens + child->n_tokens)) {
        return;
    }
    memcpy(node->tokens + node->n_tokens, child->tokens, (size_t)child->n_tokens * sizeof(*child->tokens));
    node->n_tokens += child->n_tokens;
    while (child->first >= 0) {
        int32_t entry = child->first;
        unlink_entry(prefix, entry);
        link_entry(prefix, entry, node);
    }
    free(node->children);
    node->children = child->children;
    node->n_children = child->n_children;
    node->children_cap = child->children_cap;
    for (int32_t i = 0; i < node->n_children; i++) {
        node->children[i]->parent = node;
    }
    child->children = NULL;
    prefix_node_free(child);
}

/* Length of the longest entry attached to a node, 0 without any. */
static int32_t longest(const lcrt_prefix *prefix, const prefix_node *node) {
    int32_t n = 0;
    for (int32_t entry = node->first; entry >= 0; entry = prefix->entries[entry].next) {
        n = prefix->entries[entry].n_tokens > n ? prefix->entries[entry].n_tokens : n;
    }
    return n;
}

/* An entry has left node: what no other needs goes. */
static void tidy(lcrt_prefix *prefix, prefix_node *node) {
    while (node != prefix->root && node->n_children == 0 && node->first < 0) {
        prefix_node *parent = node->parent;
        remove_child(parent, node);
        prefix_node_free(node);
        node = parent;
    }
    if (node == prefix->root) {
        return;
    }
    if (node->n_children == 0) {
        node->n_tokens = longest(prefix, node) - node->start;
        shrink_tokens(node);
    } else if (node->n_children == 1) {
        join(prefix, node);
    }
}

void prefix_move(lcrt_prefix *prefix, int32_t entry, prefix_node *node, int32_t n_tokens) {
    prefix_entry *own = &prefix->entries[entry];
    prefix_node *before = own->node;
    bool left = before != node || n_tokens < own->n_tokens;
    own->n_tokens = n_tokens;
    if (before != node) {
        unlink_entry(prefix, entry);
        add_count(prefix, entry, before, NULL, -1);
        link_entry(prefix, entry, node);
        add_count(prefix, entry, node, NULL, 1);
    }
    if (left) {
        tidy(prefix, before);
    }
}

void prefix_leave(lcrt_prefix *prefix, int32_t entry) {
    prefix_node *before = prefix->entries[entry].node;
    unlink_entry(prefix, entry);
    add_count(prefix, entry, before, NULL, -1);
    tidy(prefix, before);
}
