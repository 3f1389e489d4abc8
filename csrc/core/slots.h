/* slots.h -- who owns which slot, what each holds, and their sequence ids.
 *
 * Engine thread only. A slot keeps its tokens when its job has ended, for later ones. Each is in
 * one set: slots of different sets have nothing in common, whatever their tokens are.
 * Slots and sequence ids are numbered 0 .. n - 1 and paired one to one; the pairing
 * changes when content moves. These functions keep the books; what they note has been
 * done in the backend by the caller. */
#ifndef LCRT_SLOTS_H
#define LCRT_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cells.h"
#include "lcrt/backend.h"
#include "lcrt/prefix.h"

typedef struct lcrt_slot {
    int32_t id;        /* sequence id in the backend */
    uint64_t set;      /* its content was computed with */
    lcrt_prefix *tree; /* what each slot of that set holds */
    bool busy;         /* some job's */
    bool active;       /* busy, and has content or rows in this step */
    bool closed;       /* its job's content is for nobody else, and goes with it */
    int32_t n_prompt;  /* of what it holds, tokens that a client sent */
    int32_t n_uses;    /* prompts that have found their beginning here */
    int64_t used_ns;   /* clock when it was released */
    uint64_t used;     /* order of release; 0: never, or its content is gone */
} lcrt_slot;

/* Slots whose content was computed alike. */
typedef struct lcrt_slots_set {
    uint64_t set;
    lcrt_prefix *tree; /* entries of slots of other sets are empty */
    int32_t n_slots;
    int32_t n_active, first; /* where its active slots go: the ids of their run ... */
    double middle;           /* ... which comes in the order of these */
} lcrt_slots_set;

typedef struct lcrt_slots {
    int32_t n;
    lcrt_slot *slots;
    lcrt_slots_set *sets; /* each has a slot, so there are at most n */
    int32_t n_sets;
    int32_t *by_id;    /* slot of each id */
    int32_t *n_shared; /* of each slot, what the last look-up has found */
    lcrt_cells cells;  /* where content is, if the pool is common */
    uint64_t tick;
} lcrt_slots;

lcrt_status lcrt_slots_init(lcrt_slots *slots, int32_t n);
void lcrt_slots_free(lcrt_slots *slots);

/* Tokens that a slot holds. */
int32_t lcrt_slots_held(const lcrt_slots *slots, int32_t slot);

/* The first n of them. */
void lcrt_slots_read(const lcrt_slots *slots, int32_t slot, int32_t n, int32_t *out);

/* How many of its first tokens some other slot has too. */
int32_t lcrt_slots_common(const lcrt_slots *slots, int32_t slot);

/* For each slot, how much of the beginning of tokens, computed with a set, it holds: in n_shared. */
void lcrt_slots_look_up(lcrt_slots *slots, uint64_t set, const int32_t *tokens, int32_t n_tokens);

/* An empty slot is in another set from now on. */
lcrt_status lcrt_slots_adapt(lcrt_slots *slots, int32_t slot, uint64_t set);

void lcrt_slots_claim(lcrt_slots *slots, int32_t slot, bool closed);
void lcrt_slots_release(lcrt_slots *slots, int32_t slot, int64_t now_ns);

/* Tokens were computed behind what a slot holds. */
lcrt_status lcrt_slots_add(lcrt_slots *slots, int32_t slot, const int32_t *tokens, int32_t n_tokens);

/* dst, which was empty, holds the first n tokens of src; common: in the same cells. */
void lcrt_slots_share(lcrt_slots *slots, int32_t src, int32_t dst, int32_t n, bool common);

/* A slot holds no more than its first n tokens. */
void lcrt_slots_trim(lcrt_slots *slots, int32_t slot, int32_t n);

/* A slot has lost its tokens [p0, p1); later ones have moved down. */
lcrt_status lcrt_slots_cut(lcrt_slots *slots, int32_t slot, int32_t p0, int32_t p1);

/* What an idle slot is worth beyond its first n_kept tokens; see value.h. */
double lcrt_slots_value(const lcrt_slots *slots, int32_t slot, int32_t n_kept, int64_t now_ns);

/* The idle slot with content whose loss costs least, -1 without any. */
int32_t lcrt_slots_least(const lcrt_slots *slots, int64_t now_ns);

/* The idle slot whose loss costs least for each cell that it frees. When none frees any by itself: one of those that
 * only share cells with each other, after whose loss another one does. -1 when there are none either. */
int32_t lcrt_slots_loosest(const lcrt_slots *slots, int64_t now_ns);

/* Exchanges the sequence ids of two slots. */
void lcrt_slots_swap_ids(lcrt_slots *slots, int32_t a, int32_t b);

/* Whether the ids of each set's active slots follow each other without a gap. */
bool lcrt_slots_compact(const lcrt_slots *slots);

/* Makes them do so with few tokens moved in the backend, of one set the fewest; *n_moves goes up by the
 * number of moves. An error leaves a gap, and every slot with its content. LCRT_ERR_FULL:
 * no slot is empty, so nothing can be moved out of the way. */
lcrt_status lcrt_slots_close_gaps(lcrt_slots *slots, const lcrt_backend *backend, int64_t *n_moves);

#endif
