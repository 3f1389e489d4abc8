/* layout.cpp -- how the cells of a context are laid out, and whether they fit. */
#include <algorithm>
#include <cstdlib>
#include <map>

#include "internal.hpp"
#include "../src/llama-ext.h" // beside common/, llama.cpp's staging header

namespace {

constexpr int64_t cell_group = 256; /* llama.cpp rounds a stream up to this */

int64_t grouped(int64_t n) {
    return (n + cell_group - 1) / cell_group * cell_group;
}

/* Bytes of a context: what it remembers, and what a pass needs. */
struct footprint {
    double memory = 0;
    double compute = 0;
};

/* Of a context of one sequence with that many cells, found by making it; false when that failed. */
bool measure(const lcrt_model *model, llama_context_params params, int64_t n_cells, footprint *out) {
    const lcrt::attempt attempt;
    const std::lock_guard lock(model->adapters);
    params.n_ctx = static_cast<uint32_t>(n_cells);
    params.n_seq_max = 1;
    params.kv_unified = true;
    llama_context *ctx = llama_init_from_model(model->llama, params);
    if (ctx == nullptr) {
        return false;
    }
    for (const auto &[type, data] : llama_get_memory_breakdown(ctx)) {
        out->memory += static_cast<double>(data.context);
        out->compute += static_cast<double>(data.compute);
    }
    llama_free(ctx);
    return true;
}

/* A number of the model's metadata, fallback when it is absent or one for each layer. */
uint64_t number(const lcrt_model *model, const char *name, uint64_t fallback) {
    char arch[64];
    char value[32];
    if (lcrt_model_meta(model, "general.architecture", arch, sizeof(arch)) < 0) {
        return fallback;
    }
    const std::string key = std::string(arch) + name;
    if (lcrt_model_meta(model, key.c_str(), value, sizeof(value)) < 0) {
        return fallback;
    }
    const uint64_t found = std::strtoull(value, nullptr, 10);
    return found > 0 ? found : fallback;
}

/* At least as much as keys and values of every layer can take. */
uint64_t upper_bound(const lcrt_model *model, const llama_context_params &params) {
    const lcrt_model_info &info = model->info;
    const uint64_t n_head = static_cast<uint64_t>(std::max(info.n_head, 1));
    const uint64_t n_head_kv = number(model, ".attention.head_count_kv", n_head);
    const uint64_t size = static_cast<uint64_t>(info.n_embd) / n_head;
    const uint64_t key = number(model, ".attention.key_length", size) * n_head_kv;
    const uint64_t value = number(model, ".attention.value_length", size) * n_head_kv;
    const uint64_t row = ggml_row_size(params.type_k, static_cast<int64_t>(key)) +
                         ggml_row_size(params.type_v, static_cast<int64_t>(value));
    const uint64_t mask =
        uint64_t{std::min(params.n_ubatch, 1U << 16)} * 6; /* two copies, at most four bytes each, shared by layers */
    return (row * static_cast<uint64_t>(info.n_layer + info.n_heads_ahead) + mask) * params.n_ctx;
}

/* Follows the line through two measured footprints to all cells. What does not grow with the cells, windows and
 * recurrent state, every sequence has for itself; all of it is at most bound. */
double extrapolate(const footprint &small, const footprint &large, int64_t step, const llama_context_params &params,
                   uint64_t bound) {
    const double steps = static_cast<double>(params.n_ctx) / static_cast<double>(step);
    const double grows = std::max(large.memory - small.memory, 0.0);
    const double fixed = std::max(small.memory - grows, 0.0) * params.n_seq_max;
    /* Rows of a stream look at its own cells only. */
    const double steps_seen = params.kv_unified ? steps : std::max(steps / params.n_seq_max, 1.0);
    const double compute = small.compute + std::max(large.compute - small.compute, 0.0) * (steps_seen - 1);
    return std::min(fixed + grows * steps, static_cast<double>(bound)) + compute;
}

} // namespace

namespace lcrt {

/* Split streams attend over their own cells only, which is faster with many sequences; a pool
 * lets one sequence use what others leave, which is the point when not all can have their full length. */
kv_plan kv_plan_choose(lcrt_kv_layout wanted, int32_t n_ctx, int32_t n_parallel, int64_t cells_max) {
    const int64_t full = int64_t{n_ctx} * n_parallel;
    const int64_t cells = cells_max > 0 ? std::min(cells_max, full) : full;
    const bool split = wanted == LCRT_KV_SPLIT || (wanted == LCRT_KV_AUTO && cells == full);
    if (n_parallel == 1 || !split) {
        return {grouped(cells), static_cast<int32_t>(std::min<int64_t>(n_ctx, grouped(cells))), true};
    }
    const int64_t n_ctx_seq = std::max<int64_t>(cells / n_parallel, 1);
    return {grouped(n_ctx_seq) * n_parallel, static_cast<int32_t>(n_ctx_seq), false};
}

/* Host memory is handed out without being there, so a refusal must come before. The rough bound costs nothing; where
 * it does not fit, two small contexts are made and the line through them is followed. Those must fit themselves. */
bool fits_host(const lcrt_model *model, const llama_context_params &params, uint64_t available, uint64_t *needed) {
    llama_context_params asked = params;
    asked.n_ubatch = std::min(params.n_ubatch, params.n_ctx);
    *needed = upper_bound(model, asked);
    if (!model->on_host || *needed <= available / 10 * 9) {
        return true;
    }
    const int64_t step = grouped(2 * int64_t{model->info.n_swa} + asked.n_ubatch);
    llama_context_params tried = asked;
    tried.n_ctx = static_cast<uint32_t>(std::min<int64_t>(2 * step, asked.n_ctx));
    if (int64_t{asked.n_ctx} <= 2 * step || upper_bound(model, tried) > available) {
        return *needed <= available;
    }
    footprint small;
    footprint large;
    if (!measure(model, asked, step, &small) || !measure(model, asked, 2 * step, &large)) {
        return true;
    }
    *needed = static_cast<uint64_t>(extrapolate(small, large, step, asked, *needed));
    return *needed <= available;
}

} // namespace lcrt
