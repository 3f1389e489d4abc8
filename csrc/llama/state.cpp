/* state.cpp -- what a sequence holds, taken out of llama.cpp's memory and put back; and what that memory can do. */
#include <algorithm>
#include <cstring>

#include "context.hpp"

namespace {

using lcrt::context;

context *of(void *self) {
    return static_cast<context *>(self);
}

bool valid_seq(const context *ctx, int32_t seq) {
    return seq >= 0 && seq < ctx->info.n_seq_max;
}

llama_state_seq_flags flags_of(bool part) {
    return part ? LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY : LLAMA_STATE_SEQ_FLAGS_NONE;
}

int32_t length(const context *ctx, int32_t seq) {
    return llama_memory_seq_pos_max(ctx->memory, seq) + 1;
}

/* Cells that nobody has may be too few for what is put back: the one failure that is not the data's fault. */
lcrt_status failure(const lcrt::attempt &attempt) {
    return attempt.lines().find("cells") != std::string::npos ? LCRT_ERR_FULL : LCRT_ERR_FORMAT;
}

/* Where there are heads, what they hold is behind what the trunk holds, and the length of that at the end. What cannot
 * be cut is the trunk's alone. */
using trunk_len = uint64_t;

size_t trunk_size(const context *ctx, int32_t seq, bool part) {
    return llama_state_seq_get_size_ext(ctx->llama, seq, flags_of(part));
}

bool has_heads(const context *ctx, bool part) {
    return ctx->heads != nullptr && !part;
}

size_t get_heads(context *ctx, int32_t seq, uint8_t *out, size_t cap, trunk_len len) {
    if (len == 0 || cap < len + sizeof(len)) {
        return 0;
    }
    const size_t own = ctx->heads->state_get(seq, out + len, cap - len - sizeof(len));
    std::memcpy(out + len + own, &len, sizeof(len));
    return own > 0 ? len + own + sizeof(len) : 0;
}

/* The trunk's length in a stored state; 0 when there is none. */
size_t find_trunk(const uint8_t *data, size_t len) {
    trunk_len found = 0;
    if (len < sizeof(found)) {
        return 0;
    }
    std::memcpy(&found, data + len - sizeof(found), sizeof(found));
    return found <= len - sizeof(found) ? found : 0;
}

} // namespace

namespace lcrt {

/* All positions from the lowest one on are there; the token behind the cut sees n_window of them. */
int32_t trim_min(void *self, int32_t seq) {
    const context *ctx = of(self);
    int32_t least = 0;
    (void)guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        const llama_pos pos_min = llama_memory_seq_pos_min(ctx->memory, seq);
        if (!ctx->goes_back) {
            least = length(ctx, seq) - ctx->undo.reach(seq);
        } else if (ctx->n_window > 0 && pos_min > 0) {
            least = std::min(pos_min + ctx->n_window + 1, length(ctx, seq));
        }
        return LCRT_OK;
    });
    return least;
}

lcrt_status settle(context *ctx, int32_t seq) {
    if (!ctx->undo.is_back(seq)) {
        return LCRT_OK;
    }
    ctx->state.resize(std::max(ctx->state.size(), trunk_size(ctx, seq, true)));
    const size_t len =
        llama_state_seq_get_data_ext(ctx->llama, ctx->state.data(), ctx->state.size(), seq, flags_of(true));
    const bool settled =
        len > 0 && llama_state_seq_set_data_ext(ctx->llama, ctx->state.data(), len, seq, flags_of(true)) == len;
    ctx->undo.note_pass(seq, 0);
    return settled ? LCRT_OK : LCRT_ERR_BACKEND;
}

size_t state_size(void *self, int32_t seq, bool part) {
    const context *ctx = of(self);
    size_t size = 0;
    (void)guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        size = trunk_size(ctx, seq, part);
        if (has_heads(ctx, part)) {
            size += ctx->heads->state_size(seq) + sizeof(trunk_len);
        }
        return LCRT_OK;
    });
    return size;
}

lcrt_status state_get(void *self, int32_t seq, bool part, uint8_t *out, size_t cap, size_t *len) {
    context *ctx = of(self);
    return guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        const attempt attempt;
        *len = llama_state_seq_get_data_ext(ctx->llama, out, cap, seq, flags_of(part));
        if (has_heads(ctx, part)) {
            *len = get_heads(ctx, seq, out, cap, *len);
        }
        return *len > 0 ? LCRT_OK : LCRT_ERR_BACKEND;
    });
}

lcrt_status state_set(void *self, int32_t seq, bool part, const uint8_t *data, size_t len) {
    context *ctx = of(self);
    return guarded([&] {
        if (!valid_seq(ctx, seq)) {
            return LCRT_ERR_INVALID;
        }
        const attempt attempt;
        const size_t own = has_heads(ctx, part) ? find_trunk(data, len) : len;
        if (own == 0 || llama_state_seq_set_data_ext(ctx->llama, data, own, seq, flags_of(part)) != own) {
            return failure(attempt);
        }
        const int32_t n = length(ctx, seq);
        ctx->undo.note_pass(seq, 0);
        if (has_heads(ctx, part)) {
            ctx->heads->state_set(seq, data + own, len - own - sizeof(trunk_len));
        } else if (ctx->heads != nullptr) {
            ctx->heads->trim(seq, n, -1);
        }
        /* What is not part of the bytes still has the positions behind. */
        return !part || llama_memory_seq_rm(ctx->memory, seq, n, -1) ? LCRT_OK : LCRT_ERR_BACKEND;
    });
}

bool probe_trim(context *ctx) {
    llama_token tokens[] = {0, 0};
    const attempt attempt;
    const int32_t n_rows = std::min(ctx->info.n_batch, 2);
    bool decoded = true;
    for (int32_t i = 0; i < 2; i += n_rows) {
        decoded = decoded && llama_decode(ctx->llama, llama_batch_get_one(tokens + i, n_rows)) == 0;
    }
    llama_synchronize(ctx->llama);
    const bool trimmed = decoded && llama_memory_seq_rm(ctx->memory, 0, 1, -1);
    llama_memory_clear(ctx->memory, true);
    return trimmed;
}

} // namespace lcrt

extern "C" const char *lcrt_backend_llama_version(void) {
    return LCRT_LLAMA_CPP_BUILD;
}
