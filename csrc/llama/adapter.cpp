/* adapter.cpp -- low-rank changes of weights: loaded with the model, set on a context. */
#include "lcrt/adapter.h"

#include <vector>

#include "context.hpp"

namespace {

llama_adapter_lora *to_llama(lcrt_adapter *adapter) {
    return reinterpret_cast<llama_adapter_lora *>(adapter);
}

lcrt_status load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t cap) {
    if (model->vocab_only) {
        lcrt::set_error(err, cap, "only the vocabulary of this model was loaded");
        return LCRT_ERR_UNSUPPORTED;
    }
    const lcrt::attempt attempt;
    llama_adapter_lora *loaded = llama_adapter_lora_init(model->llama, path);
    if (loaded == nullptr) {
        const std::string reason = attempt.reason();
        lcrt::set_error(err, cap, "cannot load the adapter `%s`: %s", path,
                        reason.empty() ? "no reason given" : reason.c_str());
        return LCRT_ERR_FORMAT;
    }
    *out = reinterpret_cast<lcrt_adapter *>(loaded);
    return LCRT_OK;
}

} // namespace

extern "C" lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err,
                                         size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        if (model == nullptr || path == nullptr || out == nullptr) {
            return LCRT_ERR_INVALID;
        }
        return load(model, path, out, err, err_cap);
    });
}

extern "C" lcrt_status lcrt_backend_llama_adapt(const lcrt_backend *backend, lcrt_adapter *const *adapters,
                                                const float *scales, int32_t n) {
    return lcrt::guarded([&] {
        if (backend == nullptr || n < 0 || (n > 0 && (adapters == nullptr || scales == nullptr))) {
            return LCRT_ERR_INVALID;
        }
        std::vector<llama_adapter_lora *> set;
        for (int32_t i = 0; i < n; i++) {
            set.push_back(to_llama(adapters[i]));
        }
        std::vector<float> strengths(scales, scales + n);
        const auto *ctx = static_cast<const lcrt::context *>(backend->self);
        const int32_t answer = llama_set_adapters_lora(ctx->llama, set.data(), set.size(), strengths.data());
        return answer == 0 ? LCRT_OK : LCRT_ERR_BACKEND;
    });
}
