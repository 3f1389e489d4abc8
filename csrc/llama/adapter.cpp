/* adapter.cpp -- low-rank changes of weights: loaded for a model, applied by contexts in sets. */
#include "adapter.hpp"

#include <algorithm>
#include <filesystem>

#include "context.hpp"

namespace {

lcrt_status load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t cap) {
    if (model->vocab_only) {
        lcrt::set_error(err, cap, "only the vocabulary of this model was loaded");
        return LCRT_ERR_UNSUPPORTED;
    }
    auto adapter = std::make_unique<lcrt_adapter>();
    const lcrt::attempt attempt;
    const std::lock_guard lock(model->adapters);
    adapter->llama = llama_adapter_lora_init(model->llama, path);
    if (adapter->llama == nullptr) {
        const std::string reason = attempt.reason();
        lcrt::set_error(err, cap, "cannot load the adapter `%s`: %s", path,
                        reason.empty() ? "no reason given" : reason.c_str());
        return LCRT_ERR_FORMAT;
    }
    std::error_code ignored;
    const std::uintmax_t size = std::filesystem::file_size(path, ignored);
    adapter->size = ignored ? 0 : size;
    adapter->model = lcrt_model_ref(model);
    *out = adapter.release();
    return LCRT_OK;
}

void unref(lcrt_adapter *adapter) {
    if (adapter == nullptr || adapter->n_refs.fetch_sub(1) > 1) {
        return;
    }
    {
        const std::lock_guard lock(adapter->model->adapters);
        llama_adapter_lora_free(adapter->llama);
    }
    lcrt_model_free(adapter->model);
    delete adapter;
}

} // namespace

namespace lcrt {

adapter_set::adapter_set(lcrt_adapter *const *list, const float *strengths, int32_t n)
    : adapters(list, list + n), scales(strengths, strengths + n) {
    for (lcrt_adapter *adapter : adapters) {
        adapter->n_refs.fetch_add(1);
    }
}

adapter_set::~adapter_set() {
    std::for_each(adapters.begin(), adapters.end(), unref);
}

lcrt_status adapter_set::apply(llama_context *llama) const {
    std::vector<llama_adapter_lora *> list;
    for (const lcrt_adapter *adapter : adapters) {
        list.push_back(adapter->llama);
    }
    std::vector<float> strengths = scales;
    return llama_set_adapters_lora(llama, list.data(), list.size(), strengths.data()) == 0 ? LCRT_OK : LCRT_ERR_BACKEND;
}

bool adapter_set::sensible(lcrt_adapter *const *list, const float *strengths, int32_t n) {
    return n == 0 || (n > 0 && list != nullptr && strengths != nullptr);
}

bool adapter_set::belongs_to(const lcrt_model *model) const {
    return std::all_of(adapters.begin(), adapters.end(), [=](const lcrt_adapter *a) { return a->model == model; });
}

lcrt_status adapt(void *self, uint64_t set) {
    auto *ctx = static_cast<context *>(self);
    return guarded([&] {
        std::shared_ptr<const adapter_set> wanted;
        {
            const std::lock_guard lock(ctx->sets_mutex);
            const auto found = ctx->sets.find(set);
            if (found == ctx->sets.end()) {
                return LCRT_ERR_INVALID;
            }
            wanted = found->second;
        }
        const lcrt_status status = wanted->apply(ctx->llama);
        if (status == LCRT_OK) {
            ctx->reserves = true;
            ctx->set = std::move(wanted);
        }
        return status;
    });
}

} // namespace lcrt

extern "C" lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err,
                                         size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        if (model == nullptr || path == nullptr || out == nullptr) {
            return LCRT_ERR_INVALID;
        }
        return load(model, path, out, err, err_cap);
    });
}

extern "C" lcrt_adapter *lcrt_adapter_ref(lcrt_adapter *adapter) {
    adapter->n_refs.fetch_add(1);
    return adapter;
}

extern "C" void lcrt_adapter_free(lcrt_adapter *adapter) {
    (void)lcrt::guarded([&] {
        unref(adapter);
        return LCRT_OK;
    });
}

extern "C" uint64_t lcrt_adapter_size(const lcrt_adapter *adapter) {
    return adapter->size;
}

extern "C" bool lcrt_adapter_used(const lcrt_adapter *adapter) {
    return adapter->n_refs.load() > 1;
}

extern "C" lcrt_status lcrt_backend_llama_put_set(const lcrt_backend *backend, uint64_t set,
                                                  lcrt_adapter *const *adapters, const float *scales, int32_t n) {
    return lcrt::guarded([&] {
        if (backend == nullptr || !lcrt::adapter_set::sensible(adapters, scales, n)) {
            return LCRT_ERR_INVALID;
        }
        auto *ctx = static_cast<lcrt::context *>(backend->self);
        auto made = std::make_shared<const lcrt::adapter_set>(adapters, scales, n);
        if (!made->belongs_to(ctx->model)) {
            return LCRT_ERR_INVALID;
        }
        const std::lock_guard lock(ctx->sets_mutex);
        ctx->sets[set].swap(made); /* the old one is released without the lock */
        return LCRT_OK;
    });
}

extern "C" void lcrt_backend_llama_drop_set(const lcrt_backend *backend, uint64_t set) {
    (void)lcrt::guarded([&] {
        auto *ctx = static_cast<lcrt::context *>(backend->self);
        std::shared_ptr<const lcrt::adapter_set> old;
        const std::lock_guard lock(ctx->sets_mutex);
        const auto found = ctx->sets.find(set);
        if (set != 0 && found != ctx->sets.end()) {
            old.swap(found->second);
            ctx->sets.erase(found);
        }
        return LCRT_OK;
    });
}
