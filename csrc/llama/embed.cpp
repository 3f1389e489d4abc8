/* embed.cpp -- a context that pools hidden states: vectors for encoders and decoders, scores for rerankers. */
#include "lcrt/embed.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "../src/llama-ext.h" // beside common/, llama.cpp's staging header
#include "context.hpp"

namespace {

constexpr int32_t n_batch_host = 256; /* on CPUs attention costs more the more texts share a pass */
constexpr int32_t n_batch_device = 2048;
constexpr int32_t n_seq_encoder = 256; /* llama.cpp's own limit */
constexpr int32_t n_seq_decoder = 64;  /* each costs a column of the mask and of the pooling only */
constexpr int32_t n_seq_recurrent = 4; /* each has a whole state */

} // namespace

namespace {

/* One context with its threads, and how many rows it has room for. */
struct room {
    llama_context *llama = nullptr;
    lcrt::thread_pool threads;
    int32_t n_rows = 0;
    bool reserves = true; /* the next pass plans its memory anew */

    room() = default;
    room(const room &) = delete;
    room &operator=(const room &) = delete;
    ~room() { drop(); }

    void drop() {
        if (llama != nullptr) {
            llama_free(llama);
            llama = nullptr;
        }
        threads.stop();
        n_rows = 0;
    }
};

} // namespace

struct lcrt_embedder {
    lcrt_model *model = nullptr; /* a reference */
    lcrt_embed_params params = {};
    lcrt_embed_info info = {};
    std::atomic<bool> interrupted{false};
    std::shared_ptr<const lcrt::adapter_set> set = std::make_shared<const lcrt::adapter_set>();
    std::unique_ptr<room> current;    /* none after a failure: the next run makes one */
    std::vector<llama_pos> positions; /* the columns of a batch */
    std::vector<int32_t> n_seq_ids;
    std::vector<llama_seq_id> seq_ids;
    std::vector<llama_seq_id *> seq_id_pointers;
    std::vector<int8_t> outputs;

    lcrt_embedder() = default;
    lcrt_embedder(const lcrt_embedder &) = delete;
    lcrt_embedder &operator=(const lcrt_embedder &) = delete;
    ~lcrt_embedder() {
        current.reset();
        lcrt_model_free(model);
    }
};

namespace {

struct failure {
    char *err;
    size_t cap;
};

bool should_abort(void *data) {
    return static_cast<lcrt_embedder *>(data)->interrupted.load(std::memory_order_relaxed);
}

/* Models that only generate do not say how to pool: their last position has seen the whole text. */
enum llama_pooling_type pooling_of(const lcrt_model_info &info) {
    return info.embedding ? LLAMA_POOLING_TYPE_UNSPECIFIED : LLAMA_POOLING_TYPE_LAST;
}

int32_t seq_max_of(const lcrt_model_info &info) {
    if (info.recurrent || info.hybrid) {
        return n_seq_recurrent;
    }
    return info.embedding ? n_seq_encoder : n_seq_decoder;
}

llama_context_params to_llama(lcrt_embedder *embedder, int32_t n_rows) {
    const lcrt_embed_params &p = embedder->params;
    llama_context_params out = llama_context_default_params();
    out.n_ctx = static_cast<uint32_t>(n_rows);
    out.n_batch = static_cast<uint32_t>(n_rows);
    out.n_ubatch = static_cast<uint32_t>(n_rows);
    out.n_seq_max = static_cast<uint32_t>(std::min(embedder->info.n_seq_max, n_rows));
    out.n_threads = p.n_threads;
    out.n_threads_batch = p.n_threads;
    out.pooling_type = pooling_of(embedder->model->info);
    out.flash_attn_type = static_cast<llama_flash_attn_type>(std::clamp<int>(p.flash_attention, -1, 1));
    out.embeddings = true;
    out.kv_unified = true;
    out.no_perf = true;
    out.abort_callback = should_abort;
    out.abort_callback_data = embedder;
    return out;
}

void size_batch(lcrt_embedder *embedder, int32_t n_rows) {
    const auto n = std::max(static_cast<size_t>(n_rows), embedder->positions.size());
    embedder->positions.resize(n);
    embedder->n_seq_ids.assign(n, 1);
    embedder->seq_ids.resize(n);
    embedder->outputs.assign(n, 1);
    embedder->seq_id_pointers.resize(n);
    for (size_t i = 0; i < n; i++) {
        embedder->seq_id_pointers[i] = &embedder->seq_ids[i];
    }
}

/* A context with room for n_rows. After a failure there is none, and the next run tries again. */
lcrt_status make_room(lcrt_embedder *embedder, int32_t n_rows, failure fail) {
    const lcrt::attempt attempt;
    const std::lock_guard lock(embedder->model->adapters);
    embedder->current.reset();
    auto made = std::make_unique<room>();
    made->llama = llama_init_from_model(embedder->model->llama, to_llama(embedder, n_rows));
    if (made->llama == nullptr) {
        const std::string reason = attempt.reason();
        lcrt::set_error(fail.err, fail.cap, "%s", reason.empty() ? "no context for embeddings" : reason.c_str());
        return attempt.lines().find("alloc") != std::string::npos ? LCRT_ERR_NO_MEMORY : LCRT_ERR_UNSUPPORTED;
    }
    const lcrt_status status = embedder->set->apply(made->llama);
    if (status != LCRT_OK) {
        return status;
    }
    if (embedder->params.n_threads > 1) {
        (void)made->threads.start(made->llama, embedder->params.n_threads);
    }
    made->n_rows = n_rows;
    size_batch(embedder, n_rows);
    embedder->current = std::move(made);
    return LCRT_OK;
}

lcrt_status complete(const lcrt_model *model, lcrt_embed_params *p, failure fail) {
    const lcrt_model_info &info = model->info;
    if (model->vocab_only || info.n_embd < 1 || (info.has_encoder && info.has_decoder)) {
        lcrt::set_error(fail.err, fail.cap, "this model cannot make embeddings");
        return LCRT_ERR_UNSUPPORTED;
    }
    const int32_t n_ctx_max = info.n_ctx_train > 0 ? info.n_ctx_train : INT32_MAX;
    p->n_ctx = p->n_ctx != 0 ? std::min(p->n_ctx, n_ctx_max) : n_ctx_max;
    p->n_batch = p->n_batch != 0 ? p->n_batch : model->on_host ? n_batch_host : n_batch_device;
    p->n_threads = p->n_threads != 0 ? p->n_threads : lcrt::host_cores();
    const bool ok = p->n_ctx >= 1 && p->n_batch >= 1 && p->n_threads >= 1 && p->n_threads <= GGML_MAX_N_THREADS;
    if (!ok) {
        lcrt::set_error(fail.err, fail.cap, "an embedder's parameter is out of range");
    }
    return ok ? LCRT_OK : LCRT_ERR_INVALID;
}

lcrt_status make(lcrt_model *model, lcrt_embed_params params, lcrt_embedder **out, failure fail) {
    lcrt_status status = complete(model, &params, fail);
    if (status != LCRT_OK) {
        return status;
    }
    auto embedder = std::make_unique<lcrt_embedder>();
    embedder->model = lcrt_model_ref(model);
    embedder->params = params;
    lcrt_embed_info &info = embedder->info;
    info.n_ctx = params.n_ctx;
    info.n_batch = params.n_batch;
    info.n_seq_max = std::min(seq_max_of(model->info), params.n_batch);
    info.host = model->on_host;
    info.n_threads = params.n_threads;
    status = make_room(embedder.get(), params.n_batch, fail);
    if (status != LCRT_OK) {
        return status;
    }
    const enum llama_pooling_type pooling = llama_pooling_type(embedder->current->llama);
    if (pooling == LLAMA_POOLING_TYPE_NONE) {
        lcrt::set_error(fail.err, fail.cap, "this model names no way to make one vector of a text");
        return LCRT_ERR_UNSUPPORTED;
    }
    info.rank = pooling == LLAMA_POOLING_TYPE_RANK;
    info.n_out =
        info.rank ? static_cast<int32_t>(llama_model_n_cls_out(model->llama)) : llama_model_n_embd_out(model->llama);
    *out = embedder.release();
    return LCRT_OK;
}

/* The rows of all sequences in one pass; -1 for what no pass can take. */
int32_t count_rows(const lcrt_embedder *embedder, const int32_t *lengths, int32_t n) {
    const int32_t longest = *std::max_element(lengths, lengths + n);
    const int32_t room = n == 1 ? embedder->info.n_ctx : embedder->info.n_batch;
    int64_t n_rows = 0;
    for (int32_t i = 0; i < n; i++) {
        n_rows += lengths[i];
    }
    return n_rows > room || longest > embedder->info.n_ctx ? -1 : static_cast<int32_t>(n_rows);
}

/* Makes room for a pass. It doubles, so that a text that grows little by little does not make one for every length. */
lcrt_status grow(lcrt_embedder *embedder, int32_t n_rows) {
    if (embedder->current != nullptr && n_rows <= embedder->current->n_rows) {
        return LCRT_OK;
    }
    int64_t wanted = std::max(embedder->info.n_batch, 1);
    while (wanted < n_rows) {
        wanted *= 2;
    }
    const int64_t most = std::max(embedder->info.n_ctx, embedder->info.n_batch);
    return make_room(embedder, static_cast<int32_t>(std::min(wanted, most)), {nullptr, 0});
}

void fill(lcrt_embedder *embedder, const int32_t *lengths, int32_t n) {
    size_t row = 0;
    for (int32_t seq = 0; seq < n; seq++) {
        for (int32_t pos = 0; pos < lengths[seq]; pos++, row++) {
            embedder->positions[row] = pos;
            embedder->seq_ids[row] = seq;
        }
    }
}

lcrt_status compute(lcrt_embedder *embedder, room *room, const int32_t *tokens, int32_t n_rows) {
    llama_context *llama = room->llama;
    llama_batch batch = {};
    batch.n_tokens = n_rows;
    batch.token = const_cast<int32_t *>(tokens);
    batch.pos = embedder->positions.data();
    batch.n_seq_id = embedder->n_seq_ids.data();
    batch.seq_id = embedder->seq_id_pointers.data();
    batch.logits = embedder->outputs.data();
    llama_memory_t memory = llama_get_memory(llama);
    if (memory != nullptr) {
        llama_memory_clear(memory, false);
    }
    std::unique_lock lock(embedder->model->adapters, std::defer_lock);
    if (room->reserves) {
        lock.lock();
        room->reserves = false;
    }
    lcrt::hush hush;
    const int32_t answer = memory != nullptr ? llama_decode(llama, batch) : llama_encode(llama, batch);
    llama_synchronize(llama);
    if (answer == 2) {
        return LCRT_ERR_CANCELLED;
    }
    if (answer != 0) {
        hush.tell();
    }
    return answer == 0 ? LCRT_OK : LCRT_ERR_BACKEND;
}

lcrt_status take(llama_context *llama, int32_t n, size_t n_out, float *out) {
    for (int32_t seq = 0; seq < n; seq++) {
        const float *pooled = llama_get_embeddings_seq(llama, seq);
        if (pooled == nullptr) {
            return LCRT_ERR_BACKEND;
        }
        std::memcpy(out + static_cast<size_t>(seq) * n_out, pooled, n_out * sizeof(float));
    }
    return LCRT_OK;
}

uint64_t size_of(const llama_context *llama) {
    uint64_t size = 0;
    for (const auto &[type, data] : llama_get_memory_breakdown(llama)) {
        size += data.context + data.compute;
    }
    return size;
}

bool valid(const lcrt_embedder *embedder, const int32_t *tokens, const int32_t *lengths, int32_t n) {
    if (n < 1 || n > embedder->info.n_seq_max || *std::min_element(lengths, lengths + n) < 1) {
        return false;
    }
    const int32_t n_rows = count_rows(embedder, lengths, n);
    const int32_t n_vocab = embedder->model->info.n_vocab;
    return std::all_of(tokens, tokens + std::max(n_rows, 0), [=](int32_t t) { return t >= 0 && t < n_vocab; });
}

} // namespace

extern "C" lcrt_embed_params lcrt_embed_params_default(void) {
    lcrt_embed_params params = {};
    params.flash_attention = -1;
    return params;
}

extern "C" lcrt_status lcrt_embed_init(lcrt_model *model, const lcrt_embed_params *params, lcrt_embedder **out,
                                       char *err, size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        if (model == nullptr || params == nullptr || out == nullptr) {
            return LCRT_ERR_INVALID;
        }
        return make(model, *params, out, {err, err_cap});
    });
}

extern "C" void lcrt_embed_free(lcrt_embedder *embedder) {
    (void)lcrt::guarded([&] {
        delete embedder;
        return LCRT_OK;
    });
}

extern "C" void lcrt_embed_info_get(const lcrt_embedder *embedder, lcrt_embed_info *out) {
    *out = embedder->info;
}

extern "C" uint64_t lcrt_embed_size(const lcrt_embedder *embedder) {
    uint64_t size = 0;
    (void)lcrt::guarded([&] {
        size = embedder->current != nullptr ? size_of(embedder->current->llama) : 0;
        return LCRT_OK;
    });
    return size;
}

extern "C" lcrt_status lcrt_embed_run(lcrt_embedder *embedder, const int32_t *tokens, const int32_t *lengths, int32_t n,
                                      float *out) {
    return lcrt::guarded([&] {
        if (embedder == nullptr || tokens == nullptr || lengths == nullptr || out == nullptr ||
            !valid(embedder, tokens, lengths, n)) {
            return LCRT_ERR_INVALID;
        }
        const int32_t n_rows = count_rows(embedder, lengths, n);
        if (n_rows < 0) {
            return LCRT_ERR_TOO_LONG;
        }
        lcrt_status status = grow(embedder, n_rows);
        if (status == LCRT_OK) {
            fill(embedder, lengths, n);
            status = compute(embedder, embedder->current.get(), tokens, n_rows);
        }
        return status == LCRT_OK ? take(embedder->current->llama, n, static_cast<size_t>(embedder->info.n_out), out)
                                 : status;
    });
}

extern "C" lcrt_status lcrt_embed_adapt(lcrt_embedder *embedder, lcrt_adapter *const *adapters, const float *scales,
                                        int32_t n) {
    return lcrt::guarded([&] {
        if (embedder == nullptr || !lcrt::adapter_set::sensible(adapters, scales, n)) {
            return LCRT_ERR_INVALID;
        }
        auto set = std::make_shared<const lcrt::adapter_set>(adapters, scales, n);
        if (!set->belongs_to(embedder->model)) {
            return LCRT_ERR_INVALID;
        }
        if (embedder->current != nullptr) {
            embedder->current->reserves = true;
            const lcrt_status status = set->apply(embedder->current->llama);
            if (status != LCRT_OK) { /* perhaps half of it: the next run makes a new room, with the old set */
                embedder->current.reset();
                return status;
            }
        }
        embedder->set.swap(set);
        return LCRT_OK;
    });
}

extern "C" void lcrt_embed_interrupt(lcrt_embedder *embedder, bool on) {
    embedder->interrupted.store(on, std::memory_order_relaxed);
}
