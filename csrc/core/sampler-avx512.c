/* sampler-avx512.c -- the kernels with AVX-512 (F, VL, DQ, BW). */
#if defined(__x86_64__)

#include "sampler-kernels.h"

#include <immintrin.h>
#include <math.h>

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,popcnt")))

AVX512 static inline float fold_max(__m512 v) {
    __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

AVX512 static inline float fold_sum(__m512 v) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* A comparison with NaN takes the second operand, so the order of the operands matters. */
AVX512 static inline float max_of(const float *block) {
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 even = _mm512_max_ps(_mm512_loadu_ps(block), lowest);
    __m512 odd = _mm512_max_ps(_mm512_loadu_ps(block + LCRT_LANES), lowest);
    for (int i = 2 * LCRT_LANES; i < LCRT_BLOCK; i += 2 * LCRT_LANES) {
        even = _mm512_max_ps(_mm512_loadu_ps(block + i), even);
        odd = _mm512_max_ps(_mm512_loadu_ps(block + i + LCRT_LANES), odd);
    }
    return fold_max(_mm512_max_ps(even, odd));
}

AVX512 static void block_max(const float *logits, int32_t n_blocks, float *max) {
    for (int32_t b = 0; b < n_blocks; b++) {
        max[b] = max_of(logits + (size_t)b * LCRT_BLOCK);
    }
}

typedef struct exponent {
    __m512 top;
    __m512 scale;
    __m512 least; /* of logit - top that counts */
} exponent;

/* sum + lcrt_weight of each lane. */
AVX512 static inline __m512 add_weights(__m512 sum, const float *logits, exponent e) {
    const __m512 round = _mm512_set1_ps(LCRT_EXP2_ROUND);
    __m512 x = _mm512_max_ps(_mm512_sub_ps(_mm512_loadu_ps(logits), e.top), e.least);
    __m512 rounded = _mm512_fmadd_ps(x, e.scale, round);
    __m512 f = _mm512_fmadd_ps(x, e.scale, _mm512_sub_ps(round, rounded));
    __m512 y = _mm512_fmadd_ps(_mm512_set1_ps(LCRT_EXP2_C5), f, _mm512_set1_ps(LCRT_EXP2_C4));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(LCRT_EXP2_C3));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(LCRT_EXP2_C2));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(LCRT_EXP2_C1));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
    __m512 power = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(rounded), 23));
    return _mm512_fmadd_ps(y, power, sum);
}

/* The largest of a block is looked for one block ahead, so that weighing need not wait. */
AVX512 static void block_weigh(const float *logits, int32_t n_blocks, float scale, float *top, float *max, float *sum) {
    exponent e = {.scale = _mm512_set1_ps(scale), .least = _mm512_set1_ps(LCRT_EXP2_MIN / scale)};
    float so_far = *top;
    float next = n_blocks > 0 ? max_of(logits) : 0.0f;
    for (int32_t b = 0; b < n_blocks; b++) {
        const float *block = logits + (size_t)b * LCRT_BLOCK;
        max[b] = next;
        so_far = next > so_far ? next : so_far;
        next = b + 1 < n_blocks ? max_of(block + LCRT_BLOCK) : 0.0f;
        e.top = _mm512_set1_ps(so_far);
        __m512 lanes = _mm512_setzero_ps();
        for (int i = 0; i < LCRT_BLOCK; i += LCRT_LANES) {
            lanes = add_weights(lanes, block + i, e);
        }
        sum[b] = fold_sum(lanes);
    }
    *top = so_far;
}

AVX512 static void block_mask(const float *block, const uint32_t *mask, float *out) {
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    for (int i = 0; i < LCRT_BLOCK; i += LCRT_LANES) {
        __mmask16 allowed = (__mmask16)(mask[i / 32] >> (i % 32));
        _mm512_storeu_ps(out + i, _mm512_mask_mov_ps(lowest, allowed, _mm512_loadu_ps(block + i)));
    }
}

AVX512 static int32_t block_find(const float *block, float least, uint8_t *places) {
    const __m512 leasts = _mm512_set1_ps(least);
    int32_t n = 0;
    for (int i = 0; i < LCRT_BLOCK; i += LCRT_LANES) {
        uint32_t found = _mm512_cmp_ps_mask(_mm512_loadu_ps(block + i), leasts, _CMP_GE_OQ);
        for (; found != 0; found &= found - 1) {
            places[n++] = (uint8_t)(i + __builtin_ctz(found));
        }
    }
    return n;
}

AVX512 static int32_t count(const float *values, int32_t n_values, float least) {
    const __m512 leasts = _mm512_set1_ps(least);
    int32_t n = 0;
    int32_t i = 0;
    for (; i + LCRT_LANES <= n_values; i += LCRT_LANES) {
        n += __builtin_popcount(_mm512_cmp_ps_mask(_mm512_loadu_ps(values + i), leasts, _CMP_GE_OQ));
    }
    for (; i < n_values; i++) {
        n += values[i] >= least;
    }
    return n;
}

const lcrt_kernels lcrt_kernels_avx512 = {.name = "avx512",
                                          .block_max = block_max,
                                          .block_weigh = block_weigh,
                                          .block_mask = block_mask,
                                          .block_find = block_find,
                                          .count = count};

#else
typedef int lcrt_no_avx512;
#endif
