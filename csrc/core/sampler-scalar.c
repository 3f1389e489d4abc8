/* sampler-scalar.c -- the kernels in plain C; the compiler makes vectors of them where it can. */
#include "sampler-kernels.h"

#include <math.h>

static float max_of(const float *block) {
    float lanes[LCRT_LANES];
    for (int j = 0; j < LCRT_LANES; j++) {
        lanes[j] = -INFINITY;
    }
    for (int i = 0; i < LCRT_BLOCK; i += LCRT_LANES) {
        for (int j = 0; j < LCRT_LANES; j++) {
            lanes[j] = block[i + j] > lanes[j] ? block[i + j] : lanes[j];
        }
    }
    for (int half = LCRT_LANES / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) {
            lanes[j] = lanes[j + half] > lanes[j] ? lanes[j + half] : lanes[j];
        }
    }
    return lanes[0];
}

static float sum_of(const float *block, float top, float scale) {
    float weights[LCRT_BLOCK];
    for (int i = 0; i < LCRT_BLOCK; i++) {
        weights[i] = lcrt_weight(block[i], top, scale);
    }
    for (int i = LCRT_LANES; i < LCRT_BLOCK; i += LCRT_LANES) {
        for (int j = 0; j < LCRT_LANES; j++) {
            weights[j] += weights[i + j];
        }
    }
    for (int half = LCRT_LANES / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) {
            weights[j] += weights[j + half];
        }
    }
    return weights[0];
}

static void block_max(const float *logits, int32_t n_blocks, float *max) {
    for (int32_t b = 0; b < n_blocks; b++) {
        max[b] = max_of(logits + (size_t)b * LCRT_BLOCK);
    }
}

static void block_weigh(const float *logits, int32_t n_blocks, float scale, float *top, float *max, float *sum) {
    for (int32_t b = 0; b < n_blocks; b++) {
        const float *block = logits + (size_t)b * LCRT_BLOCK;
        max[b] = max_of(block);
        *top = max[b] > *top ? max[b] : *top;
        sum[b] = sum_of(block, *top, scale);
    }
}

static void block_mask(const float *block, const uint32_t *mask, float *out) {
    for (int w = 0; w < LCRT_BLOCK_WORDS; w++) {
        for (int j = 0; j < 32; j++) {
            out[w * 32 + j] = mask[w] & (1U << j) ? block[w * 32 + j] : -INFINITY;
        }
    }
}

static int32_t block_find(const float *block, float least, uint8_t *places) {
    int32_t n = 0;
    for (int i = 0; i < LCRT_BLOCK; i++) {
        places[n] = (uint8_t)i;
        n += block[i] >= least;
    }
    return n;
}

static int32_t count(const float *values, int32_t n_values, float least) {
    int32_t n = 0;
    for (int32_t i = 0; i < n_values; i++) {
        n += values[i] >= least;
    }
    return n;
}

const lcrt_kernels lcrt_kernels_scalar = {.name = "scalar",
                                          .block_max = block_max,
                                          .block_weigh = block_weigh,
                                          .block_mask = block_mask,
                                          .block_find = block_find,
                                          .count = count};
