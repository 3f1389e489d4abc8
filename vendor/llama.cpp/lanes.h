/* lanes.h -- the vectors that attention-rows.cpp and lanes-half.cpp compute with.
 *
 * 16 floats with AVX-512, 8 with AVX2; LCRT_LANES is not defined where there is neither, and then ggml's own
 * functions are used. The choice is made when a variant of the CPU backend is compiled. */
#ifndef LCRT_LANES_H
#define LCRT_LANES_H

#include <cstdint>

#include "vec.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__BMI2__)
#define LCRT_LANES 16
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__BMI2__)
#define LCRT_LANES 8
#endif

#ifdef LCRT_LANES

#include <immintrin.h>

namespace lcrt_lanes {

constexpr int width = LCRT_LANES;
constexpr uint32_t all_lanes = (1U << width) - 1; /* one bit for each lane */
constexpr uint16_t half_forbidden = 0xfc00;       /* minus infinity */

#if LCRT_LANES == 16

using vec = __m512;

inline vec load(const float *from) {
    return _mm512_loadu_ps(from);
}

inline vec load(const ggml_fp16_t *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
}

inline void store(float *to, vec x) {
    _mm512_storeu_ps(to, x);
}

inline vec all(float x) {
    return _mm512_set1_ps(x);
}

inline vec add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

inline vec sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

inline vec mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

inline vec div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

inline vec fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

inline vec larger(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

inline float largest(vec x) {
    return _mm512_reduce_max_ps(x);
}

inline float sum(vec x) {
    return _mm512_reduce_add_ps(x);
}

/* a where a bit is set, else b. */
inline vec choose(uint32_t bits, vec a, vec b) {
    return _mm512_mask_mov_ps(b, static_cast<__mmask16>(bits), a);
}

/* The sums of 16 vectors, one in each lane. */
inline vec sums(const vec *r) {
    vec four[4];
    for (int i = 0; i < 4; i++) {
        const vec *at = r + 4 * i;
        const vec a = add(_mm512_unpacklo_ps(at[0], at[1]), _mm512_unpackhi_ps(at[0], at[1]));
        const vec b = add(_mm512_unpacklo_ps(at[2], at[3]), _mm512_unpackhi_ps(at[2], at[3]));
        four[i] = add(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    }
    const vec low = add(_mm512_shuffle_f32x4(four[0], four[1], 0x88), _mm512_shuffle_f32x4(four[0], four[1], 0xdd));
    const vec high = add(_mm512_shuffle_f32x4(four[2], four[3], 0x88), _mm512_shuffle_f32x4(four[2], four[3], 0xdd));
    return add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

/* Rows of 16 become columns. */
inline void turn(vec *r) {
    vec t[16];
    for (int i = 0; i < 16; i += 4) {
        const vec a = _mm512_unpacklo_ps(r[i], r[i + 1]);
        const vec b = _mm512_unpackhi_ps(r[i], r[i + 1]);
        const vec c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
        const vec d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        const vec a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        const vec b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        const vec c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        const vec d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

/* Which of 64 cells a row of the mask opens; *flat becomes false when one of these has a value other than zero. */
inline uint64_t open_cells(const uint16_t *mask, bool *flat) {
    uint64_t open = 0;
    for (int i = 0; i < 2; i++) {
        const __m512i x = _mm512_loadu_si512(mask + 32 * i);
        const uint32_t bits = _mm512_cmpneq_epi16_mask(x, _mm512_set1_epi16(static_cast<int16_t>(half_forbidden)));
        *flat = *flat && (bits & _mm512_test_epi16_mask(x, _mm512_set1_epi16(0x7fff))) == 0;
        open |= static_cast<uint64_t>(bits) << (32 * i);
    }
    return open;
}

#else

using vec = __m256;

inline vec load(const float *from) {
    return _mm256_loadu_ps(from);
}

inline vec load(const ggml_fp16_t *from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
}

inline void store(float *to, vec x) {
    _mm256_storeu_ps(to, x);
}

inline vec all(float x) {
    return _mm256_set1_ps(x);
}

inline vec add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

inline vec sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

inline vec mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

inline vec div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}

inline vec fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

inline vec larger(vec a, vec b) {
    return _mm256_max_ps(a, b);
}

inline float largest(vec x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

inline float sum(vec x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

/* a where a bit is set, else b. */
inline vec choose(uint32_t bits, vec a, vec b) {
    const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), each);
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, each)));
}

/* The sums of 8 vectors, one in each lane. */
inline vec sums(const vec *r) {
    const vec low = _mm256_hadd_ps(_mm256_hadd_ps(r[0], r[1]), _mm256_hadd_ps(r[2], r[3]));
    const vec high = _mm256_hadd_ps(_mm256_hadd_ps(r[4], r[5]), _mm256_hadd_ps(r[6], r[7]));
    return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

/* Rows of 8 become columns. */
inline void turn(vec *r) {
    vec t[8];
    for (int i = 0; i < 8; i += 4) {
        const vec a = _mm256_unpacklo_ps(r[i], r[i + 1]);
        const vec b = _mm256_unpackhi_ps(r[i], r[i + 1]);
        const vec c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        const vec d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

/* Which of 64 cells a row of the mask opens; *flat becomes false when one of these has a value other than zero. */
inline uint64_t open_cells(const uint16_t *mask, bool *flat) {
    const __m256i forbidden = _mm256_set1_epi16(static_cast<int16_t>(half_forbidden));
    uint64_t open = 0;
    for (int i = 0; i < 4; i++) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(mask + 16 * i));
        const __m256i closed = _mm256_cmpeq_epi16(x, forbidden);
        const __m256i zero = _mm256_cmpeq_epi16(_mm256_slli_epi16(x, 1), _mm256_setzero_si256());
        *flat = *flat && _mm256_movemask_epi8(_mm256_or_si256(closed, zero)) == -1;
        const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(closed), _mm256_extracti128_si256(closed, 1));
        open |= static_cast<uint64_t>(static_cast<uint16_t>(~_mm_movemask_epi8(bytes))) << (16 * i);
    }
    return open;
}

#endif

inline vec exponential(vec x) {
    return ggml_v_expf(x);
}

inline vec tangent(vec x) {
    const vec e = exponential(add(x, x));
    return sub(all(1.0F), div(all(2.0F), add(e, all(1.0F))));
}

} // namespace lcrt_lanes

#endif
#endif
