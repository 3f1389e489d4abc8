#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lcrt/vocab.h"

/* What stands before the bytes of a token that is no text. */
#define MARKER 0xFF
#define PIECE_MAX 65536
#define TEXT_MAX (1 << 24)
/* Tokens of a short text; longer ones are asked for with their own number. */
#define SMALL 256

typedef struct pieces {
    uint32_t *lens;
    uint8_t *bytes;
    size_t len, cap;
    uint32_t *eos;
    uint32_t n_eos;
    int32_t n_vocab;
} pieces;

static void pieces_free(pieces *p) {
    free(p->lens);
    free(p->bytes);
    free(p->eos);
}

static bool pieces_reserve(pieces *p, size_t n) {
    if (p->len + n <= p->cap) {
        return true;
    }
    size_t cap = 2 * (p->len + n);
    uint8_t *bytes = realloc(p->bytes, cap);
    if (bytes == NULL) {
        return false;
    }
    p->bytes = bytes;
    p->cap = cap;
    return true;
}

static lcrt_status add_piece(pieces *p, const lcrt_model *model, int32_t token) {
    char small[SMALL];
    char *text = small;
    int32_t len = lcrt_vocab_piece(model, token, true, small, SMALL);
    if (len < -PIECE_MAX) {
        return LCRT_ERR_TOO_LONG;
    }
    if (len < 0) {
        text = malloc((size_t)-len);
        if (text == NULL) {
            return LCRT_ERR_NO_MEMORY;
        }
        len = lcrt_vocab_piece(model, token, true, text, -len);
    }
    lcrt_status status = LCRT_ERR_NO_MEMORY;
    if (pieces_reserve(p, (size_t)len + 1)) {
        size_t begin = p->len;
        if (lcrt_vocab_is_mark(model, token)) { /* a grammar cannot spell it, only name it */
            p->bytes[p->len++] = MARKER;
        }
        memcpy(p->bytes + p->len, text, (size_t)len);
        p->len += (size_t)len;
        p->lens[token] = (uint32_t)(p->len - begin);
        status = LCRT_OK;
    }
    if (text != small) {
        free(text);
    }
    return status;
}

static lcrt_status read_pieces(pieces *p, const lcrt_model *model) {
    lcrt_model_info info;
    lcrt_model_info_get(model, &info);
    p->n_vocab = info.n_vocab;
    size_t n = (size_t)info.n_vocab;
    p->lens = calloc(n, sizeof(*p->lens));
    p->eos = calloc(n, sizeof(*p->eos));
    if (p->lens == NULL || p->eos == NULL || !pieces_reserve(p, n * 8)) {
        return LCRT_ERR_NO_MEMORY;
    }
    int32_t first = lcrt_vocab_eos(model);
    if (first >= 0) {
        p->eos[p->n_eos++] = (uint32_t)first;
    }
    for (int32_t token = 0; token < info.n_vocab; token++) {
        lcrt_status status = add_piece(p, model, token);
        if (status != LCRT_OK) {
            return status;
        }
        if (token != first && lcrt_vocab_is_eog(model, token)) {
            p->eos[p->n_eos++] = (uint32_t)token;
        }
    }
    return p->n_eos > 0 ? LCRT_OK : LCRT_ERR_UNSUPPORTED;
}

/* Tokens of a text behind the front, which is taken off again. */
static int32_t tokenise_behind(const lcrt_words *words, const uint8_t *bytes, size_t len, int32_t *out, int32_t cap) {
    char *text = malloc(len + 1);
    if (text == NULL) {
        return 0;
    }
    text[0] = words->front;
    memcpy(text + 1, bytes, len);
    int32_t n = lcrt_vocab_tokenise(words->model, text, (int32_t)len + 1, false, false, out, cap);
    free(text);
    if (n < words->n_front) {
        return 0;
    }
    memmove(out, out + words->n_front, (size_t)(n - words->n_front) * sizeof(*out));
    return n - words->n_front;
}

/* What llguidance calls. When there is no answer it goes on without one. */
static size_t tokenise(const void *data, const uint8_t *bytes, size_t len, uint32_t *tokens, size_t n_max) {
    const lcrt_words *words = data;
    int32_t small[SMALL];
    int32_t *out = small;
    if (len == 0 || len > TEXT_MAX) {
        return 0;
    }
    int32_t cap = lcrt_vocab_tokens_max((int32_t)len + 1);
    if (cap > SMALL) {
        out = malloc((size_t)cap * sizeof(*out));
        if (out == NULL) {
            return 0;
        }
    }
    int32_t n = words->front != 0
                    ? tokenise_behind(words, bytes, len, out, cap)
                    : lcrt_vocab_tokenise(words->model, (const char *)bytes, (int32_t)len, false, false, out, cap);
    size_t n_tokens = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < n_tokens && i < n_max; i++) {
        tokens[i] = (uint32_t)out[i];
    }
    if (out != small) {
        free(out);
    }
    return n_tokens;
}

/* Whether the text comes back from its tokens as it went in. */
static bool spells(const lcrt_words *words, const char *text) {
    uint32_t tokens[SMALL];
    char spelt[SMALL];
    size_t len = 0;
    size_t n = tokenise(words, (const uint8_t *)text, strlen(text), tokens, SMALL);
    for (size_t i = 0; i < n; i++) {
        int32_t room = (int32_t)(sizeof(spelt) - len);
        int32_t piece = lcrt_vocab_piece(words->model, (int32_t)tokens[i], true, spelt + len, room);
        if (piece < 0) {
            return false;
        }
        len += (size_t)piece;
    }
    return len == strlen(text) && memcmp(spelt, text, len) == 0;
}

/* Some tokenizers put a space before every text. Behind a character that never joins
 * with what follows, they do not. False when there is no way. */
static bool find_front(lcrt_words *words) {
    words->front = 0;
    words->n_front = 0;
    if (spells(words, "a") && spells(words, "{\"a\": 1")) {
        return true;
    }
    for (char front = 1; front < 32; front++) {
        int32_t tokens[8];
        int32_t n = lcrt_vocab_tokenise(words->model, &front, 1, false, false, tokens, 8);
        words->front = front;
        words->n_front = n;
        if (n > 0 && spells(words, "a") && spells(words, "{\"a\": 1") && spells(words, " a")) {
            return true;
        }
    }
    return false;
}

lcrt_status lcrt_words_init(lcrt_words *words, const lcrt_model *model, const lcrt_llg *llg, llg_tokenizer **out,
                            char *err, size_t err_cap) {
    pieces p;
    memset(&p, 0, sizeof(p));
    words->model = model;
    lcrt_status status = read_pieces(&p, model);
    if (status == LCRT_OK) {
        bool canonical = find_front(words);
        llg_words setup = {
            .struct_size = sizeof(setup),
            .n_vocab = (uint32_t)p.n_vocab,
            .eos = p.eos[0],
            .lens = p.lens,
            .bytes = p.bytes,
            .tokenise_takes_text = true,
            .tokenise = canonical ? tokenise : NULL,
            .approximate = !canonical,
            .data = words,
            .eos_extra = p.eos + 1,
            .n_eos_extra = p.n_eos - 1,
        };
        *out = llg->tokenizer_new(&setup, err, err_cap);
        status = *out != NULL ? LCRT_OK : LCRT_ERR_UNSUPPORTED;
    } else if (status == LCRT_ERR_UNSUPPORTED) {
        (void)snprintf(err, err_cap, "the vocabulary has no token that ends a text");
    }
    pieces_free(&p);
    return status;
}
