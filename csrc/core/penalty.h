/* penalty.h -- which tokens have another logit than the model gave them.
 *
 * Holds the biases and the last tokens with their counts. Marks, one per such token,
 * hang in a list per block of the vocabulary, so that a block is patched without a
 * search and blocks without marks are seen at a glance. One thread at a time. */
#ifndef LCRT_PENALTY_H
#define LCRT_PENALTY_H

#include <stddef.h>
#include <stdint.h>

#include "lcrt/sampling.h"

typedef struct lcrt_mark {
    int32_t token;
    int32_t count; /* in the window */
    int32_t next;  /* in the list of the block or of the free marks; -1 ends it */
    float bias;
} lcrt_mark;

typedef struct lcrt_penalty {
    float repeat;
    float frequency;
    float presence;
    int32_t n_vocab;
    int32_t window_max; /* 0 when no penalty is on */
    int32_t n_window;
    int32_t oldest;    /* its place in window */
    int32_t free_mark; /* head of the list of free marks */
    int32_t n_biased;  /* the first marks carry biases and are never freed */
    int32_t *window;   /* ring */
    int32_t *heads;    /* first mark of each block, -1 for none; NULL when nothing can ever be marked */
    lcrt_mark *marks;
} lcrt_penalty;

/* sampling must be valid. On failure there is nothing to free. */
lcrt_status lcrt_penalty_init(lcrt_penalty *penalty, const lcrt_sampling *sampling, int32_t n_vocab);
void lcrt_penalty_free(lcrt_penalty *penalty);

void lcrt_penalty_accept(lcrt_penalty *penalty, int32_t token);

static inline int lcrt_penalty_touches(const lcrt_penalty *penalty, int32_t block) {
    return penalty->heads != NULL && penalty->heads[block] >= 0;
}

/* Changes the logits of one block; block points to its first. */
void lcrt_penalty_apply(const lcrt_penalty *penalty, int32_t block_index, float *block);

#endif
