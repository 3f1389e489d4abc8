/* sampler-row.h -- a row of logits as the sampler sees it: biases, penalties and the
 * mask applied, block by block, the row itself untouched. One thread at a time. */
#ifndef LCRT_SAMPLER_ROW_H
#define LCRT_SAMPLER_ROW_H

#include <stdint.h>

#include "penalty.h"
#include "sampler-kernels.h"
#include "sampler-set.h"

typedef struct lcrt_row {
    const lcrt_kernels *kernels;
    const lcrt_penalty *penalty;
    int32_t n_vocab;
    int32_t n_blocks;
    float *max; /* of each block, filled by lcrt_row_max and lcrt_row_weigh */
    float *sum; /* of the weights of each block, filled by lcrt_row_weigh */
    /* Of this step: */
    const float *logits;
    const uint32_t *mask;
} lcrt_row;

/* Fills max and returns the largest; -INFINITY when no token is left. */
float lcrt_row_max(lcrt_row *row);

/* The same, and fills sum with the weights exp2((logit - max) * scale); *total is all of
 * them. Where the result is not finite, sum and *total mean nothing. */
float lcrt_row_weigh(lcrt_row *row, float scale, double *total);

/* The first token whose logit is top, the largest. */
int32_t lcrt_row_first(const lcrt_row *row, float top);

/* The token at which the running sum of weights reaches target. lcrt_row_weigh must have
 * run with the same scale and returned top. */
int32_t lcrt_row_at(const lcrt_row *row, float top, float scale, double target);

/* Appends what lies in [least, below) to set, which must have room for it. */
void lcrt_row_gather(const lcrt_row *row, float least, float below, lcrt_set *set);

/* Makes set the k largest, in no order. set must have room for 2 * k + LCRT_BLOCK. */
void lcrt_row_gather_top(const lcrt_row *row, int32_t k, float top, lcrt_set *set);

/* The first token that the mask allows, -1 if it allows none. */
int32_t lcrt_row_first_allowed(const lcrt_row *row);

#endif
