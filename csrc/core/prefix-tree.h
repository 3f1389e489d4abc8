/* prefix-tree.h -- the nodes under prefix.h.
 *
 * A node has the tokens from its parent's end to its own. An entry is attached to the node
 * in which its last token lies, anywhere along it, so that trimming and copying need no
 * new node. Every leaf ends where an entry ends, and every other node but the root has two
 * children, unless there was no memory to join it with its only one. */
#ifndef LCRT_PREFIX_TREE_H
#define LCRT_PREFIX_TREE_H

#include "lcrt/prefix.h"

typedef struct prefix_node {
    struct prefix_node *parent;
    struct prefix_node **children; /* ordered by their first token */
    int32_t n_children, children_cap;
    int32_t *tokens;
    int32_t n_tokens, tokens_cap;
    int32_t start;             /* tokens before its first one */
    int32_t first;             /* of the entries attached to it; -1: none */
    int32_t n_slots, n_stored; /* entries of each kind, here and below */
    int32_t matched;           /* by the walk of that number: tokens that match up to here */
    uint64_t walk;
} prefix_node;

typedef struct prefix_entry {
    prefix_node *node; /* NULL: not in use */
    int32_t n_tokens;
    int32_t next, prev; /* attached to the same node; next also in the list of unused ones */
    void *data;
} prefix_entry;

struct lcrt_prefix {
    prefix_node *root; /* has no tokens; entries without any are attached to it */
    prefix_entry *entries;
    int32_t n_slots;
    int32_t n_entries; /* places in entries */
    int32_t unused;    /* the first unused place, -1: none */
    int32_t n_stored;
    uint64_t n_walks;
};

static inline int32_t prefix_end(const prefix_node *node) {
    return node->start + node->n_tokens;
}

prefix_node *prefix_node_new(prefix_node *parent, const int32_t *tokens, int32_t n_tokens);
void prefix_node_free(prefix_node *node);

/* The child that begins with a token, NULL when there is none. */
prefix_node *prefix_child(const prefix_node *node, int32_t token);

/* The next node in an order that visits top and all below once, NULL after the last. */
const prefix_node *prefix_next(const prefix_node *node, const prefix_node *top);

/* Follows tokens from position len of *node on; returns how many match and leaves in *node
 * where the last of them lies. */
int32_t prefix_follow(prefix_node **node, int32_t len, const int32_t *tokens, int32_t n_tokens);

/* Makes the tree go on with n_tokens >= 1 tokens from position len of node, which no child
 * and no later token of node begins; *end is where the last one lies. */
lcrt_status prefix_graft(lcrt_prefix *prefix, prefix_node *node, int32_t len, const int32_t *tokens, int32_t n_tokens,
                         prefix_node **end);

/* The node, this or one above, in which token number n of its beginning lies; the root for 0. */
prefix_node *prefix_above(prefix_node *node, int32_t n);

/* Attaches an entry elsewhere, and tidies up where it was. */
void prefix_move(lcrt_prefix *prefix, int32_t entry, prefix_node *node, int32_t n_tokens);

/* Detaches an entry. */
void prefix_leave(lcrt_prefix *prefix, int32_t entry);

#endif
