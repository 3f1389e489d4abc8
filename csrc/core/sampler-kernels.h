/* sampler-kernels.h -- the loops over logits, once per instruction set.
 *
 * A row is worked on in blocks of LCRT_BLOCK logits. Every instruction set gives the
 * same bits: the same operations in the same order, and sums over LCRT_LANES lanes that
 * are folded in halves. (Where a machine has no fused multiply-add, one in 10^9 of them
 * is off by the last bit.) Pure functions; any thread. */
#ifndef LCRT_SAMPLER_KERNELS_H
#define LCRT_SAMPLER_KERNELS_H

#include <stdint.h>
#include <string.h>

#define LCRT_BLOCK 256
#define LCRT_BLOCK_WORDS (LCRT_BLOCK / 32) /* of a mask with a bit per logit */
#define LCRT_LANES 16
#define LCRT_LOG2_E 1.44269504f

/* 2^f on [-0.5, 0.5] is 1 + f (C1 + f (C2 + ...)), relative error 1e-7. */
#define LCRT_EXP2_C1 0.6931470036506653f
#define LCRT_EXP2_C2 0.24022242426872253f
#define LCRT_EXP2_C3 0.05550733581185341f
#define LCRT_EXP2_C4 0.009671512991189957f
#define LCRT_EXP2_C5 0.001326472731307149f
/* Adding this to x rounds x to an integer n, and the low 9 bits are then n + 127. */
#define LCRT_EXP2_ROUND (12582912.0f + 127.0f)
/* Here n + 127 is 0, and so is the result. */
#define LCRT_EXP2_MIN (-127.0f)

typedef enum lcrt_simd {
    LCRT_SIMD_NONE, /* plain C, on x86 and elsewhere */
    LCRT_SIMD_AVX2,
    LCRT_SIMD_AVX512,
    LCRT_N_SIMD
} lcrt_simd;

typedef struct lcrt_kernels {
    const char *name;
    /* max[b] of each block; NaN counts as -INFINITY. */
    void (*block_max)(const float *logits, int32_t n_blocks, float *max);
    /* The same in one reading with sum[b] of exp2((logit - *top) * scale), where *top is
     * the largest of all blocks so far, b included, and before the first what the caller
     * put there. NaN counts as 0. */
    void (*block_weigh)(const float *logits, int32_t n_blocks, float scale, float *top, float *max, float *sum);
    /* Copies one block, -INFINITY where the bit in mask is 0; block and out may be the same. */
    void (*block_mask)(const float *block, const uint32_t *mask, float *out);
    /* The places in one block of what is >= least; returns how many. */
    int32_t (*block_find)(const float *block, float least, uint8_t *places);
    /* How many values are >= least. */
    int32_t (*count)(const float *values, int32_t n_values, float least);
} lcrt_kernels;

/* NULL if this machine or this build lacks the instruction set. */
const lcrt_kernels *lcrt_kernels_get(lcrt_simd simd);

/* The fastest that this machine has. */
const lcrt_kernels *lcrt_kernels_best(void);

extern const lcrt_kernels lcrt_kernels_scalar;
extern const lcrt_kernels lcrt_kernels_avx2;
extern const lcrt_kernels lcrt_kernels_avx512;

static inline float lcrt_fma(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    return (float)((double)a * (double)b + (double)c);
#endif
}

/* exp2((logit - top) * scale), the bits that the kernels compute; 0 for NaN. logit must
 * not be above top, scale lies between 1e-30 and 1e30. */
static inline float lcrt_weight(float logit, float top, float scale) {
    float least = LCRT_EXP2_MIN / scale;
    float x = logit - top;
    x = x > least ? x : least;
    float rounded = lcrt_fma(x, scale, LCRT_EXP2_ROUND);
    float f = lcrt_fma(x, scale, LCRT_EXP2_ROUND - rounded);
    float y = lcrt_fma(LCRT_EXP2_C5, f, LCRT_EXP2_C4);
    y = lcrt_fma(y, f, LCRT_EXP2_C3);
    y = lcrt_fma(y, f, LCRT_EXP2_C2);
    y = lcrt_fma(y, f, LCRT_EXP2_C1);
    y = lcrt_fma(y, f, 1.0f);
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    bits <<= 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return y * power;
}

#endif
