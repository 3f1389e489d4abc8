/* backend-llama.cpp -- the table of backend.h over one llama_context.
 *
 * The engine thread calls everything but interrupt, piece and is_eog. Nothing is
 * allocated per decode except by llama.cpp itself and by moves between split streams. */
#include <algorithm>
#include <climits>

#include "context.hpp"
#include "lcrt/vocab.h"

namespace {

using lcrt::context;

context *of(void *self) {
    return static_cast<context *>(self);
}

bool valid(const context *ctx, const lcrt_row &row) {
    return row.token >= 0 && row.token < ctx->info.n_vocab && row.seq >= 0 && row.seq < ctx->info.n_seq_max &&
           row.pos >= 0;
}

/* Rows to the columns that llama.cpp wants. */
lcrt_status fill_batch(context *ctx, const lcrt_row *rows, int32_t n_rows) {
    int32_t n_outputs = 0;
    ctx->n_rows = 0;
    std::fill(ctx->first.begin(), ctx->first.end(), INT_MAX);
    for (int32_t i = 0; i < n_rows; i++) {
        const lcrt_row &row = rows[i];
        if (!valid(ctx, row)) {
            return LCRT_ERR_INVALID;
        }
        const auto at = static_cast<size_t>(i);
        auto &lowest = ctx->first[static_cast<size_t>(row.seq)];
        lowest = std::min(lowest, row.pos);
        ctx->tokens[at] = row.token;
        ctx->positions[at] = row.pos;
        ctx->seq_ids[at] = row.seq;
        ctx->outputs[at] = row.output ? 1 : 0;
        n_outputs += row.output ? 1 : 0;
    }
    if (n_outputs > ctx->n_outputs_max) {
        return LCRT_ERR_INVALID;
    }
    ctx->n_rows = n_rows;
    return LCRT_OK;
}

/* Forgets what a failed pass left of its rows; false when the memory cannot. */
bool undo(context *ctx) {
    bool clean = true;
    for (size_t seq = 0; seq < ctx->first.size(); seq++) {
        const llama_pos p0 = ctx->first[seq];
        const auto id = static_cast<llama_seq_id>(seq);
        if (p0 != INT_MAX && llama_memory_seq_pos_max(ctx->memory, id) >= p0) {
            clean = llama_memory_seq_rm(ctx->memory, id, p0, -1) && clean;
        }
    }
    ctx->n_rows = 0;
    return clean;
}

/* llama.cpp takes the rows of a pass that was broken off back itself, and where it keeps snapshots of recurrent states it
 * goes back to one that this pass has not written. Only what began with the pass is right then, as there is nothing. */
bool is_as_before(const context *ctx) {
    return ctx->undo.most() == 0 ||
           std::all_of(ctx->first.begin(), ctx->first.end(), [](llama_pos p0) { return p0 == 0 || p0 == INT_MAX; });
}

void note_pass(context *ctx, const llama_batch &batch) {
    ctx->undo.begin_pass();
    for (size_t seq = 0; seq < ctx->first.size() && ctx->undo.most() > 0; seq++) {
        const auto id = static_cast<llama_seq_id>(seq);
        if (ctx->first[seq] != INT_MAX) {
            ctx->undo.note_pass(id, llama_memory_seq_pos_max(ctx->memory, id) + 1 - ctx->first[seq]);
        }
    }
    if (ctx->heads != nullptr) {
        ctx->heads->follow(batch);
    }
}

lcrt_status decode(void *self, const lcrt_row *rows, int32_t n_rows) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        if (n_rows < 1 || n_rows > ctx->info.n_batch) {
            return LCRT_ERR_INVALID;
        }
        const lcrt_status filled = fill_batch(ctx, rows, n_rows);
        if (filled != LCRT_OK) {
            return filled;
        }
        llama_batch batch = {};
        batch.n_tokens = n_rows;
        batch.token = ctx->tokens.data();
        batch.pos = ctx->positions.data();
        batch.n_seq_id = ctx->n_seq_ids.data();
        batch.seq_id = ctx->seq_id_pointers.data();
        batch.logits = ctx->outputs.data();
        const lcrt::hush hush;
        std::unique_lock lock(ctx->model->adapters, std::defer_lock);
        if (ctx->reserves) {
            lock.lock();
            ctx->reserves = false;
        }
        switch (llama_decode(ctx->llama, batch)) {
        case 0:
            note_pass(ctx, batch);
            return LCRT_OK;
        case 1:
            ctx->n_rows = 0;
            return LCRT_ERR_FULL;
        case 2:
            return undo(ctx) && is_as_before(ctx) ? LCRT_ERR_CANCELLED : LCRT_ERR_BACKEND;
        case -1:
            ctx->n_rows = 0;
            return LCRT_ERR_INVALID;
        default:
            (void)undo(ctx);
            hush.tell();
            return LCRT_ERR_BACKEND;
        }
    });
}

const float *logits(void *self, int32_t i) {
    context *ctx = of(self);
    const float *row = nullptr;
    (void)lcrt::guarded([&] {
        if (i >= 0 && i < ctx->n_rows && ctx->outputs[static_cast<size_t>(i)] != 0) {
            row = llama_get_logits_ith(ctx->llama, i);
        }
        return LCRT_OK;
    });
    return row;
}

bool valid_seq(const context *ctx, int32_t seq) {
    return seq >= 0 && seq < ctx->info.n_seq_max;
}

lcrt_status trim_trunk(context *ctx, int32_t seq, int32_t p0, int32_t p1) {
    const bool tail = p1 < 0;
    if (tail && p0 > llama_memory_seq_pos_max(ctx->memory, seq)) {
        return LCRT_OK;
    }
    if (p0 <= 0 && tail) {
        ctx->undo.note_pass(seq, 0);
        return llama_memory_seq_rm(ctx->memory, seq, -1, -1) ? LCRT_OK : LCRT_ERR_BACKEND;
    }
    if (tail ? p0 < lcrt::trim_min(ctx, seq) : !ctx->info.can_trim) {
        return LCRT_ERR_UNSUPPORTED;
    }
    ctx->undo.note_trim(seq);
    return llama_memory_seq_rm(ctx->memory, seq, p0, p1) ? LCRT_OK : LCRT_ERR_UNSUPPORTED;
}

lcrt_status trim(void *self, int32_t seq, int32_t p0, int32_t p1) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        const lcrt_status trimmed = trim_trunk(ctx, seq, p0, p1);
        if (trimmed == LCRT_OK && ctx->heads != nullptr) {
            ctx->heads->trim(seq, p0, p1);
        }
        return trimmed;
    });
}

lcrt_status shift(void *self, int32_t seq, int32_t p0, int32_t p1, int32_t delta) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        if (!ctx->info.can_shift) {
            return LCRT_ERR_UNSUPPORTED;
        }
        llama_memory_seq_add(ctx->memory, seq, p0, p1, delta);
        if (ctx->heads != nullptr) {
            ctx->heads->shift(seq, p0, p1, delta);
        }
        return LCRT_OK;
    });
}

/* Split streams share nothing: the cells of src are written out and read in again as dst's. */
lcrt_status copy_state(context *ctx, int32_t src, int32_t dst) {
    const size_t size = llama_state_seq_get_size(ctx->llama, src);
    ctx->state.resize(std::max(ctx->state.size(), size));
    const size_t written = llama_state_seq_get_data(ctx->llama, ctx->state.data(), size, src);
    if (written == 0 || written > size) {
        return LCRT_ERR_BACKEND;
    }
    ctx->undo.note_pass(dst, 0);
    return llama_state_seq_set_data(ctx->llama, ctx->state.data(), written, dst) > 0 ? LCRT_OK : LCRT_ERR_FULL;
}

bool valid_pair(const context *ctx, int32_t src, int32_t dst) {
    return valid_seq(ctx, src) && valid_seq(ctx, dst) && src != dst;
}

/* The first n positions, which are not all unless whole. */
lcrt_status share_trunk(context *ctx, int32_t src, int32_t dst, int32_t n, bool whole) {
    if (!whole && (!ctx->goes_back || n < lcrt::trim_min(ctx, src))) {
        return LCRT_ERR_UNSUPPORTED;
    }
    if (ctx->info.unified) {
        const lcrt_status settled = lcrt::settle(ctx, src);
        if (settled == LCRT_OK) {
            llama_memory_seq_cp(ctx->memory, src, dst, whole ? -1 : 0, whole ? -1 : n);
            ctx->undo.note_pass(dst, 0);
        }
        return settled;
    }
    const lcrt_status copied = copy_state(ctx, src, dst);
    return copied != LCRT_OK || whole ? copied : trim_trunk(ctx, dst, n, -1);
}

lcrt_status share(void *self, int32_t src, int32_t dst, int32_t n) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        if (!valid_pair(ctx, src, dst) || n < 0) {
            return LCRT_ERR_INVALID;
        }
        const llama_pos last = llama_memory_seq_pos_max(ctx->memory, src);
        const bool whole = n > last;
        if (n == 0 || last < 0) {
            return LCRT_OK;
        }
        const lcrt_status shared = share_trunk(ctx, src, dst, n, whole);
        if (shared == LCRT_OK && ctx->heads != nullptr) {
            ctx->heads->share(src, dst, n, whole);
        }
        return shared;
    });
}

lcrt_status move(void *self, int32_t src, int32_t dst) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        if (!valid_pair(ctx, src, dst)) {
            return LCRT_ERR_INVALID;
        }
        if (llama_memory_seq_pos_max(ctx->memory, src) < 0) {
            return LCRT_OK;
        }
        const lcrt_status moved = share_trunk(ctx, src, dst, 0, true);
        if (moved != LCRT_OK) {
            return moved;
        }
        ctx->undo.note_pass(src, 0);
        if (ctx->heads != nullptr) {
            ctx->heads->move(src, dst);
        }
        return llama_memory_seq_rm(ctx->memory, src, -1, -1) ? LCRT_OK : LCRT_ERR_BACKEND;
    });
}

lcrt_status guess(void *self, lcrt_ahead *aheads, int32_t n_aheads) {
    context *ctx = of(self);
    return lcrt::guarded([&] {
        for (int32_t i = 0; i < n_aheads; i++) {
            if (ctx->heads == nullptr || !valid_seq(ctx, aheads[i].seq) || aheads[i].token < 0 ||
                aheads[i].token >= ctx->info.n_vocab) {
                return LCRT_ERR_INVALID;
            }
        }
        return ctx->heads->guess(aheads, n_aheads);
    });
}

int32_t piece(void *self, int32_t token, bool special, char *out, int32_t cap) {
    return lcrt_vocab_piece(of(self)->model, token, special, out, cap);
}

bool is_eog(void *self, int32_t token) {
    return lcrt_vocab_is_eog(of(self)->model, token);
}

void interrupt(void *self, bool on) {
    of(self)->interrupted.store(on, std::memory_order_relaxed);
}

void free_context(void *self) {
    (void)lcrt::guarded([&] {
        delete of(self);
        return LCRT_OK;
    });
}

} // namespace

namespace lcrt {

const lcrt_backend_vtable context_vtable = {adapt, decode,   logits,     trim,        shift,     share,
                                            move,  trim_min, state_size, state_get,   state_set, guess,
                                            piece, is_eog,   interrupt,  free_context};

} // namespace lcrt
