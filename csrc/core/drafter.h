/* drafter.h -- who guesses what the model will say: a smaller model, or layers of its own.
 *
 * A table of functions, of the engine thread's only. */
#ifndef LCRT_DRAFTER_H
#define LCRT_DRAFTER_H

#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/status.h"

/* What is wanted for one slot, and what came of it. */
typedef struct lcrt_drafting {
    int32_t slot;
    int32_t seq;           /* which sequence of the backend that is */
    const int32_t *tokens; /* of its sequence */
    int32_t n_tokens;
    int32_t n_same; /* of these, the first ones that it has computed */
    int32_t n_max;  /* tokens to guess */
    int32_t *out;
    int32_t n; /* guessed, or caught up with; fewer where there is no room */
} lcrt_drafting;

typedef struct lcrt_drafter_vtable {
    /* Before the others, which rely on it until the tokens change: finds n_same, at most all tokens but the last, and
     * lowers n_max to what there is room for behind them. What the slot holds is not given up before the next guesses. */
    void (*compare)(void *self, lcrt_drafting *drafting);

    /* Computes up to n_rows of the tokens behind n_same, all but the last; n becomes how many, and n_same grows. */
    lcrt_status (*catch_up)(void *self, lcrt_drafting *drafting, int32_t n_rows);

    /* Guesses for several slots at a time, the likeliest tokens. Where it lags by more than a batch it guesses nothing,
     * and so it does where n_max is 0. */
    lcrt_status (*guess)(void *self, lcrt_drafting *draftings, int32_t n_draftings);

    void (*free)(void *self);
} lcrt_drafter_vtable;

typedef struct lcrt_drafter {
    const lcrt_drafter_vtable *vtable; /* NULL: nobody */
    void *self;
} lcrt_drafter;

/* A smaller model. Its backend stays the caller's and must live longer. LCRT_ERR_UNSUPPORTED for one whose memory cannot
 * be cut or that has not as many sequences as there are slots; n_vocab must be its own. */
lcrt_status lcrt_drafter_model(const lcrt_backend *backend, int32_t n_slots, int32_t n_vocab, lcrt_drafter *out);

/* The backend's own layers that guess; it stays the caller's, must live longer and be able to. */
lcrt_status lcrt_drafter_heads(const lcrt_backend *backend, int32_t n_slots, lcrt_drafter *out);

#endif
