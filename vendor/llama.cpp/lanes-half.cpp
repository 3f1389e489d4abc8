/* lanes-half.cpp -- products with half-precision weights on vectors of floats.
 *
 * ggml rounds activations to halves and converts a weight again for every few rows it is multiplied with. Here a panel of
 * weights is converted once for all rows, activations stay as they are, and a sum is added up in the same order whatever
 * else is in the batch: a text has the same products alone and in company. */
#include <algorithm>

#include "ggml-backend.h"
#include "ggml-cpu-impl.h"
#include "ggml-impl.h"
#include "lanes-ops.h"
#include "lanes.h"
#include "scratch.h"

#ifdef LCRT_LANES

namespace {

using namespace lcrt_lanes;

constexpr int panel = 2 * width;                /* columns of weights that are converted at a time */
constexpr int group_max = width == 16 ? 12 : 6; /* rows whose sums with a panel fit into the registers */
constexpr int room_max = 1 << 20;               /* floats of activations that a thread lays out at a time */
constexpr int rows_min = 3;                     /* with fewer, converting the weights costs more than it saves */

struct product {
    const ggml_fp16_t *weights;                     /* n_out rows of n_k */
    const float *rows;                              /* n_rows of n_k */
    float *out;                                     /* n_rows of n_out */
    size_t weights_stride, rows_stride, out_stride; /* in elements */
    int n_k, n_out, n_rows;
};

/* Columns of a panel beside each other, one k after the other; those behind the last are zero. The next panel is fetched
 * meanwhile: so many rows are too much for the CPU to guess. */
void lay_out_weights(const product &p, int col, float *out) {
    for (int half = 0; half < panel; half += width) {
        const int n = std::min(width, p.n_out - col - half);
        const ggml_fp16_t *next = p.weights + static_cast<size_t>(col + half + panel) * p.weights_stride;
        for (int k = 0; k < p.n_k; k += width) {
            vec r[width];
            for (int i = 0; i < width; i++) {
                _mm_prefetch(reinterpret_cast<const char *>(next + static_cast<size_t>(i) * p.weights_stride + k),
                             _MM_HINT_T1);
                r[i] = i < n ? load(p.weights + static_cast<size_t>(col + half + i) * p.weights_stride + k) : all(0.0F);
            }
            turn(r);
            for (int i = 0; i < width; i++) {
                store(out + static_cast<size_t>(k + i) * panel + half, r[i]);
            }
        }
    }
}

/* n rows beside each other, one k after the other. Writes a vector's width behind the end. */
void lay_out_rows(const product &p, int row, int n, float *out) {
    const float *from = p.rows + static_cast<size_t>(row) * p.rows_stride;
    for (int k = 0; k < p.n_k; k += width) {
        vec r[width];
        for (int i = 0; i < width; i++) {
            r[i] = i < n ? load(from + static_cast<size_t>(i) * p.rows_stride + k) : all(0.0F);
        }
        turn(r);
        for (int i = 0; i < width; i++, out += n) {
            store(out, r[i]); /* the next one covers the lanes from n on */
        }
    }
}

/* The sums of N rows with a panel, of which n_columns are wanted. */
template <int N>
void multiply(const float *rows, const float *weights, int n_k, float *out, size_t stride, int n_columns) {
    vec low[N];
    vec high[N];
    for (int i = 0; i < N; i++) {
        low[i] = all(0.0F);
        high[i] = all(0.0F);
    }
    for (int k = 0; k < n_k; k++, rows += N, weights += panel) {
        const vec w0 = load(weights);
        const vec w1 = load(weights + width);
        for (int i = 0; i < N; i++) {
            const vec x = all(rows[i]);
            low[i] = fma(x, w0, low[i]);
            high[i] = fma(x, w1, high[i]);
        }
    }
    for (int i = 0; i < N; i++, out += stride) {
        if (n_columns == panel) {
            store(out, low[i]);
            store(out + width, high[i]);
        } else {
            float sums[panel];
            store(sums, low[i]);
            store(sums + width, high[i]);
            std::copy_n(sums, n_columns, out);
        }
    }
}

using multiplier = void (*)(const float *, const float *, int, float *, size_t, int);
constexpr multiplier multipliers[] = {
    nullptr,     multiply<1>, multiply<2>, multiply<3>,  multiply<4>,  multiply<5>,  multiply<6>,
#if LCRT_LANES == 16
    multiply<7>, multiply<8>, multiply<9>, multiply<10>, multiply<11>, multiply<12>,
#endif
};

struct part {
    int first, last;
};

/* What thread i of n does of some pieces. */
part part_of(int n_pieces, int i, int n) {
    const int each = (n_pieces + n - 1) / n;
    return {std::min(i * each, n_pieces), std::min((i + 1) * each, n_pieces)};
}

/* Groups of rows, as even as they can be, with panels of columns. */
void multiply_part(const product &p, part rows, part panels) {
    if (rows.first >= rows.last || panels.first >= panels.last) {
        return;
    }
    const int chunk = std::max(room_max / p.n_k / group_max, 1) * group_max;
    static thread_local lcrt::scratch<float> rows_room;
    static thread_local lcrt::scratch<float> weights_room;
    float *w = weights_room.get(static_cast<size_t>(p.n_k) * panel);
    float *a = rows_room.get(static_cast<size_t>(p.n_k) * std::min(chunk, rows.last - rows.first) + width);
    for (int row = rows.first; row < rows.last; row += chunk) {
        const int n_rows = std::min(chunk, rows.last - row);
        const int n_groups = (n_rows + group_max - 1) / group_max;
        const auto start = [&](int group) { return group * n_rows / n_groups; };
        for (int g = 0; g < n_groups; g++) {
            lay_out_rows(p, row + start(g), start(g + 1) - start(g), a + static_cast<size_t>(start(g)) * p.n_k);
        }
        for (int col = panels.first * panel; col < std::min(panels.last * panel, p.n_out); col += panel) {
            lay_out_weights(p, col, w);
            for (int g = 0; g < n_groups; g++) {
                multipliers[start(g + 1) - start(g)](a + static_cast<size_t>(start(g)) * p.n_k, w, p.n_k,
                                                     p.out + static_cast<size_t>(row + start(g)) * p.out_stride + col,
                                                     p.out_stride, std::min(panel, p.n_out - col));
            }
        }
    }
}

/* Threads take panels, or rows where these are dealt out more evenly. */
void multiply_all(const ggml_compute_params *params, const product &p) {
    const int n = params->nth;
    const int n_panels = (p.n_out + panel - 1) / panel;
    const int n_groups = (p.n_rows + group_max - 1) / group_max;
    const auto unused = [n](int n_pieces) { return (n_pieces + n - 1) / n * n / static_cast<double>(n_pieces); };
    if (unused(n_groups) < unused(n_panels)) {
        const part groups = part_of(n_groups, params->ith, n);
        multiply_part(p, {groups.first * group_max, std::min(groups.last * group_max, p.n_rows)}, {0, n_panels});
    } else {
        multiply_part(p, {0, p.n_rows}, part_of(n_panels, params->ith, n));
    }
}

bool fits(const ggml_compute_params *params, const ggml_tensor *op) {
    if (params->use_ref || ggml_get_op_params_i32(op, 1) != 0) { /* the second says what is special about the weights */
        return false;
    }
    const ggml_tensor *weights = op->src[0];
    const ggml_tensor *rows = op->src[1];
    return weights->type == GGML_TYPE_F16 && rows->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 &&
           op->ne[1] >= rows_min && op->ne[2] * op->ne[3] == 1 && weights->ne[0] % width == 0 &&
           weights->nb[0] == sizeof(ggml_fp16_t) && rows->nb[0] == sizeof(float) && op->nb[0] == sizeof(float) &&
           weights->buffer != nullptr && ggml_backend_buffer_is_host(weights->buffer);
}

} // namespace

bool lcrt_multiply_halves(const struct ggml_compute_params *params, struct ggml_tensor *op) {
    if (!fits(params, op)) {
        return false;
    }
    const ggml_tensor *weights = op->src[0];
    const ggml_tensor *rows = op->src[1];
    multiply_all(params, {static_cast<const ggml_fp16_t *>(weights->data), static_cast<const float *>(rows->data),
                          static_cast<float *>(op->data), weights->nb[1] / sizeof(ggml_fp16_t),
                          rows->nb[1] / sizeof(float), op->nb[1] / sizeof(float), static_cast<int>(weights->ne[0]),
                          static_cast<int>(op->ne[0]), static_cast<int>(op->ne[1])});
    return true;
}

#endif
