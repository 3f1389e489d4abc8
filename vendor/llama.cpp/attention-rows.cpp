/* attention-rows.cpp -- flash attention that reads a key once for all who ask for it.
 *
 * Part of ggml's CPU backend, in the place of ggml_compute_forward_flash_attn_ext: ggml takes one row of one head after the
 * other, reads and converts all keys and values again for each, and sums values in half precision. Here the queries of
 * all rows and heads that share keys are a tile, and cells come in blocks: what the mask closes for all of a block
 * is skipped, rows that see few of its cells are computed on these alone. The blocks of all tiles are laid end to
 * end and every thread takes as much work of it as another, so a tile's cells may be several threads'; those keep
 * partial sums, which are merged.
 *
 * Keys and values of other types than half precision, and head sizes that are no multiple of a vector go to ggml's own
 * function, which has another name when it is compiled: see llama_cpp.cmake. */
#include "attention-work.h"

#include "ggml-cpu-impl.h"
#include "ops.h"

extern "C" void ggml_compute_forward_flash_attn_ext_stock(const struct ggml_compute_params *params,
                                                          struct ggml_tensor *dst);

#ifndef LCRT_LANES

void ggml_compute_forward_flash_attn_ext(const struct ggml_compute_params *params, struct ggml_tensor *dst) {
    ggml_compute_forward_flash_attn_ext_stock(params, dst);
}

#else

namespace {

using namespace lcrt_attention;

void load_queries(const operation &op, const tile &t, float *out) {
    const int64_t n = op.q->ne[0];
    for (int i = 0; i < t.n_queries; i++, out += n) {
        const int64_t query = t.first_query + i;
        const auto at = static_cast<size_t>(query / op.n_group) * op.q->nb[1] +
                        static_cast<size_t>(t.head * op.n_group + query % op.n_group) * op.q->nb[2] +
                        static_cast<size_t>(t.stream) * op.q->nb[3];
        const auto *from = reinterpret_cast<const float *>(static_cast<const char *>(op.q->data) + at);
        for (int64_t d = 0; d < n; d += width) {
            store(out + d, mul(all(op.scale), load(from + d)));
        }
    }
}

cells cells_of(const operation &op, const tile &t, const ggml_tensor *from, int64_t first_cell) {
    const int64_t stream = t.stream / (op.n_streams / from->ne[3]);
    const auto at = static_cast<size_t>(first_cell) * from->nb[1] + static_cast<size_t>(t.head) * from->nb[2] +
                    static_cast<size_t>(stream) * from->nb[3];
    return {static_cast<const char *>(from->data) + at, from->nb[1], static_cast<int>(from->ne[0])};
}

/* How steep a head's biases are. */
float slope_of(const operation &op, int64_t head) {
    if (op.max_bias <= 0.0F) {
        return 1.0F;
    }
    const int64_t n = int64_t{1} << static_cast<int>(std::floor(std::log2(static_cast<double>(op.n_heads))));
    return head < n ? std::exp2(-op.max_bias * static_cast<float>(head + 1) / static_cast<float>(n))
                    : std::exp2(-op.max_bias / 2 * static_cast<float>(2 * (head - n) + 1) / static_cast<float>(n));
}

void list_cells(block &b, uint64_t open) {
    b.n_cells = 0;
    for (; open != 0; open &= open - 1) {
        b.listed_cells[b.n_cells++] = __builtin_ctzll(open);
    }
}

void list_row(const operation &op, const tile &t, int row, block &b) {
    const int64_t first = std::max<int64_t>((t.first_row + row) * op.n_group - t.first_query, 0);
    const int64_t end = std::min<int64_t>((t.first_row + row + 1) * op.n_group - t.first_query, t.n_queries);
    for (int64_t i = first; i < end; i++) {
        b.listed[b.n_listed++] = static_cast<int>(i);
    }
}

/* The listed queries and cells: scores, weights, values. */
void attend(const operation &op, const tile &t, const sight &seen, int64_t first_cell, uint64_t any, block &b) {
    list_cells(b, any);
    if (b.n_listed <= few_queries) {
        score_few(b);
    } else {
        score_many(b);
    }
    alignas(64) float biases[block_cells] = {};
    int row_before = -1;
    softening how = {op.cap, 1.0F, seen.flat ? nullptr : biases, 0};
    for (int i = 0; i < b.n_listed; i++) {
        const int64_t query = t.first_query + b.listed[i];
        const int row = static_cast<int>(query / op.n_group - t.first_row);
        if (row != row_before) {
            how.open = _pext_u64(seen.open[row], any);
        }
        if (!seen.flat) {
            const uint16_t *values = mask_row(op, t, row) + first_cell;
            for (int c = 0; c < b.n_cells && row != row_before; c++) {
                biases[c] = GGML_CPU_FP16_TO_FP32(values[b.listed_cells[c]]);
            }
            how.slope = slope_of(op, t.head * op.n_group + query % op.n_group);
        }
        row_before = row;
        soften(b, i, how);
    }
    add_values(b);
}

/* One block of cells: rows that see much of it together, the others by what they see. */
void attend_all(const operation &op, const tile &t, const sight &seen, int64_t first_cell, block &b) {
    bool alone[tile_queries];
    uint64_t any = 0;
    b.n_listed = 0;
    for (int row = 0; row < t.n_rows; row++) {
        alone[row] = is_sparse(seen.open[row], seen.any);
        if (!alone[row]) {
            any |= seen.open[row];
            list_row(op, t, row, b);
        }
    }
    if (b.n_listed > 0) {
        attend(op, t, seen, first_cell, any, b);
    }
    for (int row = 0; row < t.n_rows; row++) {
        if (!alone[row] || seen.open[row] == 0) {
            continue;
        }
        b.n_listed = 0;
        for (int other = row; other < t.n_rows; other++) {
            if (alone[other] && seen.open[other] == seen.open[row]) {
                list_row(op, t, other, b);
                alone[other] = other == row;
            }
        }
        attend(op, t, seen, first_cell, seen.open[row], b);
    }
}

float *result_of(const operation &op, const tile &t, int i) {
    const int64_t query = t.first_query + i;
    const int64_t row = query / op.n_group;
    const int64_t head = t.head * op.n_group + query % op.n_group;
    const auto at = static_cast<size_t>((t.stream * op.n_rows + row) * op.n_heads + head) * op.dst->nb[1];
    return reinterpret_cast<float *>(static_cast<char *>(op.dst->data) + at);
}

/* The result of a tile that sees nothing. */
void clear(const operation &op, const tile &t) {
    for (int i = 0; i < t.n_queries; i++) {
        std::fill_n(result_of(op, t, i), op.v->ne[0], 0.0F);
    }
}

/* Sums of one query become the result. */
void finish(const operation &op, const tile &t, int i, const sums_of &sums) {
    const int64_t n = op.v->ne[0];
    const int64_t head = t.head * op.n_group + (t.first_query + i) % op.n_group;
    float weight = sums.weight[i];
    float factor = 1.0F;
    if (op.sinks != nullptr && weight > 0.0F) {
        const float sink = static_cast<const float *>(op.sinks->data)[head];
        const float top = std::max(sink, sums.top[i]);
        factor = std::exp(sums.top[i] - top);
        weight = weight * factor + std::exp(sink - top);
    }
    factor = weight > 0.0F ? factor / weight : 0.0F;
    float *out = result_of(op, t, i);
    for (int64_t d = 0; d < n; d += width) {
        store(out + d, factor == 0.0F ? all(0.0F) : mul(all(factor), load(sums.values + i * n + d)));
    }
}

/* A part of all the work, in the measure of cost_of. */
struct part {
    uint64_t begin, end;
};

/* The blocks of a tile that begin within a part. at: where the tile begins; n_active: blocks that anybody sees. */
void compute(const operation &op, int64_t number, uint64_t at, int64_t n_active, const part &own, memory &room) {
    const tile t = tile_of(op, number);
    const sums_of &sums = room.sums[*room.n_partials];
    std::fill(sums.top, sums.top + t.n_queries, -INFINITY);
    std::fill(sums.weight, sums.weight + t.n_queries, 0.0F);
    load_queries(op, t, room.queries);
    block b;
    b.queries = room.queries;
    b.scores = room.scores;
    b.room = room.room;
    b.sums = sums;
    int64_t n_done = 0;
    for (int64_t cell = 0; cell < op.n_cells && at < own.end; cell += block_cells) {
        sight seen;
        look(op, t, cell, &seen);
        const bool mine = at >= own.begin;
        if (seen.any == 0) {
            continue;
        }
        at += cost_of(op, t, seen);
        if (mine) {
            b.keys = cells_of(op, t, op.k, cell);
            b.values = cells_of(op, t, op.v, cell);
            attend_all(op, t, seen, cell, b);
            n_done++;
        }
    }
    if (n_done == n_active) {
        for (int i = 0; i < t.n_queries; i++) {
            finish(op, t, i, sums);
        }
    } else if (n_done > 0) {
        room.partials[(*room.n_partials)++] = number;
    }
}

/* What the blocks of a tile cost. */
weight weigh(const operation &op, const tile &t) {
    weight out = {0, 0};
    for (int64_t cell = 0; cell < op.n_cells; cell += block_cells) {
        sight seen;
        look(op, t, cell, &seen);
        if (seen.any != 0) {
            out.cost += cost_of(op, t, seen);
            out.n_active++;
        }
    }
    return out;
}

/* What everything costs. Every thread reads the whole mask for it, once: in pools a second time was 1 to 3 % of the
 * operation. Sharing that work, which costs a barrier, was no better with two threads. */
uint64_t weigh_all(const operation &op, weight *out) {
    uint64_t total = 0;
    for (int64_t i = 0; i < n_weights(op); i++) {
        out[i] = weigh(op, tile_of(op, number_of(op, i, 0)));
        total += out[i].cost;
    }
    return total * static_cast<uint64_t>(op.n_kv_heads);
}

/* Adds sums of the same query over other cells. */
void absorb(int i, int n, const sums_of &more, const sums_of &into) {
    const float top = std::max(into.top[i], more.top[i]);
    const float old_factor = std::exp(into.top[i] - top);
    const float new_factor = std::exp(more.top[i] - top);
    if (top == -INFINITY) {
        return;
    }
    for (int d = 0; d < n; d += width) {
        vec x = more.weight[i] > 0.0F ? mul(all(new_factor), load(more.values + i * n + d)) : all(0.0F);
        x = into.weight[i] > 0.0F ? fma(all(old_factor), load(into.values + i * n + d), x) : x;
        store(into.values + i * n + d, x);
    }
    into.weight[i] = into.weight[i] * old_factor + more.weight[i] * new_factor;
    into.top[i] = top;
}

/* Merges what several threads have of the same tiles; these follow each other. Every thread takes some queries. */
void merge(const operation &op, const ggml_compute_params *params) {
    const int n = static_cast<int>(op.v->ne[0]);
    int64_t number = -1;
    sums_of sums = {};
    const auto finish_own = [&] {
        const tile t = number >= 0 ? tile_of(op, number) : tile{};
        for (int i = params->ith; i < t.n_queries; i += params->nth) {
            finish(op, t, i, sums);
        }
    };
    for (int thread = 0; thread < params->nth; thread++) {
        const memory room = memory_of(op, params, thread);
        for (int64_t p = 0; p < *room.n_partials; p++) {
            if (room.partials[p] != number) {
                finish_own();
                number = room.partials[p];
                sums = room.sums[p];
                continue;
            }
            for (int i = params->ith; i < tile_of(op, number).n_queries; i += params->nth) {
                absorb(i, n, room.sums[p], sums);
            }
        }
    }
    finish_own();
}

/* A thread's part of the work. */
void run(const operation &op, const ggml_compute_params *params) {
    const auto ith = static_cast<uint64_t>(params->ith);
    const auto nth = static_cast<uint64_t>(params->nth);
    memory room = memory_of(op, params, params->ith);
    *room.n_partials = 0;
    weight *weights = weights_of(op, params, params->ith);
    const uint64_t total = weigh_all(op, weights);
    const part own = {total * ith / nth, total * (ith + 1) / nth};
    uint64_t at = 0;
    for (int64_t i = 0; i < n_weights(op); i++) {
        const weight &found = weights[i];
        for (int64_t head = 0; head < op.n_kv_heads; head++, at += found.cost) {
            const int64_t number = number_of(op, i, head);
            if (found.cost == 0 && static_cast<uint64_t>(number) % nth == ith) {
                clear(op, tile_of(op, number));
            }
            if (found.cost > 0 && at < own.end && at + found.cost > own.begin) {
                compute(op, number, at, found.n_active, own, room);
            }
        }
    }
    if (params->nth > 1) {
        ggml_barrier(params->threadpool);
        merge(op, params);
    }
}

} // namespace

void ggml_compute_forward_flash_attn_ext(const struct ggml_compute_params *params, struct ggml_tensor *dst) {
    operation op = operation_of(dst);
    if (fits(op, params) && choose_tiles(params, &op)) {
        run(op, params);
    } else {
        ggml_compute_forward_flash_attn_ext_stock(params, dst);
    }
}

#endif
