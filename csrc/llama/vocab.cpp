/* vocab.cpp -- text to tokens and back. */
#include "lcrt/vocab.h"

#include <algorithm>

#include "internal.hpp"

namespace {

bool in_vocab(const lcrt_model *model, int32_t token) {
    return token >= 0 && token < model->info.n_vocab;
}

/* Runs f, whose answer is a length or minus the length needed; failed when it throws. */
template <class F> int32_t length_of(int32_t failed, F f) noexcept {
    int32_t length = failed;
    const lcrt::attempt attempt; /* some vocabularies cannot do some of this, and llama.cpp asserts that they can */
    (void)lcrt::guarded([&] {
        length = f();
        return LCRT_OK;
    });
    return length;
}

} // namespace

/* A token covers a byte or more; normalising may lengthen short texts, and specials come on top. */
extern "C" int32_t lcrt_vocab_tokens_max(int32_t text_len) {
    return text_len > INT32_MAX - 32 ? INT32_MAX : text_len + 32;
}

extern "C" int32_t lcrt_vocab_tokenise(const lcrt_model *model, const char *text, int32_t text_len, bool add_special,
                                       bool parse_special, int32_t *out, int32_t cap) {
    if (text_len < 0 || cap < 0 || (text == nullptr && text_len > 0)) {
        return LCRT_ERR_INVALID;
    }
    return length_of(LCRT_ERR_BACKEND, [&] {
        const int32_t n = llama_tokenize(model->vocab, text, text_len, out, cap, add_special, parse_special);
        return n >= 0 ? n : static_cast<int32_t>(LCRT_ERR_TOO_LONG);
    });
}

extern "C" int32_t lcrt_vocab_piece(const lcrt_model *model, int32_t token, bool special, char *out, int32_t cap) {
    if (!in_vocab(model, token)) {
        return 0;
    }
    return length_of(0, [&] { return llama_token_to_piece(model->vocab, token, out, cap, 0, special); });
}

extern "C" int32_t lcrt_vocab_text(const lcrt_model *model, const int32_t *tokens, int32_t n_tokens, bool special,
                                   char *out, int32_t cap) {
    if (n_tokens <= 0 || !std::all_of(tokens, tokens + n_tokens, [&](int32_t t) { return in_vocab(model, t); })) {
        return 0;
    }
    return length_of(0, [&] { return llama_detokenize(model->vocab, tokens, n_tokens, out, cap, false, special); });
}

extern "C" bool lcrt_vocab_is_eog(const lcrt_model *model, int32_t token) {
    return in_vocab(model, token) && llama_vocab_is_eog(model->vocab, token);
}

extern "C" bool lcrt_vocab_is_control(const lcrt_model *model, int32_t token) {
    return in_vocab(model, token) && llama_vocab_is_control(model->vocab, token);
}

extern "C" int32_t lcrt_vocab_bos(const lcrt_model *model) {
    return llama_vocab_bos(model->vocab);
}

extern "C" int32_t lcrt_vocab_eos(const lcrt_model *model) {
    return llama_vocab_eos(model->vocab);
}

extern "C" bool lcrt_vocab_adds_bos(const lcrt_model *model) {
    return llama_vocab_get_add_bos(model->vocab);
}

extern "C" bool lcrt_vocab_adds_eos(const lcrt_model *model) {
    return llama_vocab_get_add_eos(model->vocab);
}
