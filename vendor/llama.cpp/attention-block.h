/* attention-block.h -- attention of some queries to some of 64 cells, for attention-rows.cpp.
 *
 * Queries and cells are numbers in lists, so that what a mask forbids is left out rather than computed. All sums are in
 * single precision. */
#ifndef LCRT_ATTENTION_BLOCK_H
#define LCRT_ATTENTION_BLOCK_H

#include "lanes.h"

#ifdef LCRT_LANES

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace lcrt_attention {

using namespace lcrt_lanes;

constexpr int columns_max = 4;                /* vectors of sums that a product keeps for one row */
constexpr int rows_max = width == 16 ? 6 : 3; /* rows of sums that fit into the registers beside it */
constexpr int block_cells = 64;
constexpr int tile_queries = 64;
constexpr int few_queries = 8; /* so many at most are multiplied with rows of K; for more K is turned first */

/* Keys or values of one head. */
struct cells {
    const char *data; /* of the block's first cell */
    size_t step;      /* bytes from cell to cell */
    int n;            /* numbers of a cell */

    const ggml_fp16_t *at(int cell) const {
        return reinterpret_cast<const ggml_fp16_t *>(data + static_cast<size_t>(cell) * step);
    }
    /* The same cell of the next block will be wanted soon. Cells are too far apart for the CPU to guess it. */
    void announce(int cell) const {
        const char *from = data + static_cast<size_t>(cell + block_cells) * step;
        for (int byte = 0; byte < 2 * n; byte += 64) {
            _mm_prefetch(from + byte, _MM_HINT_T0);
        }
    }
};

/* What was summed up for every query of a tile. */
struct sums_of {
    float *top;    /* the largest score */
    float *weight; /* the sum of what the scores' exponentials are, relative to top */
    float *values; /* weighted values */
};

struct block {
    cells keys, values;
    const float *queries; /* of the tile, scaled */
    sums_of sums;
    float *scores; /* block_cells for each listed query */
    float *room;   /* block_cells keys or values in single precision */
    int listed_cells[block_cells], n_cells;
    int listed[tile_queries], n_listed; /* queries */
    float factors[tile_queries];        /* what earlier sums are worth */
};

/* Rows of the right side of a product: floats that follow each other, or values where they are. */
struct floats {
    const float *data;
    size_t step;
    vec at(int row, int column) const { return load(data + static_cast<size_t>(row) * step + column); }
    void announce(int) const {}
};

struct halves {
    const cells *from;
    const int *listed;
    int first; /* column */
    vec at(int row, int column) const { return load(from->at(listed[row]) + first + column); }
    void announce(int row) const {
        if (first == 0) {
            from->announce(listed[row]);
        }
    }
};

/* Rows of the left side, and of the sums. */
struct rows_of {
    const float *left[rows_max];
    float *sums[rows_max];
    float factors[rows_max]; /* for the sums that are there; 0: nothing is there */
};

template <int n_rows, int n_columns, class right_side>
void multiply_fixed(const rows_of &rows, const right_side &right, int depth) {
    vec acc[n_rows][n_columns];
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++) {
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; c++) {
            acc[r][c] = rows.factors[r] == 0.0F ? all(0.0F) : mul(all(rows.factors[r]), load(rows.sums[r] + c * width));
        }
    }
    for (int k = 0; k < depth; k++) {
        vec left[n_rows];
        right.announce(k);
#pragma GCC unroll 8
        for (int r = 0; r < n_rows; r++) {
            left[r] = all(rows.left[r][k]);
        }
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; c++) {
            const vec x = right.at(k, c * width);
#pragma GCC unroll 8
            for (int r = 0; r < n_rows; r++) {
                acc[r][c] = fma(left[r], x, acc[r][c]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++) {
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; c++) {
            store(rows.sums[r] + c * width, acc[r][c]);
        }
    }
}

template <int n_rows, class right_side>
void multiply_rows(const rows_of &rows, const right_side &right, int n_columns, int depth) {
    switch (n_columns) {
    case 1:
        return multiply_fixed<n_rows, 1>(rows, right, depth);
    case 2:
        return multiply_fixed<n_rows, 2>(rows, right, depth);
    case 3:
        return multiply_fixed<n_rows, 3>(rows, right, depth);
    default:
        return multiply_fixed<n_rows, columns_max>(rows, right, depth);
    }
}

template <class right_side>
void multiply(int n_rows, const rows_of &rows, const right_side &right, int n_columns, int depth) {
    switch (n_rows) {
    case 1:
        return multiply_rows<1>(rows, right, n_columns, depth);
    case 2:
        return multiply_rows<2>(rows, right, n_columns, depth);
    case 3:
        return multiply_rows<3>(rows, right, n_columns, depth);
    case 4:
        return multiply_rows<std::min(4, rows_max)>(rows, right, n_columns, depth);
    case 5:
        return multiply_rows<std::min(5, rows_max)>(rows, right, n_columns, depth);
    default:
        return multiply_rows<rows_max>(rows, right, n_columns, depth);
    }
}

/* Scores of few queries: the sum over a row of K, many of them at a time. */
inline void score_few(block &b) {
    const int n = b.keys.n;
    for (int c0 = 0; c0 < b.n_cells; c0 += width) {
        for (int j = 0; j < width; j++) {
            const int cell = b.listed_cells[std::min(c0 + j, b.n_cells - 1)];
            const ggml_fp16_t *key = b.keys.at(cell);
            b.keys.announce(cell);
            for (int d = 0; d < n; d += width) {
                store(b.room + j * n + d, load(key + d));
            }
        }
        for (int i = 0; i < b.n_listed; i++) {
            const float *query = b.queries + static_cast<size_t>(b.listed[i]) * n;
            vec acc[width];
            const vec first = load(query);
#pragma GCC unroll 16
            for (int j = 0; j < width; j++) {
                acc[j] = mul(first, load(b.room + j * n));
            }
            for (int d = width; d < n; d += width) {
                const vec x = load(query + d);
#pragma GCC unroll 16
                for (int j = 0; j < width; j++) {
                    acc[j] = fma(x, load(b.room + j * n + d), acc[j]);
                }
            }
            store(b.scores + i * block_cells + c0, sums(acc));
        }
    }
}

/* Scores of many queries: a product with K turned. */
inline void score_many(block &b) {
    const int n = b.keys.n;
    const int n_vecs = (b.n_cells + width - 1) / width;
    for (int c0 = 0; c0 < n_vecs * width; c0 += width) {
        const ggml_fp16_t *keys[width];
        for (int j = 0; j < width; j++) {
            const int cell = b.listed_cells[std::min(c0 + j, b.n_cells - 1)];
            keys[j] = b.keys.at(cell);
            b.keys.announce(cell);
        }
        for (int d = 0; d < n; d += width) {
            vec r[width];
#pragma GCC unroll 16
            for (int j = 0; j < width; j++) {
                r[j] = load(keys[j] + d);
            }
            turn(r);
#pragma GCC unroll 16
            for (int j = 0; j < width; j++) {
                store(b.room + (d + j) * block_cells + c0, r[j]);
            }
        }
    }
    for (int v = 0; v < n_vecs; v += columns_max) {
        for (int i = 0; i < b.n_listed; i += rows_max) {
            const int n_rows = std::min(rows_max, b.n_listed - i);
            rows_of rows = {};
            for (int r = 0; r < n_rows; r++) {
                rows.left[r] = b.queries + static_cast<size_t>(b.listed[i + r]) * n;
                rows.sums[r] = b.scores + (i + r) * block_cells + v * width;
            }
            multiply(n_rows, rows, floats{b.room + v * width, block_cells}, std::min(columns_max, n_vecs - v), n);
        }
    }
}

/* How scores of a query become weights. */
struct softening {
    float cap;           /* scores come no further than this; 0: any */
    float slope;         /* for biases */
    const float *biases; /* of the listed cells; nullptr: none */
    uint64_t open;       /* which of the listed cells the query may see */
};

/* Scores become weights relative to the largest score of the query, which goes up. */
inline void soften(block &b, int i, const softening &how) {
    float *scores = b.scores + i * block_cells;
    const int n_vecs = (b.n_cells + width - 1) / width;
    vec top = all(-INFINITY);
    for (int v = 0; v < n_vecs; v++) {
        vec x = load(scores + v * width);
        if (how.cap != 0.0F) {
            x = mul(all(how.cap), tangent(x));
        }
        if (how.biases != nullptr) {
            x = fma(all(how.slope), load(how.biases + v * width), x);
        }
        const uint32_t bits = static_cast<uint32_t>(how.open >> (v * width)) & all_lanes;
        if (bits != all_lanes) {
            x = choose(bits, x, all(-INFINITY));
        }
        store(scores + v * width, x);
        top = larger(top, x);
    }
    const int query = b.listed[i];
    const float before = b.sums.top[query];
    const float now = std::max(before, largest(top));
    vec weight = all(0.0F);
    for (int v = 0; v < n_vecs; v++) {
        const vec x = exponential(sub(load(scores + v * width), all(now)));
        store(scores + v * width, x);
        weight = add(weight, x);
    }
    const float factor = now > before ? std::exp(before - now) : 1.0F;
    b.sums.top[query] = now;
    b.sums.weight[query] = b.sums.weight[query] * factor + sum(weight);
    b.factors[i] = factor;
}

template <class right_side> void add_columns(block &b, const right_side &right, int first, int n_columns) {
    for (int i = 0; i < b.n_listed; i += rows_max) {
        const int n_rows = std::min(rows_max, b.n_listed - i);
        rows_of rows = {};
        for (int r = 0; r < n_rows; r++) {
            rows.left[r] = b.scores + (i + r) * block_cells;
            rows.sums[r] = b.sums.values + static_cast<size_t>(b.listed[i + r]) * b.values.n + first;
            rows.factors[r] = b.factors[i + r];
        }
        multiply(n_rows, rows, right, n_columns, b.n_cells);
    }
}

/* Adds the weighted values. */
inline void add_values(block &b) {
    const int n = b.values.n;
    const bool once = b.n_listed <= rows_max;
    for (int c = 0; c < b.n_cells && !once; c++) {
        b.values.announce(b.listed_cells[c]);
        for (int d = 0; d < n; d += width) {
            store(b.room + c * n + d, load(b.values.at(b.listed_cells[c]) + d));
        }
    }
    for (int d = 0; d < n; d += columns_max * width) {
        const int n_columns = std::min(columns_max, (n - d) / width);
        if (once) {
            add_columns(b, halves{&b.values, b.listed_cells, d}, d, n_columns);
        } else {
            add_columns(b, floats{b.room + d, static_cast<size_t>(n)}, d, n_columns);
        }
    }
}

} // namespace lcrt_attention

#endif
#endif
