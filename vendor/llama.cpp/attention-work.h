/* attention-work.h -- what attention-rows.cpp has to do, cut into tiles and blocks.
 *
 * Tiles of queries that share keys, the memory of threads, and what the mask lets a tile see of a block. */
#ifndef LCRT_ATTENTION_WORK_H
#define LCRT_ATTENTION_WORK_H

#include "attention-block.h"

#ifdef LCRT_LANES

#include <cstring>

#include "ggml-cpu-impl.h"

namespace lcrt_attention {

constexpr int partials_max = 2; /* of a thread: where its part of the work begins, and where it ends */

/* The operation. A query is a row and a head that asks; those with the same keys are numbered by row, then head. */
struct operation {
    const ggml_tensor *q, *k, *v, *mask, *sinks;
    ggml_tensor *dst;
    int64_t n_rows, n_heads, n_kv_heads, n_group, n_cells, n_streams; /* n_group: heads that share keys */
    int n_tile;                                                       /* queries of a tile */
    int64_t n_tiles;                                                  /* of one head and stream */
    float scale, cap, max_bias;
};

/* Queries that are computed together. */
struct tile {
    int64_t stream, head;           /* head of the keys */
    int64_t first_query, first_row; /* of those that share the keys */
    int n_queries, n_rows;
};

/* Which cells of a block each row of a tile may see. */
struct sight {
    uint64_t open[tile_queries];
    uint64_t any; /* cells that some row may see */
    bool flat;    /* the mask has no other values than zero and minus infinity */
};

/* A thread's memory, in the room that ggml plans for its own tiles. */
struct memory {
    float *queries, *scores, *room;
    sums_of sums[partials_max];
    int64_t *n_partials, *partials; /* numbers of tiles */
};

/* What a tile's blocks cost, in the measure of cost_of, and how many of them anybody sees; with any head the same. */
struct weight {
    uint64_t cost;
    int64_t n_active;
};

constexpr size_t line_floats = 16; /* every part begins with a line of the cache: loads across two of them are slow */

inline size_t whole_lines(size_t n_floats) {
    return (n_floats + line_floats - 1) / line_floats * line_floats;
}

inline size_t memory_size(const operation &op) {
    const auto dk = static_cast<size_t>(op.k->ne[0]);
    const auto dv = static_cast<size_t>(op.v->ne[0]);
    const auto n = static_cast<size_t>(op.n_tile);
    return line_floats + whole_lines(n * dk) + n * block_cells + block_cells * std::max(dk, dv) +
           partials_max * (whole_lines(n * dv) + whole_lines(2 * n));
}

/* How many tiles of all streams there are with one head. */
inline int64_t n_weights(const operation &op) {
    return op.n_streams * op.n_tiles;
}

inline float *memory_begin(const ggml_compute_params *params) {
    return reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(params->wdata) + 63) / 64 * 64);
}

inline memory memory_of(const operation &op, const ggml_compute_params *params, int thread) {
    const auto dk = static_cast<size_t>(op.k->ne[0]);
    const auto dv = static_cast<size_t>(op.v->ne[0]);
    const auto n = static_cast<size_t>(op.n_tile);
    float *at = memory_begin(params) + static_cast<size_t>(thread) * memory_size(op);
    memory out = {};
    out.n_partials = reinterpret_cast<int64_t *>(at);
    out.partials = out.n_partials + 1;
    out.queries = at += line_floats;
    out.scores = at += whole_lines(n * dk);
    out.room = at += n * block_cells;
    at += block_cells * std::max(dk, dv);
    for (sums_of &sums : out.sums) {
        sums.values = at;
        sums.top = at += whole_lines(n * dv);
        sums.weight = sums.top + n;
        at += whole_lines(2 * n);
    }
    return out;
}

/* What a thread has weighed, n_weights; behind the memory of all threads. */
inline weight *weights_of(const operation &op, const ggml_compute_params *params, int thread) {
    float *at = memory_begin(params) + static_cast<size_t>(params->nth) * memory_size(op);
    return reinterpret_cast<weight *>(at) + thread * n_weights(op);
}

inline operation operation_of(ggml_tensor *dst) {
    operation op = {};
    op.q = dst->src[0];
    op.k = dst->src[1];
    op.v = dst->src[2];
    op.mask = dst->src[3];
    op.sinks = dst->src[4];
    op.dst = dst;
    op.n_rows = op.q->ne[1];
    op.n_heads = op.q->ne[2];
    op.n_kv_heads = op.k->ne[2];
    op.n_group = op.n_heads / op.n_kv_heads;
    op.n_cells = op.k->ne[1];
    op.n_streams = op.q->ne[3];
    std::memcpy(&op.scale, dst->op_params, sizeof(float));
    std::memcpy(&op.max_bias, dst->op_params + 1, sizeof(float));
    std::memcpy(&op.cap, dst->op_params + 2, sizeof(float));
    op.scale = op.cap != 0.0F ? op.scale / op.cap : op.scale;
    return op;
}

/* A cache of one stream with cells as few as ggml pads to costs little in any way. It is left to ggml, so that answers to
 * short prompts are to the bit those of llama.cpp's other programs: greedy answers part at ties of the last digits.
 * Keys that were just computed are no cache but texts that become vectors. */
inline bool pays(const operation &op) {
    return op.k->ne[1] > 256 || op.q->ne[3] > 1 || op.k->op == GGML_OP_CPY;
}

inline bool fits(const operation &op, const ggml_compute_params *params) {
    const bool types = op.q->type == GGML_TYPE_F32 && op.k->type == GGML_TYPE_F16 && op.v->type == GGML_TYPE_F16 &&
                       op.dst->type == GGML_TYPE_F32;
    const bool dense =
        op.q->nb[0] == sizeof(float) && op.k->nb[0] == sizeof(ggml_fp16_t) && op.v->nb[0] == sizeof(ggml_fp16_t);
    const bool shapes = op.k->ne[0] % width == 0 && op.v->ne[0] % width == 0 && op.v->ne[2] == op.k->ne[2] &&
                        op.v->ne[3] == op.k->ne[3] && op.n_heads % op.n_kv_heads == 0 && op.n_cells > 0;
    const bool masked = op.mask == nullptr || (op.mask->type == GGML_TYPE_F16 && op.mask->ne[2] == 1);
    return !params->use_ref && pays(op) && types && dense && shapes && masked;
}

/* Cuts tiles that have all the queries they may have, until the memory of all threads is enough; false when it never is. */
inline bool choose_tiles(const ggml_compute_params *params, operation *op) {
    const int64_t n_queries = op->n_rows * op->n_group;
    const auto enough = [&](int n_tile) {
        op->n_tile = n_tile;
        op->n_tiles = (n_queries + n_tile - 1) / n_tile;
        const size_t weighed = static_cast<size_t>(n_weights(*op)) * sizeof(weight);
        return static_cast<size_t>(params->nth) * (memory_size(*op) * sizeof(float) + weighed) + 64 <= params->wsize;
    };
    int n_tile = static_cast<int>(std::min<int64_t>(tile_queries, n_queries));
    while (!enough(n_tile) && n_tile > 1) {
        n_tile /= 2;
    }
    return enough(n_tile);
}

/* A tile by its number: streams, then heads, then queries. */
inline tile tile_of(const operation &op, int64_t number) {
    tile t = {};
    t.first_query = number % op.n_tiles * op.n_tile;
    t.head = number / op.n_tiles % op.n_kv_heads;
    t.stream = number / op.n_tiles / op.n_kv_heads;
    t.n_queries = static_cast<int>(std::min<int64_t>(op.n_tile, op.n_rows * op.n_group - t.first_query));
    t.first_row = t.first_query / op.n_group;
    t.n_rows = static_cast<int>((t.first_query + t.n_queries - 1) / op.n_group - t.first_row) + 1;
    return t;
}

/* The number of a tile from what weights are numbered by, and its head. */
inline int64_t number_of(const operation &op, int64_t i, int64_t head) {
    return (i / op.n_tiles * op.n_kv_heads + head) * op.n_tiles + i % op.n_tiles;
}

inline const uint16_t *mask_row(const operation &op, const tile &t, int row) {
    const auto at = static_cast<size_t>(t.first_row + row) * op.mask->nb[1] +
                    static_cast<size_t>(t.stream % op.mask->ne[3]) * op.mask->nb[3];
    return reinterpret_cast<const uint16_t *>(static_cast<const char *>(op.mask->data) + at);
}

inline uint64_t first_bits(int64_t n) {
    return n >= block_cells ? ~uint64_t{0} : (uint64_t{1} << n) - 1;
}

inline void look(const operation &op, const tile &t, int64_t first_cell, sight *out) {
    const int64_t n = std::min<int64_t>(block_cells, op.n_cells - first_cell);
    out->any = 0;
    out->flat = true;
    for (int row = 0; row < t.n_rows; row++) {
        uint64_t open = first_bits(n);
        if (op.mask != nullptr && n == block_cells) {
            open = open_cells(mask_row(op, t, row) + first_cell, &out->flat);
        } else if (op.mask != nullptr) {
            uint16_t values[block_cells];
            std::fill(values, values + block_cells, half_forbidden);
            std::memcpy(values, mask_row(op, t, row) + first_cell, static_cast<size_t>(n) * sizeof(*values));
            open = open_cells(values, &out->flat);
        }
        out->open[row] = open;
        out->any |= open;
    }
}

/* Rows that see a quarter of what all see, or less, are better off alone. */
inline bool is_sparse(uint64_t open, uint64_t any) {
    return 4 * __builtin_popcountll(open) <= __builtin_popcountll(any);
}

/* What a block costs, in products of a query and a cell; 0: no row sees anything of it. */
inline uint64_t cost_of(const operation &op, const tile &t, const sight &seen) {
    const int n_cells = __builtin_popcountll(seen.any);
    int n = 4 * n_cells; /* reading and converting */
    for (int row = 0; row < t.n_rows; row++) {
        const int n_open = __builtin_popcountll(seen.open[row]);
        const bool alone = is_sparse(seen.open[row], seen.any);
        n += static_cast<int>(op.n_group) * (alone ? (n_open + width - 1) / width * width : n_cells);
    }
    return static_cast<uint64_t>(n);
}

} // namespace lcrt_attention

#endif
#endif
