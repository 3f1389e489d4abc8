/* vocab.cpp -- text to tokens and back. */
#include "lcrt/vocab.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <vector>

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

/* llama.cpp cuts a text into words with std::regex, which calls itself once or more for every character of a word, with
 * 220 to 320 bytes of stack. A word of some 26,000 characters ends a thread of 8 MiB, and the process with it. So longer
 * texts get a stack of their own, and what is longer than that stack is good for goes in parts. */
constexpr int32_t n_plain = 4096; /* bytes that any stack is good for */
constexpr int32_t n_part = 1 << 16;
constexpr size_t stack_size = size_t{n_part} * 1024;

bool is_space(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Where the part that begins at from ends: before a lone space or behind a line, where words end in any case, or
 * between two characters of a word that has no end. */
int32_t part_end(const char *text, int32_t text_len, int32_t from) {
    if (text_len - from <= n_part) {
        return text_len;
    }
    const int32_t limit = from + n_part;
    int32_t behind_line = 0;
    for (int32_t i = limit - 1; i > from + n_part / 2; i--) {
        if (text[i] == ' ' && !is_space(text[i - 1]) && !is_space(text[i + 1])) {
            return i;
        }
        if (behind_line == 0 && text[i - 1] == '\n' && !is_space(text[i])) {
            behind_line = i;
        }
    }
    if (behind_line > 0) {
        return behind_line;
    }
    int32_t end = limit;
    while (end > limit - 3 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        end--;
    }
    return end;
}

/* Control tokens in their files. llama.cpp takes them for words that users have added, so that they are always shown. */
constexpr std::string_view shown_marks[] = {"<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>"};

bool is_shown_mark(const llama_vocab *vocab, int32_t token) {
    const char *text = llama_vocab_get_text(vocab, token);
    return std::find(std::begin(shown_marks), std::end(shown_marks), text) != std::end(shown_marks);
}

struct tokenising {
    const lcrt_model *model;
    const char *text;
    int32_t text_len;
    bool is_bpe;
    bool add_special;
    bool parse_special;
    int32_t *out;
    int32_t cap;
    int32_t n_tokens; /* or a status */
};

using marks = std::vector<std::string_view>;

/* The marks that the vocabulary would read as such. */
marks known_marks(const llama_vocab *vocab) {
    marks found;
    for (const std::string_view mark : shown_marks) {
        llama_token token = -1;
        if (llama_tokenize(vocab, mark.data(), static_cast<int32_t>(mark.size()), &token, 1, false, false) == 1) {
            found.push_back(mark);
        }
    }
    return found;
}

/* Where the first of the marks between both places of the text begins; to when there is none. */
int32_t find_mark(const tokenising &t, const marks &wanted, int32_t from, int32_t to) {
    const std::string_view part(t.text + from, static_cast<size_t>(to - from));
    for (size_t at = part.find("<|"); at != std::string_view::npos; at = part.find("<|", at + 1)) {
        const auto is_here = [&](std::string_view mark) { return part.compare(at, mark.size(), mark) == 0; };
        if (std::any_of(wanted.begin(), wanted.end(), is_here)) {
            return from + static_cast<int32_t>(at);
        }
    }
    return to;
}

/* The marks that must be spelled: known ones, where the text is to have none. */
marks marks_to_spell(const tokenising &t) {
    const bool may_have = t.is_bpe && !t.parse_special && find_mark(t, {"<|"}, 0, t.text_len) < t.text_len;
    const marks known = may_have ? known_marks(t.model->vocab) : marks();
    return find_mark(t, known, 0, t.text_len) < t.text_len ? known : marks();
}

/* Puts the tokens of a piece of the text behind the n that are there. How many there are then, -1 when they do not
 * fit. */
int32_t add_text(const tokenising &t, int32_t from, int32_t to, bool add_special, int32_t n) {
    const int32_t more =
        llama_tokenize(t.model->vocab, t.text + from, to - from, t.out + n, t.cap - n, add_special, t.parse_special);
    return more < 0 ? -1 : n + more;
}

/* The same for one token, which may be none. */
int32_t add_token(const tokenising &t, llama_token token, int32_t n) {
    if (n < 0 || token < 0) {
        return n;
    }
    if (n == t.cap) {
        return -1;
    }
    t.out[n] = token;
    return n + 1;
}

/* The parts one after the other, with BOS and EOS around all of them; marks to spell are read as letters. */
int32_t add_parts(const tokenising &t, const marks &spelled) {
    const llama_vocab *vocab = t.model->vocab;
    int32_t n = 0;
    if (t.add_special && llama_vocab_get_add_bos(vocab)) {
        n = add_token(t, llama_vocab_bos(vocab), n);
    }
    int32_t end = 0; /* of the part */
    for (int32_t from = 0; from < t.text_len && n >= 0;) {
        end = from < end ? end : part_end(t.text, t.text_len, from);
        const int32_t mark = spelled.empty() ? end : find_mark(t, spelled, from, end);
        const int32_t to = std::min(mark + 1, end); /* what is cut behind its first letter is no mark */
        n = add_text(t, from, to, false, n);
        from = to;
    }
    if (t.add_special && llama_vocab_get_add_eos(vocab)) {
        n = add_token(t, llama_vocab_eos(vocab), n);
    }
    return n;
}

void tokenise(tokenising &t) {
    t.n_tokens = length_of(LCRT_ERR_BACKEND, [&] {
        const marks spelled = marks_to_spell(t);
        const bool in_parts = !spelled.empty() || (t.is_bpe && t.text_len > n_part);
        const int32_t n = in_parts ? add_parts(t, spelled) : add_text(t, 0, t.text_len, t.add_special, 0);
        return n >= 0 ? n : static_cast<int32_t>(LCRT_ERR_TOO_LONG);
    });
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
    const bool is_bpe = llama_vocab_type(model->vocab) == LLAMA_VOCAB_TYPE_BPE; /* only these use expressions */
    tokenising t = {model, text, text_len, is_bpe, add_special, parse_special, out, cap, LCRT_ERR_NO_MEMORY};
    if (is_bpe && text_len > n_plain) {
        (void)lcrt::deep_stack(stack_size).run([&] { tokenise(t); });
    } else {
        tokenise(t);
    }
    return t.n_tokens;
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

extern "C" int32_t lcrt_vocab_suppressed(const lcrt_model *model, const int32_t **out) {
    int32_t n = 0;
    *out = llama_vocab_get_suppress_tokens(model->vocab, &n);
    return n;
}

extern "C" bool lcrt_vocab_is_eog(const lcrt_model *model, int32_t token) {
    return in_vocab(model, token) && llama_vocab_is_eog(model->vocab, token);
}

extern "C" bool lcrt_vocab_is_control(const lcrt_model *model, int32_t token) {
    return in_vocab(model, token) && llama_vocab_is_control(model->vocab, token);
}

extern "C" bool lcrt_vocab_is_mark(const lcrt_model *model, int32_t token) {
    if (!in_vocab(model, token)) {
        return false;
    }
    char none[1];
    const bool is_hidden =
        lcrt_vocab_piece(model, token, true, none, 0) != 0 && lcrt_vocab_piece(model, token, false, none, 0) == 0;
    return is_hidden || is_shown_mark(model->vocab, token);
}

extern "C" int32_t lcrt_vocab_bos(const lcrt_model *model) {
    return llama_vocab_bos(model->vocab);
}

extern "C" int32_t lcrt_vocab_eos(const lcrt_model *model) {
    return llama_vocab_eos(model->vocab);
}

extern "C" int32_t lcrt_vocab_token(const lcrt_model *model, lcrt_vocab_role role) {
    switch (role) {
    case LCRT_VOCAB_SEP:
        return llama_vocab_sep(model->vocab);
    case LCRT_VOCAB_FIM_PREFIX:
        return llama_vocab_fim_pre(model->vocab);
    case LCRT_VOCAB_FIM_SUFFIX:
        return llama_vocab_fim_suf(model->vocab);
    case LCRT_VOCAB_FIM_MIDDLE:
        return llama_vocab_fim_mid(model->vocab);
    }
    return -1;
}

extern "C" bool lcrt_vocab_adds_bos(const lcrt_model *model) {
    return llama_vocab_get_add_bos(model->vocab);
}

extern "C" bool lcrt_vocab_adds_eos(const lcrt_model *model) {
    return llama_vocab_get_add_eos(model->vocab);
}
