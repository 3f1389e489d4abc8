/* vocab.h -- text to tokens and back.
 *
 * Any thread. The vocabulary lives as long as its model. */
#ifndef LCRT_VOCAB_H
#define LCRT_VOCAB_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most tokens that text_len bytes can become, specials included. */
int32_t lcrt_vocab_tokens_max(int32_t text_len);

/* Tokens of a text. add_special puts BOS/EOS/CLS/SEP where the model wants them; parse_special
 * reads control tokens and marks written in the text. The number of tokens, or a lcrt_status. Vocabularies that cut
 * texts with expressions take more than 64 KiB in parts, which end where words do if there are such places. */
int32_t lcrt_vocab_tokenise(const lcrt_model *model, const char *text, int32_t text_len, bool add_special,
                            bool parse_special, int32_t *out, int32_t cap);

/* Bytes of one token; the length, or minus the length needed. */
int32_t lcrt_vocab_piece(const lcrt_model *model, int32_t token, bool special, char *out, int32_t cap);

/* Bytes of many tokens; the length, or minus the length needed. */
int32_t lcrt_vocab_text(const lcrt_model *model, const int32_t *tokens, int32_t n_tokens, bool special, char *out,
                        int32_t cap);

/* The tokens that the model says must never be generated, in memory of the model; how many there are. */
int32_t lcrt_vocab_suppressed(const lcrt_model *model, const int32_t **out);

bool lcrt_vocab_is_eog(const lcrt_model *model, int32_t token);
bool lcrt_vocab_is_control(const lcrt_model *model, int32_t token);
/* Whether a token is no text that others could spell: control tokens that have bytes, and the marks around messages
 * that llama.cpp shows as if they were words. */
bool lcrt_vocab_is_mark(const lcrt_model *model, int32_t token);
/* -1 when the vocabulary has none. */
int32_t lcrt_vocab_bos(const lcrt_model *model);
int32_t lcrt_vocab_eos(const lcrt_model *model);
/* Tokens with a part of their own: between two texts, and around the three parts of filling in the middle. */
typedef enum lcrt_vocab_role {
    LCRT_VOCAB_SEP = 0,
    LCRT_VOCAB_FIM_PREFIX,
    LCRT_VOCAB_FIM_SUFFIX,
    LCRT_VOCAB_FIM_MIDDLE
} lcrt_vocab_role;

/* -1 when the vocabulary has none. */
int32_t lcrt_vocab_token(const lcrt_model *model, lcrt_vocab_role role);

bool lcrt_vocab_adds_bos(const lcrt_model *model);
bool lcrt_vocab_adds_eos(const lcrt_model *model);

#ifdef __cplusplus
}
#endif
#endif
