/* sampling.h -- from a row of logits to one token.
 *
 * The order is fixed: logit bias, penalties, top_k, typical_p, top_p, min_p,
 * temperature, draw. At least one token always survives. The row is only read and
 * no array over the vocabulary is filled on the way, unless top_k is off and the
 * distribution so flat that nearly every token survives.
 *
 * One thread at a time per sampler; samplers share nothing, so different ones run
 * in parallel. All memory is allocated in init. The same seed, logits and accepted
 * tokens give the same tokens on every machine. */
#ifndef LCRT_SAMPLING_H
#define LCRT_SAMPLING_H

#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Added to the logit of a token. -INFINITY forbids it; NaN and +INFINITY are invalid. */
typedef struct lcrt_logit_bias {
    int32_t token;
    float bias;
} lcrt_logit_bias;

typedef struct lcrt_sampling {
    uint64_t seed;
    float temperature;       /* <= 0: the likeliest token after bias and penalties, nothing else applies */
    int32_t top_k;           /* <= 0: off */
    float top_p;             /* >= 1: off */
    float min_p;             /* <= 0: off */
    float typical_p;         /* >= 1: off */
    float repeat_penalty;    /* > 0; 1: off */
    float frequency_penalty; /* times the count of the token in the window; 0: off */
    float presence_penalty;  /* once, if the token is in the window; 0: off */
    int32_t repeat_last_n;   /* length of the window in tokens; 0: no penalties */
    int32_t n_bias;
    const lcrt_logit_bias *bias; /* biases of one token add up */
} lcrt_sampling;

typedef struct lcrt_candidate {
    int32_t token;
    float p;
} lcrt_candidate;

typedef struct lcrt_sampler lcrt_sampler;

/* What a request gets that asks for nothing; seed 0. */
lcrt_sampling lcrt_sampling_default(void);

/* Copies sampling and its biases. LCRT_ERR_INVALID: a value that is not a number or
 * out of range, or a bias for a token that is not in the vocabulary. */
lcrt_status lcrt_sampler_init(const lcrt_sampling *sampling, int32_t n_vocab, lcrt_sampler **out);
void lcrt_sampler_free(lcrt_sampler *sampler);

/* Puts a token of the prompt or of the answer into the penalty window, from which the
 * oldest falls out. A number that is not in the vocabulary is ignored. */
void lcrt_sampler_accept(lcrt_sampler *sampler, int32_t token);

/* The next token. mask has a bit per token, the lowest bit of mask[0] is token 0;
 * tokens whose bit is 0 never come out; NULL allows all. NaN counts as -INFINITY and
 * a logit of +INFINITY wins. If no allowed token is left, the first one the mask
 * allows comes out, and -1 if it allows none. Does not accept the token. */
int32_t lcrt_sampler_sample(lcrt_sampler *sampler, const float *logits, const uint32_t *mask);

/* The tokens that could come out with their probabilities, the likeliest first (equals
 * by token). Writes at most cap and returns how many it wrote. Draws nothing, so the
 * tokens that follow are the same as without this call. */
int32_t lcrt_sampler_candidates(lcrt_sampler *sampler, const float *logits, const uint32_t *mask, lcrt_candidate *out,
                                int32_t cap);

#ifdef __cplusplus
}
#endif
#endif
