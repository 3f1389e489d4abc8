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
 * reads control tokens written in the text. The number of tokens, or a lcrt_status. */
int32_t lcrt_vocab_tokenise(const lcrt_model *model, const char *text, int32_t text_len, bool add_special,
                            bool parse_special, int32_t *out, int32_t cap);

/* Bytes of one token; the length, or minus the length needed. */
int32_t lcrt_vocab_piece(const lcrt_model *model, int32_t token, bool special, char *out, int32_t cap);

/* Bytes of many tokens; the length, or minus the length needed. */
int32_t lcrt_vocab_text(const lcrt_model *model, const int32_t *tokens, int32_t n_tokens, bool special, char *out,
                        int32_t cap);

bool lcrt_vocab_is_eog(const lcrt_model *model, int32_t token);
bool lcrt_vocab_is_control(const lcrt_model *model, int32_t token);
/* -1 when the vocabulary has none. */
int32_t lcrt_vocab_bos(const lcrt_model *model);
int32_t lcrt_vocab_eos(const lcrt_model *model);
bool lcrt_vocab_adds_bos(const lcrt_model *model);
bool lcrt_vocab_adds_eos(const lcrt_model *model);

#ifdef __cplusplus
}
#endif
#endif
