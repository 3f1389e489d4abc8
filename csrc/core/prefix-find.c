/* prefix-find.c -- what a prompt has in common with what is held. */
#include "prefix-tree.h"

/* Marks the nodes along tokens with how many match up to each; returns the last one that
 * matters: with stored only, the last one with stored entries at it or below. */
static prefix_node *walk(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, bool stored) {
    prefix_node *node = prefix->root;
    prefix->n_walks++;
    node->walk = prefix->n_walks;
    node->matched = 0;
    while (node->matched == prefix_end(node) && node->matched < n_tokens) {
        prefix_node *child = prefix_child(node, tokens[node->matched]);
        if (child == NULL || (stored ? child->n_stored : child->n_slots) == 0) {
            break;
        }
        int32_t n_max = n_tokens - child->start < child->n_tokens ? n_tokens - child->start : child->n_tokens;
        int32_t n = 1;
        while (n < n_max && child->tokens[n] == tokens[child->start + n]) {
            n++;
        }
        child->walk = prefix->n_walks;
        child->matched = child->start + n;
        node = child;
    }
    return node;
}

void lcrt_prefix_slots(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, int32_t *n_shared) {
    (void)walk(prefix, tokens, n_tokens, false);
    for (int32_t slot = 0; slot < prefix->n_slots; slot++) {
        const prefix_node *node = prefix->entries[slot].node;
        while (node->walk != prefix->n_walks) {
            node = node->parent;
        }
        int32_t n = prefix->entries[slot].n_tokens;
        n_shared[slot] = n < node->matched ? n : node->matched;
    }
}

/* The longest stored entry attached to a node of the last walk all of whose tokens match. */
static int32_t whole_at(const lcrt_prefix *prefix, const prefix_node *node) {
    int32_t best = -1;
    for (int32_t entry = node->first; entry >= 0; entry = prefix->entries[entry].next) {
        int32_t n = prefix->entries[entry].n_tokens;
        bool longer = best < 0 || n > prefix->entries[best].n_tokens;
        if (entry >= prefix->n_slots && n <= node->matched && longer) {
            best = entry;
        }
    }
    return best;
}

/* The shortest stored entry attached to a node with all tokens that match, -1: none. */
static int32_t beyond_at(const lcrt_prefix *prefix, const prefix_node *node, int32_t matched) {
    int32_t best = -1;
    for (int32_t entry = node->first; entry >= 0; entry = prefix->entries[entry].next) {
        int32_t n = prefix->entries[entry].n_tokens;
        bool shorter = best < 0 || n < prefix->entries[best].n_tokens;
        if (entry >= prefix->n_slots && n >= matched && shorter) {
            best = entry;
        }
    }
    return best;
}

/* A stored entry below a node that has more tokens than the node, -1: none. */
static int32_t below(const lcrt_prefix *prefix, const prefix_node *node) {
    for (int32_t i = 0; i < node->n_children; i++) {
        const prefix_node *child = node->children[i];
        if (child->n_stored > 0) {
            int32_t entry = beyond_at(prefix, child, 0);
            if (entry >= 0) {
                return entry;
            }
            node = child;
            i = -1;
        }
    }
    return -1;
}

int32_t lcrt_prefix_find(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, bool whole, int32_t *n_shared) {
    const prefix_node *node = walk(prefix, tokens, n_tokens, true);
    int32_t entry = -1;
    if (!whole && node != prefix->root) {
        entry = beyond_at(prefix, node, node->matched);
        entry = entry >= 0 ? entry : below(prefix, node);
        *n_shared = node->matched;
        if (entry >= 0) {
            return entry;
        }
    }
    for (; entry < 0 && node->parent != NULL; node = node->parent) {
        entry = whole_at(prefix, node);
    }
    *n_shared = entry >= 0 ? prefix->entries[entry].n_tokens : 0;
    return entry;
}

/* Puts a match where it belongs among the n best; returns how many there are then. */
static int32_t rank(const lcrt_prefix *prefix, lcrt_prefix_match match, lcrt_prefix_match *out, int32_t n,
                    int32_t max) {
    int32_t n_tokens = prefix->entries[match.entry].n_tokens;
    int32_t place = n;
    for (; place > 0; place--) {
        const lcrt_prefix_match *before = &out[place - 1];
        bool shorter = n_tokens < prefix->entries[before->entry].n_tokens;
        if (match.n_shared < before->n_shared || (match.n_shared == before->n_shared && !shorter)) {
            break;
        }
        if (place < max) {
            out[place] = *before;
        }
    }
    if (place < max) {
        out[place] = match;
    }
    return n < max ? n + 1 : max;
}

/* Ranks the stored entries attached to a node of the last walk. */
static int32_t rank_at(const lcrt_prefix *prefix, const prefix_node *node, lcrt_prefix_match *out, int32_t n,
                       int32_t max) {
    for (int32_t entry = node->first; entry >= 0; entry = prefix->entries[entry].next) {
        int32_t n_tokens = prefix->entries[entry].n_tokens;
        if (entry >= prefix->n_slots) {
            int32_t n_shared = n_tokens < node->matched ? n_tokens : node->matched;
            n = rank(prefix, (lcrt_prefix_match){entry, n_shared}, out, n, max);
        }
    }
    return n;
}

/* As rank_at for all that is below a node, but for one of its children, until max were seen. */
static int32_t rank_below(const lcrt_prefix *prefix, const prefix_node *node, const prefix_node *but,
                          lcrt_prefix_match *out, int32_t n, int32_t max) {
    int32_t n_seen = 0;
    for (int32_t i = 0; i < node->n_children && n_seen < max; i++) {
        const prefix_node *child = node->children[i];
        const prefix_node *at = child != but && child->n_stored > 0 ? child : NULL;
        for (; at != NULL && n_seen < max; at = prefix_next(at, child)) {
            for (int32_t entry = at->first; entry >= 0 && n_seen < max; entry = prefix->entries[entry].next) {
                if (entry >= prefix->n_slots) {
                    n = rank(prefix, (lcrt_prefix_match){entry, node->matched}, out, n, max);
                    n_seen++;
                }
            }
        }
    }
    return n;
}

int32_t lcrt_prefix_list(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, lcrt_prefix_match *out,
                         int32_t max) {
    const prefix_node *node = walk(prefix, tokens, n_tokens, true);
    const prefix_node *but = NULL; /* the child that was visited already */
    int32_t n = 0;
    for (; node->parent != NULL && n < max; node = node->parent) {
        n = rank_at(prefix, node, out, n, max);
        n = rank_below(prefix, node, but, out, n, max);
        but = node;
    }
    return n;
}

int32_t lcrt_prefix_common(const lcrt_prefix *prefix, int32_t entry, bool stored) {
    const prefix_entry *own = &prefix->entries[entry];
    int32_t n_own = entry < prefix->n_slots || stored ? 1 : 0;
    int32_t n_inner = n_own; /* of those counted, in the child that we come from, and the entry itself */
    for (const prefix_node *node = own->node; node->parent != NULL; node = node->parent) {
        int32_t n_max = 0;
        int32_t n_here = 0; /* attached to this node, the entry itself not counted */
        for (int32_t i = node->first; i >= 0; i = prefix->entries[i].next) {
            if (i != entry && (stored || i < prefix->n_slots)) {
                n_here++;
                n_max = prefix->entries[i].n_tokens > n_max ? prefix->entries[i].n_tokens : n_max;
            }
        }
        int32_t n_all = node->n_slots + (stored ? node->n_stored : 0);
        n_max = n_all - n_here - n_inner > 0 ? prefix_end(node) : n_max;
        if (n_max > 0) {
            return n_max < own->n_tokens ? n_max : own->n_tokens;
        }
        n_inner = n_all;
    }
    return 0;
}
