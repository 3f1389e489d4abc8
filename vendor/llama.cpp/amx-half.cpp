/* amx-half.cpp -- products with half-precision weights on AMX.
 *
 * Part of ggml's CPU backend, in the place of ggml_backend_amx_mul_mat: ggml multiplies such weights with AVX-512, one
 * dot product at a time, although the CPU has tiles for bfloat16. A half is the exact sum of two bfloat16, and an
 * activation that of two but for its last 8 bits. So three products of tiles, high by high, high by low and low by
 * high, come closer to single precision than ggml, which rounds activations to halves. Weights stay in memory as
 * they are and are split block by block.
 *
 * Every other product goes to ggml's own function, which has another name when it is compiled: see llama_cpp.cmake. */
#include "amx-gcc.h"

#include "amx/amx.h"
#include "amx/common.h"
#include "amx/mmq.h"
#include "scratch.h"

#if defined(__AMX_INT8__) && defined(__AVX512VNNI__)

void ggml_backend_amx_mul_mat_stock(const struct ggml_compute_params *params, struct ggml_tensor *dst);

#if !defined(__GNUC__) || defined(__clang__)

void ggml_backend_amx_mul_mat(const struct ggml_compute_params *params, struct ggml_tensor *dst) {
    ggml_backend_amx_mul_mat_stock(params, dst);
}

#else

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <cpuid.h>
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16,avx512bf16,avx512bw")

namespace {

constexpr int tile_rows = 16;
constexpr int tile_k = 32;                    /* bfloat16 in one row of a tile */
constexpr int tile_size = tile_rows * tile_k; /* elements */
constexpr int block = 2 * tile_rows;          /* rows and columns of a block of four sums */
constexpr int chunk = 4 * block;              /* rows of activations that are split at a time */
constexpr int rows_min = 8;                   /* with fewer, splitting the weights costs more than it saves */

struct config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t colsb[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

bool has_bf16_tiles() {
    static const bool has = [] {
        unsigned first[4] = {};
        unsigned second[4] = {};
        const int known = __get_cpuid_count(7, 0, &first[0], &first[1], &first[2], &first[3]) &
                          __get_cpuid_count(7, 1, &second[0], &second[1], &second[2], &second[3]);
        return known != 0 && (first[3] >> 22 & 1) != 0 && (second[0] >> 5 & 1) != 0; /* AMX-BF16, AVX512-BF16 */
    }();
    return has;
}

/* 32 numbers as their bfloat16 and what is left of them. */
inline void split(__m512 first, __m512 second, __m512i *high, __m512i *low) {
    const __m512i h = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512 h0 = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(h)), 16));
    const __m512 h1 =
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(h, 1)), 16));
    *high = h;
    *low = (__m512i)_mm512_cvtne2ps_pbh(_mm512_sub_ps(second, h1), _mm512_sub_ps(first, h0));
}

/* Rows of 16 pairs become columns. */
inline void transpose(__m512i *r) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Tiles of activations: for each 16 rows and 32 columns the high parts, then the low ones. */
void split_activations(const float *rows, size_t stride, int n_rows, int n_k, uint16_t *out) {
    for (int r0 = 0; r0 < n_rows; r0 += tile_rows) {
        for (int k = 0; k < n_k; k += tile_k) {
            for (int r = 0; r < tile_rows; r++) {
                __m512i high = _mm512_setzero_si512();
                __m512i low = high;
                if (r0 + r < n_rows) {
                    const float *at = rows + static_cast<size_t>(r0 + r) * stride + k;
                    split(_mm512_loadu_ps(at), _mm512_loadu_ps(at + 16), &high, &low);
                }
                _mm512_store_si512(out + r * tile_k, high);
                _mm512_store_si512(out + tile_size + r * tile_k, low);
            }
            out += 2 * tile_size;
        }
    }
}

/* Tiles of 16 weights' rows, pairs of columns turned into rows; high parts, then low ones. */
void split_weights(const ggml_fp16_t *rows, size_t stride, int n_k, uint16_t *out) {
    for (int k = 0; k < n_k; k += tile_k) {
        __m512i high[16];
        __m512i low[16];
        for (int r = 0; r < tile_rows; r++) {
            const ggml_fp16_t *at = rows + static_cast<size_t>(r) * stride + k;
            split(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(at))),
                  _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(at + 16))), &high[r], &low[r]);
        }
        transpose(high);
        transpose(low);
        for (int r = 0; r < tile_rows; r++) {
            _mm512_store_si512(out + r * tile_k, high[r]);
            _mm512_store_si512(out + tile_size + r * tile_k, low[r]);
        }
        out += 2 * tile_size;
    }
}

/* Four sums of 16 by 16 over all of k. a0 and a1 are 16 rows each, w0 and w1 16 columns each. */
inline void multiply(const uint16_t *a0, const uint16_t *a1, const uint16_t *w0, const uint16_t *w1, int n_k) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int k = 0; k < n_k; k += tile_k) {
        _tile_loadd(4, a0, 64);
        _tile_loadd(6, w0 + tile_size, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, w1 + tile_size, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a1, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, w0, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(7, w1, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, a0 + tile_size, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a1 + tile_size, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        a0 += 2 * tile_size;
        a1 += 2 * tile_size;
        w0 += 2 * tile_size;
        w1 += 2 * tile_size;
    }
}

void store(float *out, size_t stride, int n_rows) {
    alignas(64) float sums[block * block];
    float *to = n_rows >= block ? out : sums;
    const size_t step = n_rows >= block ? stride : block;
    _tile_stored(0, to, step * sizeof(float));
    _tile_stored(1, to + tile_rows, step * sizeof(float));
    _tile_stored(2, to + tile_rows * step, step * sizeof(float));
    _tile_stored(3, to + tile_rows * step + tile_rows, step * sizeof(float));
    for (int r = 0; n_rows < block && r < n_rows; r++) {
        std::memcpy(out + static_cast<size_t>(r) * stride, sums + r * block, block * sizeof(float));
    }
}

struct product {
    const ggml_fp16_t *weights;
    const float *rows;
    float *out;
    size_t weights_stride, rows_stride, out_stride; /* in elements */
    int n_k, n_out;
};

/* Our shape of tiles for as long as it lives. ggml loads its own once for each thread and relies on it. */
class shape {
public:
    shape() {
        __asm__ volatile("sttilecfg\t%0" : "=m"(before));
        const config ours;
        _tile_loadconfig(&ours);
    }
    ~shape() {
        if (before.palette != 0) {
            _tile_loadconfig(&before);
        } else {
            _tile_release();
        }
    }
    shape(const shape &) = delete;
    shape &operator=(const shape &) = delete;

private:
    config before;
};

/* Some rows by some columns. */
void compute(const product &p, int row0, int row1, int col0, int col1) {
    static thread_local lcrt::scratch<uint16_t> activations;
    static thread_local lcrt::scratch<uint16_t> weights;
    const size_t tiles_k = static_cast<size_t>(p.n_k / tile_k) * 2 * tile_size;
    uint16_t *a = activations.get(tiles_k * (chunk / tile_rows));
    uint16_t *w = weights.get(tiles_k * 2);
    const shape tiles;
    for (int row = row0; row < row1; row += chunk) {
        const int n_rows = std::min(chunk, row1 - row);
        split_activations(p.rows + static_cast<size_t>(row) * p.rows_stride, p.rows_stride, n_rows, p.n_k, a);
        if (n_rows % block != 0 && n_rows % block <= tile_rows) {
            std::memset(a + tiles_k * static_cast<size_t>((n_rows + tile_rows - 1) / tile_rows), 0,
                        tiles_k * sizeof(uint16_t)); /* the second half of the last block */
        }
        for (int col = col0; col < col1; col += block) {
            const ggml_fp16_t *from = p.weights + static_cast<size_t>(col) * p.weights_stride;
            split_weights(from, p.weights_stride, p.n_k, w);
            split_weights(from + tile_rows * p.weights_stride, p.weights_stride, p.n_k, w + tiles_k);
            for (int r = 0; r < n_rows; r += block) {
                const uint16_t *at = a + tiles_k * static_cast<size_t>(r / tile_rows);
                multiply(at, at + tiles_k, w, w + tiles_k, p.n_k);
                store(p.out + static_cast<size_t>(row + r) * p.out_stride + col, p.out_stride, n_rows - r);
            }
        }
    }
}

bool fits(const ggml_tensor *weights, const ggml_tensor *rows, const ggml_tensor *dst) {
    return weights->type == GGML_TYPE_F16 && rows->type == GGML_TYPE_F32 && dst->type == GGML_TYPE_F32 &&
           dst->ne[1] >= rows_min && dst->ne[2] * dst->ne[3] == 1 && weights->ne[0] % tile_k == 0 &&
           dst->ne[0] % block == 0 && has_bf16_tiles();
}

/* Threads take rows when there are blocks of them for all, else columns. */
void multiply_all(const ggml_compute_params *params, const product &p, int n_rows) {
    const int n_threads = params->nth;
    const bool by_rows = n_rows >= 2 * block * n_threads;
    const int n_blocks = by_rows ? (n_rows + block - 1) / block : p.n_out / block;
    int first = 0;
    int last = 0;
    balance211(n_blocks, n_threads, params->ith, first, last);
    if (first >= last) {
        return;
    }
    if (by_rows) {
        compute(p, first * block, std::min(last * block, n_rows), 0, p.n_out);
    } else {
        compute(p, 0, n_rows, first * block, last * block);
    }
}

} // namespace

void ggml_backend_amx_mul_mat(const struct ggml_compute_params *params, struct ggml_tensor *dst) {
    const ggml_tensor *weights = dst->src[0];
    const ggml_tensor *rows = dst->src[1];
    if (!fits(weights, rows, dst)) {
        ggml_backend_amx_mul_mat_stock(params, dst);
        return;
    }
    const product p = {static_cast<const ggml_fp16_t *>(weights->data),
                       static_cast<const float *>(rows->data),
                       static_cast<float *>(dst->data),
                       weights->nb[1] / sizeof(ggml_fp16_t),
                       rows->nb[1] / sizeof(float),
                       dst->nb[1] / sizeof(float),
                       static_cast<int>(weights->ne[0]),
                       static_cast<int>(dst->ne[0])};
    multiply_all(params, p, static_cast<int>(dst->ne[1]));
}

#pragma GCC pop_options

#endif
#endif
