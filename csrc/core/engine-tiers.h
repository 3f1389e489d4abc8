/* engine-tiers.h -- what slots lose and what stored states bring back; and checkpoints of the slots.
 *
 * Engine thread only. A slot whose memory cannot be cut at any length has checkpoints at turn boundaries and
 * at regular distances of long prompts. */
#ifndef LCRT_ENGINE_TIERS_H
#define LCRT_ENGINE_TIERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lcrt/engine.h"
#include "sequence.h"
#include "state.h"
#include "tiers.h"

/* Relaxed; only ever written by the engine thread. */
typedef struct lcrt_keeper_counters {
    atomic_int_fast64_t n_hits[LCRT_N_TIERS];   /* jobs that began with tokens of this tier */
    atomic_int_fast64_t n_tokens[LCRT_N_TIERS]; /* ... so many */
    atomic_int_fast64_t n_checkpoints;          /* taken */
    atomic_int_fast64_t ram_len, file_len;      /* bytes of stored states */
} lcrt_keeper_counters;

typedef struct lcrt_keeper {
    lcrt_tiers *tiers;             /* NULL: slots' content is not kept */
    lcrt_status disk_status;       /* why there are no files */
    lcrt_checkpoints *checkpoints; /* of each slot */
    int64_t checkpoints_max;       /* bytes of one slot's; 0: none */
    lcrt_keeper_counters counters;
} lcrt_keeper;

lcrt_status lcrt_engine_tiers_open(lcrt_engine *engine);
void lcrt_engine_tiers_free(lcrt_engine *engine);

/* Takes up what the disk has done. */
void lcrt_engine_tiers_settle(lcrt_engine *engine);

/* An idle slot is about to lose what it holds beyond its first n_kept tokens: host memory may keep it. */
void lcrt_engine_keep(lcrt_engine *engine, int32_t slot, int32_t n_kept);

/* How many tokens a stored state would bring a waiting job, when that is clearly more than n_best; else 0.
 * *wait: it is being read from disk, and the job should stay where it is until the bell rings. */
int32_t lcrt_engine_stored(lcrt_engine *engine, lcrt_sequence *sequence, int32_t n_best, bool *wait);

/* Loads it into the job's slot, which is empty; returns how many tokens the slot holds then. */
int32_t lcrt_engine_load(lcrt_engine *engine, lcrt_sequence *sequence);

/* Counts where the n tokens that a job begins with came from. */
void lcrt_engine_count_hit(lcrt_engine *engine, lcrt_sequence *sequence, lcrt_tier tier, int32_t n);

/* engine-checkpoints.c */

/* The most tokens, at most n, that a slot's content can be cut to. */
int32_t lcrt_engine_reach(const lcrt_engine *engine, int32_t slot, int32_t n);

/* Cuts a slot to a length that reach gave, in the backend and in the books. */
lcrt_status lcrt_engine_cut(lcrt_engine *engine, int32_t slot, int32_t n);

/* dst has got the first n tokens of src, or all of them: it gets the checkpoints too. */
void lcrt_engine_share_checkpoints(lcrt_engine *engine, int32_t src, int32_t dst, int32_t n);

/* Forgets the checkpoints of a slot behind its first n tokens. */
void lcrt_engine_cut_checkpoints(lcrt_engine *engine, int32_t slot, int32_t n);

/* Decides where a job that has got its slot will have its next checkpoint. */
void lcrt_engine_plan_checkpoint(const lcrt_engine *engine, lcrt_sequence *sequence);

/* Takes the checkpoints that are due after a pass. */
void lcrt_engine_take_checkpoints(lcrt_engine *engine);

#endif
