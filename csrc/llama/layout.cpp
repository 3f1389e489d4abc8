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

uint64_t breakdown_total(const llama_context *ctx) {
    uint64_t total = 0;
    for (const auto &[type, data] : llama_get_memory_breakdown(ctx)) {
        total += data.context + data.compute;
    }
    return total;
}

/* Bytes of a context of that many cells, found by making it; 0 when that failed. */
uint64_t measure(const lcrt_model *model, llama_context_params params, int64_t n_cells) {
    const lcrt::attempt attempt;
    params.n_ctx = static_cast<uint32_t>(n_cells);
    llama_context *ctx = llama_init_from_model(model->llama, params);
    if (ctx == nullptr) {
        return 0;
    }
    const uint64_t total = breakdown_total(ctx);
    llama_free(ctx);
    return total;
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
    const uint64_t mask = uint64_t{params.n_ubatch} * 6; /* two copies, at most four bytes each, shared by layers */
    return (row * static_cast<uint64_t>(info.n_layer) + mask) * params.n_ctx;
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

/* Host memory is handed out without being there, so a refusal must come before. The rough bound
 * costs nothing; only when it does not fit are two small contexts made and the line through them followed. */
bool fits_host(const lcrt_model *model, const llama_context_params &params, uint64_t *needed, uint64_t *available) {
    uint64_t total = 0;
    host_memory(available, &total);
    *needed = upper_bound(model, params);
    if (!model->on_host || *needed <= *available / 10 * 9) {
        return true;
    }
    const int64_t step = grouped(2 * int64_t{model->info.n_swa} + params.n_ubatch) * params.n_seq_max;
    const uint64_t small = measure(model, params, step);
    const uint64_t large = measure(model, params, 2 * step);
    if (int64_t{params.n_ctx} <= 2 * step || small == 0 || large < small) {
        return true;
    }
    const double per_cell = static_cast<double>(large - small) / static_cast<double>(step);
    *needed = small + static_cast<uint64_t>(per_cell * static_cast<double>(int64_t{params.n_ctx} - step));
    return *needed <= *available;
}

} // namespace lcrt
