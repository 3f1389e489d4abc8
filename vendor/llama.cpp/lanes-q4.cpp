/* lanes-q4.cpp -- products of several rows with weights of four bits and a least value (Q4_1).
 *
 * ggml takes one row and one column at a time, unpacks the weights for each and looks scales up in a table of all halves.
 * Here four columns are unpacked once for all rows, and a product of four columns by four rows is kept in registers.
 * Every sum is made of the same parts in the same order as ggml's, so that a row has the same product in every
 * company, alone in ggml's function too. */
#include <algorithm>

#include "ggml-backend.h"
#include "ggml-cpu-impl.h"
#include "ggml-impl.h"
#include "lanes-ops.h"
#include "lanes.h"
#include "scratch.h"

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"

#ifdef LCRT_LANES

namespace {

using namespace lcrt_lanes;

constexpr int n_block = QK4_1;               /* weights that have one scale and one least value */
constexpr int columns = width == 16 ? 4 : 2; /* whose products with four rows fit into the registers */
constexpr int rows_max = 4;                  /* of such a product */
constexpr int rows_min = 2;                  /* one row is ggml's */

struct product {
    const block_q4_1 *weights;         /* n_out rows of n_blocks */
    const block_q8_1 *rows;            /* n_rows of n_blocks */
    float *out;                        /* n_rows of n_out */
    size_t weights_stride, out_stride; /* in blocks; in floats */
    int n_blocks, n_out, n_rows;
};

/* Four columns, block by block. */
struct unpacked {
    __m256i q[columns];
    float scale[columns];
    float least[columns];
};

inline float single(ggml_half x) {
    return _cvtsh_ss(x);
}

/* Sums of four products each, as floats. */
inline __m256 products(__m256i q, __m256i y) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_cvtepi32_ps(_mm256_dpbusd_epi32(_mm256_setzero_si256(), q, y));
#else
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(_mm256_set1_epi16(1), _mm256_maddubs_epi16(q, y)));
#endif
}

inline float sum_of(__m256 x) {
    __m128 y = _mm_add_ps(_mm256_extractf128_ps(x, 1), _mm256_castps256_ps128(x));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

/* The columns after these are fetched meanwhile: they would come in while nothing else can be done. */
void unpack(const product &p, int column, unpacked *out) {
    const __m256i low = _mm256_set1_epi8(15);
    for (int b = 0; b < p.n_blocks; b++) {
        for (int c = 0; c < columns; c++) {
            const int from = std::min(column + c, p.n_out - 1); /* behind the last: not stored */
            const block_q4_1 &w = p.weights[static_cast<size_t>(from) * p.weights_stride + b];
            _mm_prefetch(reinterpret_cast<const char *>(&w + columns * p.weights_stride), _MM_HINT_T0);
            const __m128i nibbles = _mm_loadu_si128(reinterpret_cast<const __m128i *>(w.qs));
            out[b].q[c] = _mm256_and_si256(low, _mm256_set_m128i(_mm_srli_epi16(nibbles, 4), nibbles));
            out[b].scale[c] = single(w.data.data.d);
            out[b].least[c] = single(w.data.data.m);
        }
    }
}

/* What blocks of rows have beside their numbers: the scale of each row, one block after the other, and the sums of all
 * rows for each block, whose distance is a multiple of a vector. */
struct scales {
    const float *scale;
    const float *sum;
    int n_padded;
};

scales scales_of(const product &p) {
    static thread_local lcrt::scratch<float> room;
    const int n_padded = (p.n_rows + width - 1) / width * width;
    const size_t n_blocks = static_cast<size_t>(p.n_blocks);
    float *scale = room.get(n_blocks * static_cast<size_t>(p.n_rows + n_padded));
    float *sum = scale + n_blocks * static_cast<size_t>(p.n_rows);
    for (int row = 0; row < p.n_rows; row++) {
        for (size_t b = 0; b < n_blocks; b++) {
            const block_q8_1 &y = p.rows[static_cast<size_t>(row) * n_blocks + b];
            scale[static_cast<size_t>(row) * n_blocks + b] = single(y.data.data.d);
            sum[b * static_cast<size_t>(n_padded) + static_cast<size_t>(row)] = single(y.data.data.s);
        }
    }
    return {scale, sum, n_padded};
}

/* The least values' part: sums[c][i] for rows from row on, a vector of them. */
void sum_least(const product &p, const scales &s, const unpacked *w, int row, float (*sums)[width]) {
    vec total[columns];
    std::fill_n(total, columns, all(0.0F));
    for (int b = 0; b < p.n_blocks; b++) {
        const vec y = load(s.sum + static_cast<size_t>(b) * static_cast<size_t>(s.n_padded) + row);
        for (int c = 0; c < columns; c++) {
            total[c] = fma(all(w[b].least[c]), y, total[c]);
        }
    }
    for (int c = 0; c < columns; c++) {
        store(sums[c], total[c]);
    }
}

/* N rows from row on by all the columns; least: of the first of them. */
template <int N>
void multiply(const product &p, const scales &s, const unpacked *w, int row, int n_columns, const float *least,
              float *out) {
    __m256 total[N][columns];
    for (auto &of_row : total) {
        std::fill_n(of_row, columns, _mm256_setzero_ps());
    }
    const block_q8_1 *rows = p.rows + static_cast<size_t>(row) * static_cast<size_t>(p.n_blocks);
    const float *scale = s.scale + static_cast<size_t>(row) * static_cast<size_t>(p.n_blocks);
    for (int b = 0; b < p.n_blocks; b++) {
        for (int i = 0; i < N; i++) {
            const size_t at = static_cast<size_t>(i) * static_cast<size_t>(p.n_blocks) + static_cast<size_t>(b);
            const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(rows[at].qs));
            const __m256 d = _mm256_set1_ps(scale[at]);
            for (int c = 0; c < columns; c++) {
                const __m256 both = _mm256_mul_ps(_mm256_set1_ps(w[b].scale[c]), d);
                total[i][c] = _mm256_fmadd_ps(both, products(w[b].q[c], y), total[i][c]);
            }
        }
    }
    for (int i = 0; i < N; i++) {
        for (int c = 0; c < std::min(columns, n_columns); c++) {
            out[static_cast<size_t>(i) * p.out_stride + static_cast<size_t>(c)] =
                sum_of(total[i][c]) + least[c * width + i];
        }
    }
}

/* All rows by some columns. */
void multiply_part(const product &p, const scales &s, int first, int last) {
    static thread_local lcrt::scratch<unpacked> room;
    unpacked *w = room.get(static_cast<size_t>(p.n_blocks));
    for (int column = first; column < last; column += columns) {
        unpack(p, column, w);
        for (int group = 0; group < p.n_rows; group += width) {
            float least[columns][width];
            sum_least(p, s, w, group, least);
            for (int row = group; row < std::min(group + width, p.n_rows); row += rows_max) {
                float *out = p.out + static_cast<size_t>(row) * p.out_stride + column;
                const float *from = &least[0][row - group];
                switch (std::min(rows_max, p.n_rows - row)) {
                case 1:
                    multiply<1>(p, s, w, row, last - column, from, out);
                    break;
                case 2:
                    multiply<2>(p, s, w, row, last - column, from, out);
                    break;
                case 3:
                    multiply<3>(p, s, w, row, last - column, from, out);
                    break;
                default:
                    multiply<4>(p, s, w, row, last - column, from, out);
                }
            }
        }
    }
}

/* Rounds the rows to eight bits, every thread a part of each. */
void round_rows(const ggml_compute_params *params, const ggml_tensor *from, int n_blocks) {
    const int first = n_blocks * params->ith / params->nth;
    const int last = n_blocks * (params->ith + 1) / params->nth;
    const ggml_from_float_t round = ggml_get_type_traits_cpu(GGML_TYPE_Q8_1)->from_float;
    auto *out = static_cast<block_q8_1 *>(params->wdata);
    for (int64_t row = 0; row < from->ne[1] && first < last; row++) {
        const auto *x = reinterpret_cast<const float *>(static_cast<const char *>(from->data) +
                                                        static_cast<size_t>(row) * from->nb[1]);
        round(x + static_cast<size_t>(first) * n_block, out + row * n_blocks + first,
              static_cast<int64_t>(last - first) * n_block);
    }
}

bool fits(const ggml_compute_params *params, const ggml_tensor *op) {
    const ggml_tensor *weights = op->src[0];
    const ggml_tensor *rows = op->src[1];
    return !params->use_ref && weights->type == GGML_TYPE_Q4_1 && rows->type == GGML_TYPE_F32 &&
           ggml_get_op_params_i32(op, 1) == 0 && op->ne[1] >= rows_min && op->ne[2] * op->ne[3] == 1 &&
           rows->nb[0] == sizeof(float) && op->nb[0] == sizeof(float) && weights->buffer != nullptr &&
           ggml_backend_buffer_is_host(weights->buffer) &&
           params->wsize >= ggml_row_size(GGML_TYPE_Q8_1, rows->ne[0]) * static_cast<size_t>(rows->ne[1]);
}

} // namespace

bool lcrt_multiply_q4(const struct ggml_compute_params *params, struct ggml_tensor *op) {
    if (!fits(params, op)) {
        return false;
    }
    const ggml_tensor *weights = op->src[0];
    const product p = {static_cast<const block_q4_1 *>(weights->data),
                       static_cast<const block_q8_1 *>(params->wdata),
                       static_cast<float *>(op->data),
                       weights->nb[1] / sizeof(block_q4_1),
                       op->nb[1] / sizeof(float),
                       static_cast<int>(weights->ne[0] / n_block),
                       static_cast<int>(op->ne[0]),
                       static_cast<int>(op->ne[1])};
    round_rows(params, op->src[1], p.n_blocks);
    if (params->ith == 0) {
        ggml_threadpool_chunk_set(params->threadpool, params->nth);
    }
    ggml_barrier(params->threadpool);
    const scales s = scales_of(p);
    const int part =
        std::max(p.n_out / (8 * params->nth) / columns, 1) * columns; /* threads take the next that is left */
    for (int i = params->ith; i * part < p.n_out; i = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        multiply_part(p, s, i * part, std::min((i + 1) * part, p.n_out));
    }
    return true;
}

#endif
