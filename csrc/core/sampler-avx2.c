/* sampler-avx2.c -- the kernels with AVX2 and FMA; two registers make the LCRT_LANES lanes. */
#if defined(__x86_64__)

#include "sampler-kernels.h"

#include <immintrin.h>
#include <math.h>

#define AVX2 __attribute__((target("avx2,fma,popcnt")))
#define HALF (LCRT_LANES / 2)

AVX2 static inline float fold_max(__m256 a) {
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

AVX2 static inline float fold_sum(__m256 a) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* A comparison with NaN takes the second operand, so the order of the operands matters. */
AVX2 static inline float max_of(const float *block) {
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 low = _mm256_max_ps(_mm256_loadu_ps(block), lowest);
    __m256 high = _mm256_max_ps(_mm256_loadu_ps(block + HALF), lowest);
    for (int i = LCRT_LANES; i < LCRT_BLOCK; i += LCRT_LANES) {
        low = _mm256_max_ps(_mm256_loadu_ps(block + i), low);
        high = _mm256_max_ps(_mm256_loadu_ps(block + i + HALF), high);
    }
    return fold_max(_mm256_max_ps(low, high));
}

AVX2 static void block_max(const float *logits, int32_t n_blocks, float *max) {
    for (int32_t b = 0; b < n_blocks; b++) {
        max[b] = max_of(logits + (size_t)b * LCRT_BLOCK);
    }
}

typedef struct exponent {
    __m256 top;
    __m256 scale;
    __m256 least; /* of logit - top that counts */
} exponent;

/* sum + lcrt_weight of each lane. */
AVX2 static inline __m256 add_weights(__m256 sum, const float *logits, exponent e) {
    const __m256 round = _mm256_set1_ps(LCRT_EXP2_ROUND);
    __m256 x = _mm256_max_ps(_mm256_sub_ps(_mm256_loadu_ps(logits), e.top), e.least);
    __m256 rounded = _mm256_fmadd_ps(x, e.scale, round);
    __m256 f = _mm256_fmadd_ps(x, e.scale, _mm256_sub_ps(round, rounded));
    __m256 y = _mm256_fmadd_ps(_mm256_set1_ps(LCRT_EXP2_C5), f, _mm256_set1_ps(LCRT_EXP2_C4));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(LCRT_EXP2_C3));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(LCRT_EXP2_C2));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(LCRT_EXP2_C1));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(1.0f));
    __m256 power = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(rounded), 23));
    return _mm256_fmadd_ps(y, power, sum);
}

/* The largest of a block is looked for one block ahead, so that weighing need not wait. */
AVX2 static void block_weigh(const float *logits, int32_t n_blocks, float scale, float *top, float *max, float *sum) {
    exponent e = {.scale = _mm256_set1_ps(scale), .least = _mm256_set1_ps(LCRT_EXP2_MIN / scale)};
    float so_far = *top;
    float next = n_blocks > 0 ? max_of(logits) : 0.0f;
    for (int32_t b = 0; b < n_blocks; b++) {
        const float *block = logits + (size_t)b * LCRT_BLOCK;
        max[b] = next;
        so_far = next > so_far ? next : so_far;
        next = b + 1 < n_blocks ? max_of(block + LCRT_BLOCK) : 0.0f;
        e.top = _mm256_set1_ps(so_far);
        __m256 low = _mm256_setzero_ps();
        __m256 high = _mm256_setzero_ps();
        for (int i = 0; i < LCRT_BLOCK; i += LCRT_LANES) {
            low = add_weights(low, block + i, e);
            high = add_weights(high, block + i + HALF, e);
        }
        sum[b] = fold_sum(_mm256_add_ps(low, high));
    }
    *top = so_far;
}

AVX2 static void block_mask(const float *block, const uint32_t *mask, float *out) {
    const __m256i lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    for (int i = 0; i < LCRT_BLOCK; i += HALF) {
        __m256i bits = _mm256_set1_epi32((int32_t)(mask[i / 32] >> (i % 32) & 255U));
        __m256i allowed = _mm256_cmpeq_epi32(_mm256_and_si256(bits, lane_bits), lane_bits);
        __m256 kept = _mm256_blendv_ps(lowest, _mm256_loadu_ps(block + i), _mm256_castsi256_ps(allowed));
        _mm256_storeu_ps(out + i, kept);
    }
}

AVX2 static int32_t block_find(const float *block, float least, uint8_t *places) {
    const __m256 leasts = _mm256_set1_ps(least);
    int32_t n = 0;
    for (int i = 0; i < LCRT_BLOCK; i += HALF) {
        __m256 at_least = _mm256_cmp_ps(_mm256_loadu_ps(block + i), leasts, _CMP_GE_OQ);
        uint32_t found = (uint32_t)_mm256_movemask_ps(at_least);
        for (; found != 0; found &= found - 1) {
            places[n++] = (uint8_t)(i + __builtin_ctz(found));
        }
    }
    return n;
}

AVX2 static int32_t count(const float *values, int32_t n_values, float least) {
    const __m256 leasts = _mm256_set1_ps(least);
    int32_t n = 0;
    int32_t i = 0;
    for (; i + HALF <= n_values; i += HALF) {
        __m256 at_least = _mm256_cmp_ps(_mm256_loadu_ps(values + i), leasts, _CMP_GE_OQ);
        n += __builtin_popcount((uint32_t)_mm256_movemask_ps(at_least));
    }
    for (; i < n_values; i++) {
        n += values[i] >= least;
    }
    return n;
}

const lcrt_kernels lcrt_kernels_avx2 = {.name = "avx2",
                                        .block_max = block_max,
                                        .block_weigh = block_weigh,
                                        .block_mask = block_mask,
                                        .block_find = block_find,
                                        .count = count};

#else
typedef int lcrt_no_avx2;
#endif
