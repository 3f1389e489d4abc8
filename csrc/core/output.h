/* output.h -- from sampled tokens to text that may be shown.
 *
 * Engine thread only. Bytes go from held (may be half a character or the beginning of
 * a stop string) to ready (repaired UTF-8, not yet in the event ring). A token and its
 * log-probabilities leave with the text that shows its last byte. */
#ifndef LCRT_OUTPUT_H
#define LCRT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/engine.h"
#include "lcrt/stop.h"

typedef struct lcrt_output {
    lcrt_stop *stop; /* owned; NULL: no stop strings */
    char *held;
    int32_t held_len, held_cap;
    int32_t n_searched; /* bytes of held in which no stop string was found */
    char *ready;
    int32_t ready_len, ready_cap;
    int64_t n_added;        /* bytes ever added to held */
    int32_t *tokens;        /* not yet in an event */
    int64_t *ends;          /* n_added after the token */
    lcrt_logprob *logprobs; /* n_each for each of tokens */
    int32_t n_each;
    int32_t n_tokens, tokens_cap;
} lcrt_output;

/* Copies the stop strings. n_each: log-probabilities kept per token. */
lcrt_status lcrt_output_init(lcrt_output *output, const char *const *stops, int32_t n_stops, int32_t n_each);
void lcrt_output_free(lcrt_output *output);

/* Where a piece of up to piece_max bytes can be written before add; NULL: no memory. */
char *lcrt_output_place(lcrt_output *output, int32_t piece_max);

/* Takes a token whose piece_len bytes were written to the place. *stopped: a stop string
 * is complete; what is before it became ready and the rest is gone. */
lcrt_status lcrt_output_add(lcrt_output *output, int32_t token, int32_t piece_len, const lcrt_logprob *logprobs,
                            bool *stopped);

/* Nothing more will come: what is held becomes ready. */
lcrt_status lcrt_output_end(lcrt_output *output);

/* How many tokens are shown by the text that is ready. */
int32_t lcrt_output_tokens(const lcrt_output *output);

/* Forgets the first text_len bytes of ready text and the first n_tokens tokens. */
void lcrt_output_drop(lcrt_output *output, int32_t text_len, int32_t n_tokens);

#endif
