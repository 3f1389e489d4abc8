/* batch.h -- who gets how many rows this step. Pure; any thread. */
#ifndef LCRT_BATCH_H
#define LCRT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

/* One sequence's wish; in an array the oldest comes first. */
typedef struct lcrt_share {
    int32_t n_wanted; /* rows it could use: the rest of its prompt; when it decodes 1,
                 * or more where the tokens after it are known too */
    int32_t n_rows;   /* out: rows it gets */
    bool decoding;
} lcrt_share;

typedef struct lcrt_batch_limits {
    int32_t n_batch;  /* rows of one decode */
    int32_t n_chunk;  /* prompt rows while others decode, and behind a prompt that ends */
    int32_t n_round;  /* what is left of a prompt should be a multiple of this; 0: anything */
    int32_t n_known;  /* rows of decoding sequences beyond one of each; 0: n_chunk */
    int32_t n_more;   /* while others decode, prompt rows of a pass that has more than one prompt; 0: n_chunk */
    bool even;        /* a pass wants as many rows of each sequence, so cutting costs */
    int32_t n_decode; /* decode rows at most */
    int32_t n_prompt; /* prompt rows at most */
    int32_t n_free;   /* cells */
} lcrt_batch_limits;

/* Every decoding sequence gets its row, as long as there are cells. Prompts share what
 * remains, the oldest takes all it can use first. With nothing decoding they go at full
 * width, but a prompt that can end in this step is not held up by a longer one behind it.
 * Rows that are few of each sequence are dear, so a chunk of several prompts has a bound of
 * its own. An even pass takes a quarter of a chunk more where one prompt more can end with it, and
 * cuts none for what is left when that is less than a quarter. */
void lcrt_batch_divide(lcrt_share *shares, int32_t n_shares, const lcrt_batch_limits *limits);

#endif
