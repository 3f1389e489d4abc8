/* quantize.cpp -- llama.cpp's quantizer, with its failures as statuses. */
#include "lcrt/quantize.h"

#include <string>
#include <vector>

#include "internal.hpp"

namespace {

/* llama.cpp wants the list to end in an entry without a name. */
std::vector<llama_model_imatrix_data> importance_list(const lcrt_quantize_params &params) {
    std::vector<llama_model_imatrix_data> list;
    list.reserve(params.n_importance + 1);
    for (size_t i = 0; i < params.n_importance; i++) {
        const lcrt_importance &entry = params.importance[i];
        list.push_back({entry.name, entry.values, entry.n_values});
    }
    list.push_back({nullptr, nullptr, 0});
    return list;
}

std::string without_prefix(const std::string &reason) {
    static const std::string marker = "failed to quantize: ";
    const size_t found = reason.find(marker);
    return found == std::string::npos ? reason : reason.substr(found + marker.size());
}

} // namespace

extern "C" lcrt_quantize_params lcrt_quantize_params_default(void) {
    return {LLAMA_FTYPE_MOSTLY_Q8_0, 0, false, nullptr, 0};
}

extern "C" lcrt_status lcrt_quantize(const char *source, const char *target, const lcrt_quantize_params *params,
                                     char *err, size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        const lcrt_status ready = lcrt::runtime_ensure();
        if (ready != LCRT_OK) {
            lcrt::set_error(err, err_cap, "no CPU backend was found");
            return ready;
        }
        const std::vector<llama_model_imatrix_data> importance = importance_list(*params);
        llama_model_quantize_params wanted = llama_model_quantize_default_params();
        wanted.ftype = static_cast<llama_ftype>(params->file_type);
        wanted.nthread = params->n_threads > 0 ? params->n_threads : lcrt::host_cores();
        wanted.allow_requantize = params->requantize;
        wanted.imatrix = params->n_importance > 0 ? importance.data() : nullptr;
        const lcrt::attempt attempt;
        if (llama_model_quantize(source, target, &wanted) == 0) {
            return LCRT_OK;
        }
        lcrt::set_error(err, err_cap, "%s", without_prefix(attempt.reason()).c_str());
        return LCRT_ERR_FORMAT;
    });
}
