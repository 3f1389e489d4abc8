/* context.cpp -- makes a context: layout, limits, threads; refuses what cannot work. */
#include "context.hpp"

#include <algorithm>
#include <climits>
#include <cstring>
#include <map>
#include <memory>

#include "../src/llama-ext.h" // beside common/, llama.cpp's staging header

namespace {

using lcrt::context;

constexpr int32_t n_parallel_max = 256; /* llama.cpp's own limit */

/* Idle threads sleep between passes. Waking them costs less than their spinning takes from the threads that carry
 * a token to its reader: with as many compute threads as cores, spinning lost a quarter of the rate over HTTP. */
constexpr uint32_t poll_level = 0;

/* Room for so many rows of logits, although fewer are asked for: where ggml then places the activations, prefill is
 * a fifth faster on CPUs (128 or more against 64 or fewer). The room is not touched, so it costs addresses only. */
constexpr int32_t n_outputs_host = 128;

/* ggml's flash attention on CPUs works in tiles of so many rows of one sequence, and row by row below. */
constexpr int32_t n_chunk_host = 64;

/* Recurrent states keep so many snapshots where the model guesses ahead, each as large as they are: without any, nothing
 * could be guessed. A guess is rarely longer. */
constexpr uint32_t n_undo = 3;

bool should_abort(void *data) {
    return static_cast<context *>(data)->interrupted.load(std::memory_order_relaxed);
}

bool kv_type_named(const char *name, ggml_type *out) {
    static const ggml_type types[] = {GGML_TYPE_F32,  GGML_TYPE_F16,    GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0,
                                      GGML_TYPE_Q4_1, GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1};
    for (const ggml_type type : types) {
        if (std::strcmp(ggml_type_name(type), name) == 0) {
            *out = type;
            return true;
        }
    }
    return false;
}

struct request {
    lcrt_model *model;
    lcrt_context_params params;
    char *err;
    size_t cap;
};

lcrt_status check_model(const request &req) {
    const lcrt_model_info &info = req.model->info;
    const char *reason = nullptr;
    if (req.model->vocab_only) {
        reason = "only the vocabulary of this model was loaded";
    } else if (info.has_encoder || !info.has_decoder) {
        reason = "this model has an encoder, which cannot generate text here";
    } else if (info.n_vocab < 1) {
        reason = "this model has no vocabulary";
    } else if (llama_model_is_diffusion(req.model->llama)) {
        reason = "diffusion models are not supported";
    }
    if (reason != nullptr) {
        lcrt::set_error(req.err, req.cap, "%s", reason);
        return LCRT_ERR_UNSUPPORTED;
    }
    return LCRT_OK;
}

/* Fills in defaults; refuses what is out of range. */
lcrt_status complete(request *req) {
    lcrt_context_params &p = req->params;
    p.n_ctx = p.n_ctx != 0 ? p.n_ctx : req->model->info.n_ctx_train;
    p.n_batch = p.n_batch != 0 ? p.n_batch : 2048;
    p.n_batch = p.n_batch > 0 ? std::max(p.n_batch, p.n_parallel) : p.n_batch;
    p.n_ubatch = p.n_ubatch != 0 ? p.n_ubatch : 512;
    p.n_threads = p.n_threads != 0 ? p.n_threads : lcrt::host_cores();
    p.n_threads_batch = p.n_threads_batch != 0 ? p.n_threads_batch : p.n_threads;
    p.n_outputs = std::max(p.n_outputs, p.n_parallel);
    const bool ok = p.n_ctx >= 1 && p.n_parallel >= 1 && p.n_parallel <= n_parallel_max && p.kv_cells_max >= 0 &&
                    p.n_batch >= 1 && p.n_ubatch >= 1 && p.n_threads >= 1 && p.n_threads_batch >= 1 &&
                    p.n_threads <= GGML_MAX_N_THREADS && p.n_threads_batch <= GGML_MAX_N_THREADS;
    if (!ok) {
        lcrt::set_error(req->err, req->cap, "a context parameter is out of range");
        return LCRT_ERR_INVALID;
    }
    return LCRT_OK;
}

lcrt_status to_llama(const request &req, const lcrt::kv_plan &plan, llama_context_params *out) {
    const lcrt_context_params &p = req.params;
    *out = llama_context_default_params();
    if (p.kv_type != nullptr && !kv_type_named(p.kv_type, &out->type_k)) {
        lcrt::set_error(req.err, req.cap, "unknown KV cache type: %s", p.kv_type);
        return LCRT_ERR_INVALID;
    }
    if (plan.n_cells > INT32_MAX) {
        lcrt::set_error(req.err, req.cap, "a context of %lld cells is too large", static_cast<long long>(plan.n_cells));
        return LCRT_ERR_NO_MEMORY;
    }
    out->type_v = out->type_k;
    out->n_ctx = static_cast<uint32_t>(plan.n_cells);
    out->n_batch = static_cast<uint32_t>(p.n_batch);
    out->n_ubatch = static_cast<uint32_t>(std::min(p.n_ubatch, p.n_batch));
    out->n_seq_max = static_cast<uint32_t>(p.n_parallel);
    out->n_outputs_max =
        static_cast<uint32_t>(llama_supports_gpu_offload() ? p.n_outputs : std::max(p.n_outputs, n_outputs_host));
    out->n_threads = p.n_threads;
    out->n_threads_batch = p.n_threads_batch;
    out->flash_attn_type = static_cast<llama_flash_attn_type>(std::clamp<int>(p.flash_attention, -1, 1));
    out->kv_unified = plan.unified;
    out->swa_full = p.swa_full;
    const bool guesses = p.guess && req.model->info.n_heads_ahead > 0 && req.model->info.hybrid;
    out->n_rs_seq = guesses && out->n_ubatch > n_undo + 1 ? n_undo : 0; /* llama.cpp ends the process otherwise */
    out->no_perf = true;
    return LCRT_OK;
}

lcrt_status check_room(const request &req, const llama_context_params &params) {
    uint64_t needed = 0;
    uint64_t free = 0;
    uint64_t total = 0;
    lcrt::host_memory(&free, &total);
    if (lcrt::fits_host(req.model, params, free, &needed)) {
        return LCRT_OK;
    }
    lcrt::set_error(req.err, req.cap, "a context of %u cells needs %.1f GiB of memory, %.1f GiB are available",
                    params.n_ctx, static_cast<double>(needed) / (1 << 30), static_cast<double>(free) / (1 << 30));
    return LCRT_ERR_NO_MEMORY;
}

lcrt_status make_llama(const request &req, const llama_context_params &params, context *ctx) {
    const lcrt::attempt attempt;
    ctx->llama = llama_init_from_model(req.model->llama, params);
    if (ctx->llama == nullptr) {
        const bool memory = attempt.lines().find("alloc") != std::string::npos;
        const std::string reason = attempt.reason();
        lcrt::set_error(req.err, req.cap, "cannot make a context: %s",
                        reason.empty() ? "no reason given" : reason.c_str());
        return memory ? LCRT_ERR_NO_MEMORY : LCRT_ERR_UNSUPPORTED;
    }
    ctx->memory = llama_get_memory(ctx->llama);
    if (ctx->memory == nullptr) {
        lcrt::set_error(req.err, req.cap, "this model keeps no memory of what it read, it cannot generate text");
        return LCRT_ERR_UNSUPPORTED;
    }
    return LCRT_OK;
}

/* Without them it guesses nothing, which is no error. */
void make_heads(const request &req, const llama_context_params &params, context *ctx) {
    if (!req.params.guess || req.model->info.n_heads_ahead == 0) {
        return;
    }
    const lcrt_model_info &info = req.model->info;
    const bool cuts = !info.recurrent && !info.hybrid && (info.n_swa == 0 || params.swa_full);
    std::string reason = "its memory cannot go back";
    if (cuts || llama_n_rs_seq(ctx->llama) > 0) {
        ctx->heads = lcrt::heads::make(req.model, ctx->llama, params, &reason);
    }
    if (ctx->heads == nullptr) {
        lcrt::warn("the layers of this model that guess ahead are not used: " + reason);
    }
}

/* Recurrent state has no positions to go back to. Sliding windows can be trimmed only while they reach far enough. */
void set_info(const request &req, const lcrt::kv_plan &plan, context *ctx) {
    const lcrt_model_info &model = req.model->info;
    lcrt_backend_info &info = ctx->info;
    info.n_vocab = model.n_vocab;
    info.n_ctx = static_cast<int32_t>(llama_n_ctx(ctx->llama));
    info.n_ctx_seq = plan.n_ctx_seq;
    info.n_seq_max = req.params.n_parallel;
    info.n_batch = static_cast<int32_t>(llama_n_batch(ctx->llama));
    info.n_parallel = req.params.n_threads;
    info.unified = plan.unified;
    info.consecutive = !plan.unified;
    ctx->n_window = req.params.swa_full ? 0 : model.n_swa;
    ctx->goes_back = !model.recurrent && !model.hybrid && lcrt::probe_trim(ctx);
    info.can_trim = ctx->goes_back && ctx->n_window == 0;
    info.can_store = true;
    info.can_guess = ctx->heads != nullptr;
    ctx->undo.open(ctx->goes_back ? 0 : static_cast<int32_t>(llama_n_rs_seq(ctx->llama)), info.n_seq_max);
    info.n_undo = ctx->undo.most();
    info.can_shift = info.can_trim && llama_memory_can_shift(ctx->memory);
    info.n_chunk = llama_supports_gpu_offload() || req.params.flash_attention == 0 ? 0 : n_chunk_host;
    const int32_t n_outputs = req.params.n_outputs;
    ctx->n_outputs_max = llama_supports_gpu_offload() ? n_outputs : std::max(n_outputs, n_outputs_host);
    info.n_outputs = std::min(ctx->n_outputs_max, info.n_batch);
}

void size_batch(context *ctx) {
    const auto n = static_cast<size_t>(ctx->info.n_batch);
    ctx->tokens.resize(n);
    ctx->positions.resize(n);
    ctx->n_seq_ids.assign(n, 1);
    ctx->seq_ids.resize(n);
    ctx->outputs.resize(n);
    ctx->seq_id_pointers.resize(n);
    for (size_t i = 0; i < n; i++) {
        ctx->seq_id_pointers[i] = &ctx->seq_ids[i];
    }
    ctx->first.assign(static_cast<size_t>(ctx->info.n_seq_max), INT_MAX);
}

lcrt_status make(request req, lcrt_backend *out) {
    lcrt_status status = check_model(req);
    if (status == LCRT_OK) {
        status = complete(&req);
    }
    if (status != LCRT_OK) {
        return status;
    }
    const lcrt_context_params &p = req.params;
    const lcrt::kv_plan plan = lcrt::kv_plan_choose(p.layout, p.n_ctx, p.n_parallel, p.kv_cells_max);
    auto ctx = std::make_unique<context>();
    ctx->model = lcrt_model_ref(req.model);
    llama_context_params params;
    status = to_llama(req, plan, &params);
    if (status == LCRT_OK) {
        status = check_room(req, params);
    }
    params.abort_callback = should_abort;
    params.abort_callback_data = ctx.get();
    ctx->set = ctx->sets[0] = std::make_shared<const lcrt::adapter_set>();
    const std::lock_guard lock(req.model->adapters);
    if (status == LCRT_OK) {
        status = make_llama(req, params, ctx.get());
    }
    if (status != LCRT_OK) {
        return status;
    }
    make_heads(req, params, ctx.get());
    set_info(req, plan, ctx.get());
    size_batch(ctx.get());
    if (ctx->threads.start(ctx->llama, std::max(p.n_threads, p.n_threads_batch)) && ctx->heads != nullptr) {
        ctx->threads.lend(ctx->heads->context());
    }
    *out = {&lcrt::context_vtable, ctx.get(), ctx->info};
    (void)ctx.release();
    return LCRT_OK;
}

bool on_device(ggml_backend_buffer_type_t type) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    return device != nullptr && ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_GPU;
}

ggml_backend_reg_t cpu_registry() {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return device != nullptr ? ggml_backend_dev_backend_reg(device) : nullptr;
}

} // namespace

namespace lcrt {

context::~context() {
    heads.reset();
    if (llama != nullptr) {
        llama_free(llama);
    }
    threads.stop();
    lcrt_model_free(model);
}

bool thread_pool::start(llama_context *llama, int32_t n) {
    using start_function = ggml_threadpool_t (*)(ggml_threadpool_params *);
    ggml_backend_reg_t registry = cpu_registry();
    if (registry == nullptr) {
        return false;
    }
    const auto start_pool =
        reinterpret_cast<start_function>(ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
    if (start_pool == nullptr) {
        return false;
    }
    ggml_threadpool_params params = ggml_threadpool_params_default(n);
    params.poll = poll_level;
    pool = start_pool(&params);
    if (pool != nullptr) {
        llama_attach_threadpool(llama, pool, nullptr);
    }
    return pool != nullptr;
}

void thread_pool::lend(llama_context *llama) const {
    llama_attach_threadpool(llama, pool, nullptr);
}

void thread_pool::stop() {
    using stop_function = void (*)(ggml_threadpool_t);
    if (pool == nullptr) {
        return;
    }
    const auto stop_pool =
        reinterpret_cast<stop_function>(ggml_backend_reg_get_proc_address(cpu_registry(), "ggml_threadpool_free"));
    if (stop_pool != nullptr) {
        stop_pool(pool);
    }
    pool = nullptr;
}

} // namespace lcrt

extern "C" lcrt_context_params lcrt_context_params_default(void) {
    lcrt_context_params params = {};
    params.n_parallel = 1;
    params.flash_attention = -1;
    return params;
}

extern "C" lcrt_status lcrt_backend_llama(lcrt_model *model, const lcrt_context_params *params, lcrt_backend *out,
                                          char *err, size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        if (model == nullptr || params == nullptr || out == nullptr) {
            return LCRT_ERR_INVALID;
        }
        return make({model, *params, err, err_cap}, out);
    });
}

extern "C" void lcrt_backend_llama_memory(const lcrt_backend *backend, uint64_t *total, uint64_t *device) {
    *total = 0;
    *device = 0;
    (void)lcrt::guarded([&] {
        const auto *ctx = static_cast<const context *>(backend->self);
        for (const auto &[type, data] : llama_get_memory_breakdown(ctx->llama)) {
            *total += data.total();
            *device += on_device(type) ? data.total() : 0;
        }
        if (ctx->heads != nullptr) { /* whose weights are counted */
            for (const auto &[type, data] : llama_get_memory_breakdown(ctx->heads->context())) {
                *total += data.context + data.compute;
                *device += on_device(type) ? data.context + data.compute : 0;
            }
        }
        return LCRT_OK;
    });
}
