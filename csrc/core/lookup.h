/* lookup.h -- drafts from what a model has read and written before: after the same last few
 * tokens, what came then.
 *
 * Engine thread only. Texts of all jobs are in one history of fixed size, in blocks; the block
 * that was begun longest ago is used again. An index finds the newest place of the last tokens
 * of a text, of the longest of some lengths first. What it says is compared with the history, so
 * a lost or a wrong entry costs a draft, never a wrong one. */
#ifndef LCRT_LOOKUP_H
#define LCRT_LOOKUP_H

#include <stdint.h>

#include "lcrt/status.h"

/* Lengths of what is compared, the longest first. */
#define LCRT_LOOKUP_LEVELS 3
#define LCRT_LOOKUP_LENGTHS {12, 6, 3}
#define LCRT_LOOKUP_LENGTH_MAX 12

typedef struct lcrt_lookup lcrt_lookup;

/* A text that grows; all zero before its first token. Nothing is to be freed. */
typedef struct lcrt_trail {
    uint64_t begun; /* which use of the block; 0: none */
    int32_t block;
} lcrt_trail;

/* Room for about n_tokens. */
lcrt_status lcrt_lookup_init(int32_t n_tokens, lcrt_lookup **out);
void lcrt_lookup_free(lcrt_lookup *lookup);

/* The text goes on with these tokens. */
void lcrt_lookup_put(lcrt_lookup *lookup, lcrt_trail *trail, const int32_t *tokens, int32_t n_tokens);

/* Guesses up to max tokens that follow the end of tokens; returns how many. *level: which of the
 * lengths was found. */
int32_t lcrt_lookup_find(const lcrt_lookup *lookup, const int32_t *tokens, int32_t n_tokens, int32_t *out, int32_t max,
                         int32_t *level);

#endif
