/* draft.h -- what a sequence keeps for drafts: its place in the history, its guesses, and how
 * right they are. Engine thread only. */
#ifndef LCRT_DRAFT_H
#define LCRT_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "lookup.h"

/* Tokens of one draft at most. */
#define LCRT_DRAFT_MAX 32

/* A guess that is compared with what comes, whether rows were spent on it or not. */
typedef struct lcrt_guess {
    int32_t tokens[LCRT_DRAFT_MAX];
    int32_t n, n_seen;
    int32_t source;
} lcrt_guess;

typedef struct lcrt_draft {
    lcrt_trail trail;
    lcrt_way way; /* the text that it is like */
    lcrt_gate_own own;
    bool begun;     /* what it has is in the history ... */
    int32_t n_put;  /* ... up to so many generated tokens */
    int32_t n;      /* tokens that have rows in this pass, behind those that are known */
    int32_t base;   /* length of the sequence without them */
    int32_t n_kept; /* of these, tokens that came and whose cells are right */
    int32_t n_found, source;
    int32_t tokens[LCRT_DRAFT_MAX];
    lcrt_guess guesses[2]; /* the history's and the model's, each until it is settled */
} lcrt_draft;

/* The tokens found become the guess of their kind, once the last one has been settled. */
void lcrt_draft_note(lcrt_draft *draft);

#endif
