/* lookup.h -- drafts from what a model has read and written before: after the same last few
 * tokens, what came then.
 *
 * Engine thread only. Texts of all jobs are in one history of fixed size, in blocks; the block
 * that was begun longest ago is used again. An index finds the newest place of the last tokens
 * of a text, of the longest of some lengths first. What it says is compared with the history, so
 * a lost or a wrong entry costs a draft, never a wrong one. */
#ifndef LCRT_LOOKUP_H
#define LCRT_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/status.h"

/* Lengths of what is compared, the longest first. */
#define LCRT_LOOKUP_LEVELS 3
#define LCRT_LOOKUP_LENGTHS {12, 6, 3}
#define LCRT_LOOKUP_LENGTH_MAX 12

typedef struct lcrt_lookup lcrt_lookup;

/* A place in the history, which another text may have taken in the meantime. */
typedef struct lcrt_place {
    uint64_t begun; /* which use of its block; 0: nowhere */
    int32_t at;
} lcrt_place;

/* A text in the history that another one is much like; all zero: none. The two part and meet again. */
typedef struct lcrt_way {
    lcrt_place next; /* what it has where the other one is now, as far as one can tell */
    lcrt_place left; /* where they parted last */
    int32_t n_same;  /* tokens since then that both have, as far as it matters */
    int32_t n_lost;  /* tokens of the other one since both had the same */
} lcrt_way;

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

/* The newest place behind the same last tokens, and in *level which of the lengths that was; nowhere: none. */
lcrt_place lcrt_lookup_find(const lcrt_lookup *lookup, const int32_t *tokens, int32_t n_tokens, int32_t *level);

/* Up to max tokens from a place on; returns how many. Where a text ends it goes on behind the end of these tokens
 * and those that were read, if that is found. */
int32_t lcrt_lookup_read(const lcrt_lookup *lookup, lcrt_place place, const int32_t *tokens, int32_t n_tokens,
                         int32_t *out, int32_t max);

/* A way begins where two texts have the same. */
lcrt_way lcrt_lookup_follow(lcrt_place place);

/* The other text has one more token. Where that is not the next one, it is looked for nearby. */
void lcrt_lookup_walk(const lcrt_lookup *lookup, lcrt_way *way, int32_t token);

/* Where the way goes on, one token further if skip: nowhere when it is lost. */
lcrt_place lcrt_lookup_next(const lcrt_lookup *lookup, const lcrt_way *way, bool skip);

#endif
