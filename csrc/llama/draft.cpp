/* draft.cpp -- whether a model can guess for another one: their tokens must be the same. */
#include "lcrt/draft.h"

#include "internal.hpp"

namespace {

std::string text_of(const lcrt_model *model, int32_t token) {
    const char *text = llama_vocab_get_text(model->vocab, token);
    return text != nullptr ? text : "";
}

lcrt_status refuse_size(const lcrt_model *model, const lcrt_model *draft, char *err, size_t err_cap) {
    lcrt::set_error(err, err_cap, "the draft model has another vocabulary: %d tokens, not %d", draft->info.n_vocab,
                    model->info.n_vocab);
    return LCRT_ERR_UNSUPPORTED;
}

lcrt_status check(const lcrt_model *model, const lcrt_model *draft, char *err, size_t err_cap) {
    const int32_t n_vocab = model->info.n_vocab;
    if (n_vocab < 1 || draft->info.n_vocab != n_vocab) {
        return refuse_size(model, draft, err, err_cap);
    }
    for (int32_t token = 0; token < n_vocab; token++) {
        const std::string own = text_of(model, token);
        const std::string other = text_of(draft, token);
        if (own != other) {
            lcrt::set_error(err, err_cap, "the draft model has another vocabulary: token %d is `%s`, not `%s`", token,
                            other.c_str(), own.c_str());
            return LCRT_ERR_UNSUPPORTED;
        }
        if (llama_vocab_is_eog(model->vocab, token) != llama_vocab_is_eog(draft->vocab, token)) {
            lcrt::set_error(err, err_cap,
                            "the draft model has another vocabulary: token %d, `%s`, ends texts of one only", token,
                            own.c_str());
            return LCRT_ERR_UNSUPPORTED;
        }
    }
    return LCRT_OK;
}

} // namespace

extern "C" lcrt_status lcrt_draft_check(const lcrt_model *model, const lcrt_model *draft, char *err, size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        const lcrt::attempt attempt;
        return model != nullptr && draft != nullptr ? check(model, draft, err, err_cap) : LCRT_ERR_INVALID;
    });
}
