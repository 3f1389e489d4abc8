/* sampler-set.h -- the tokens that may still come out, and the rules that thin them.
 *
 * Tokens are ordered by rank, the largest first, equals by token. One thread at a time. */
#ifndef LCRT_SAMPLER_SET_H
#define LCRT_SAMPLER_SET_H

#include <stdint.h>

typedef struct lcrt_item {
    float logit;
    float rank;   /* the logit, or what the rule in force orders by */
    float weight; /* what the rule in force adds up */
    int32_t token;
} lcrt_item;

typedef struct lcrt_set {
    lcrt_item *items;
    int32_t n_items;
    int32_t max_items;
} lcrt_set;

/* Keeps the shortest beginning, in the order of ranks, whose weights reach target, or
 * all. What is kept is in no order. */
void lcrt_set_cut(lcrt_set *set, double target);

/* Sorts by rank. */
void lcrt_set_sort(lcrt_set *set);

/* Sets every rank to the logit and returns the largest. The set must not be empty. */
float lcrt_set_rank(lcrt_set *set);

/* Sets the weights to exp2((logit - top) * scale) and returns the total. */
double lcrt_set_weigh(lcrt_set *set, float top, float scale);

/* The rules. Each keeps at least one token and leaves the ranks as the logits. */
void lcrt_set_top_k(lcrt_set *set, int32_t k);
void lcrt_set_typical(lcrt_set *set, float typical_p);
void lcrt_set_top_p(lcrt_set *set, float top_p);
void lcrt_set_min_p(lcrt_set *set, float min_p);

/* The token at which the running sum of weights reaches target. */
int32_t lcrt_set_at(const lcrt_set *set, double target);

#endif
