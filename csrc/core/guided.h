/* guided.h -- what a grammar adds to a sequence: the mask of its next token, and tokens
 * that need no sampling.
 *
 * One thread at a time: while the model computes, the one that prepares; else as
 * sequence.h says. */
#ifndef LCRT_GUIDED_H
#define LCRT_GUIDED_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/grammar.h"
#include "lcrt/status.h"

/* Tokens that are taken at once at most: they are rows of one pass, for which others wait. */
#define LCRT_FORCED_MAX 64
/* Guesses behind the next token for which masks are prepared at most. */
#define LCRT_AHEAD_MAX 16

typedef struct lcrt_guided {
    lcrt_grammar grammar; /* owned; without vtable everything here is idle */
    uint32_t *masks;      /* of the next token, then of what follows each of n_room guesses */
    int32_t n_words, n_room;
    bool forces; /* takes forced tokens without sampling them */
    bool lags;   /* looks for them while the model computes, rather than as soon as a token has come */
    bool unseen; /* nobody has looked yet whether the next token is forced */
    bool ready;  /* prepared for the next token: status, and forced or mask, are of now */
    lcrt_status status;
    int32_t n_forced;
    int32_t forced[LCRT_FORCED_MAX];
    int32_t n_ahead, n_came; /* guesses with a mask behind them; of these, tokens that came */
    int32_t ahead[LCRT_AHEAD_MAX];
    int64_t prepare_ns; /* how long the last preparation took */
} lcrt_guided;

/* Makes room for the next token's mask. The grammar is the caller's until it is put there. */
lcrt_status lcrt_guided_init(lcrt_guided *guided, const lcrt_grammar *grammar, int32_t n_vocab, bool forces);
/* Makes room for masks behind so many guesses too, LCRT_AHEAD_MAX at most; nothing without a grammar. */
lcrt_status lcrt_guided_reserve(lcrt_guided *guided, int32_t n_guesses);
void lcrt_guided_free(lcrt_guided *guided);

/* Whether there is a grammar. */
bool lcrt_guided_is_on(const lcrt_guided *guided);

/* Finds what may come next: where nobody has looked yet, whether it is forced; else the mask. */
void lcrt_guided_prepare(lcrt_guided *guided);

/* After prepare: the masks behind guesses, as far as there is room. The grammar must take these. */
void lcrt_guided_look_ahead(lcrt_guided *guided, const int32_t *guesses, int32_t n);

/* The token has come. *stopped: the text is complete. */
lcrt_status lcrt_guided_accept(lcrt_guided *guided, int32_t token, bool *stopped);

/* Writes the tokens that must come next into forced. */
void lcrt_guided_force(lcrt_guided *guided);
/* The next preparation does it. */
void lcrt_guided_force_later(lcrt_guided *guided);

/* The mask to sample under; NULL: everything may come. */
const uint32_t *lcrt_guided_mask(const lcrt_guided *guided);

#endif
