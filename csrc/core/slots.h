/* slots.h -- who owns which slot, what idle ones still hold, and their sequence ids.
 *
 * Engine thread only. A slot keeps its tokens when its job has ended, for the next one.
 * Slots and sequence ids are numbered 0 .. n - 1 and paired one to one; the pairing
 * changes when content moves. */
#ifndef LCRT_SLOTS_H
#define LCRT_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/prefix.h"

typedef struct lcrt_slot {
    int32_t id;    /* sequence id in the backend */
    bool busy;     /* some job's */
    bool active;   /* busy, and has content or rows in this step */
    uint64_t used; /* when it was released; 0: never, or its content is gone */
} lcrt_slot;

typedef struct lcrt_slots {
    int32_t n;
    lcrt_slot *slots;
    int32_t *by_id;      /* slot of each id */
    lcrt_prefix *prefix; /* what each slot holds */
    uint64_t tick;
} lcrt_slots;

lcrt_status lcrt_slots_init(lcrt_slots *slots, int32_t n);
void lcrt_slots_free(lcrt_slots *slots);

/* Tokens that a slot holds. */
int32_t lcrt_slots_held(const lcrt_slots *slots, int32_t slot);

/* The best idle slot for tokens, -1 when all are busy. *n_shared: how many of them it
 * holds and need not be computed, at most n_tokens - 1. can_trim: part of its content can
 * be kept. Less than a tenth of the tokens is not worth another job's content: then the
 * least recently used slot is chosen. */
int32_t lcrt_slots_find(const lcrt_slots *slots, const int32_t *tokens, int32_t n_tokens, bool can_trim,
                        int32_t *n_shared);

void lcrt_slots_claim(lcrt_slots *slots, int32_t slot);
void lcrt_slots_release(lcrt_slots *slots, int32_t slot);

/* Forgets the content, which the caller has dropped in the backend. */
void lcrt_slots_clear(lcrt_slots *slots, int32_t slot);

/* The idle slot with content that was released first, -1 when there is none. */
int32_t lcrt_slots_oldest(const lcrt_slots *slots);

/* Exchanges the sequence ids of two slots. */
void lcrt_slots_swap_ids(lcrt_slots *slots, int32_t a, int32_t b);

/* Whether the ids of active slots follow each other without a gap. */
bool lcrt_slots_compact(const lcrt_slots *slots);

/* Makes them do so with the fewest tokens moved in the backend; *n_moves goes up by the
 * number of moves. Idle content in the way is moved, or dropped where nothing is empty.
 * An error leaves a gap, and every slot with its content. */
lcrt_status lcrt_slots_close_gaps(lcrt_slots *slots, const lcrt_backend *backend, int64_t *n_moves);

#endif
