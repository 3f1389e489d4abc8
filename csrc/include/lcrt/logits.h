/* logits.h -- reading a row of raw logits.
 *
 * Any thread; nothing is kept or allocated. NaN counts as -INFINITY. */
#ifndef LCRT_LOGITS_H
#define LCRT_LOGITS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The log-softmax of the row at token, in nats; never above 0. */
float lcrt_logits_logprob(const float *logits, int32_t n_vocab, int32_t token);

/* The n_top likeliest tokens with their log-softmax, the likeliest first (equals by
 * token). Where the row has fewer numbers than that, tokens are -1 and logprobs
 * -INFINITY. Meant for small n_top: the time grows with it. */
void lcrt_logits_top(const float *logits, int32_t n_vocab, int32_t n_top, int32_t *tokens, float *logprobs);

/* The likeliest token, the lowest of equals; 0 if the row holds no number. */
int32_t lcrt_logits_argmax(const float *logits, int32_t n_vocab);

#ifdef __cplusplus
}
#endif
#endif
