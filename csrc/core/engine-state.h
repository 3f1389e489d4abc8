/* engine-state.h -- the engine's insides, shared by the engine-*.c files.
 *
 * Where a group of fields says nothing else, it is the engine thread's own. */
#ifndef LCRT_ENGINE_STATE_H
#define LCRT_ENGINE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "crew.h"
#include "drafter.h"
#include "engine-tiers.h"
#include "lcrt/engine.h"
#include "pace.h"
#include "ring.h"
#include "sequence.h"
#include "slots.h"
#include "wake.h"

/* Nanoseconds since some moment. */
typedef int64_t (*lcrt_clock)(void *data);

/* The clock of every engine but those of tests; ignores data. */
int64_t lcrt_monotonic(void *data);

/* A list in order of arrival. */
typedef struct lcrt_queue {
    lcrt_sequence *first;
    lcrt_sequence **end; /* where the next one is hung in */
} lcrt_queue;

/* What travels in the cancel ring. */
typedef struct lcrt_cancel {
    uint64_t id;
    uint64_t n_submitted; /* by then: later jobs of the same id are not meant */
} lcrt_cancel;

/* Relaxed; only ever written by the engine thread. */
typedef struct lcrt_engine_counters {
    atomic_int_fast32_t n_running;
    atomic_int_fast64_t n_steps, n_rows, n_prefill_rows, decode_ns, sample_ns, step_ns, n_moves;
    atomic_int_fast64_t n_prompt, n_cached, n_taken, n_shared, n_joined;
    atomic_int_fast64_t n_masks, n_mask_waits, mask_ns, mask_wait_ns, n_forced;
    atomic_int_fast64_t n_drafted, n_accepted;
} lcrt_engine_counters;

/* Sequences that want different sets of changes of the weights take turns. */
typedef struct lcrt_turn {
    uint64_t set;      /* whose turn it is */
    int64_t begin_ns;  /* since when */
    int32_t n_sets;    /* that want rows now */
    int32_t n_streams; /* decoding sequences of the others */
    bool changed;      /* the backend has changed for the pass under way, which makes it slower than others */
} lcrt_turn;

/* One row of logits and whose it is. */
typedef struct lcrt_draw {
    lcrt_sequence *sequence;
    const float *logits;
    int32_t row; /* of these logits; those of its draft follow */
    int32_t n_drafted, n_kept;
} lcrt_draw;

struct lcrt_engine {
    lcrt_backend backend;
    lcrt_engine_params params;
    lcrt_clock clock;
    void *clock_data;
    pthread_t thread;
    bool threaded;

    /* Shared with the caller. */
    lcrt_ring *submits, *cancels, *events;
    lcrt_bell bell;
    lcrt_signal signal;
    atomic_int n_queued;    /* jobs submitted that have no slot */
    atomic_bool wants_room; /* output waits for space in the event ring */
    atomic_bool stop;
    pthread_mutex_t solo_mutex; /* so that an interruption never meets another pass than it is meant for */
    bool solo;                  /* the decode under way is one job's only: ... */
    uint64_t solo_id;           /* ... this one's */
    lcrt_engine_counters counters;

    uint64_t n_submitted; /* the submitting thread's */

    uint64_t n_taken; /* serial of the last job taken from the ring */
    lcrt_queue waiting, ending;
    lcrt_sequence **running; /* oldest first */
    int32_t n_running;
    lcrt_sequence **owners; /* of each slot; NULL when idle */
    lcrt_slots slots;
    lcrt_keeper keeper;
    bool admission_held; /* a job lost its cells; none gets a slot until one has ended */
    int32_t n_gap_steps; /* for how many steps active ids have had gaps; below 0: not to be closed */

    lcrt_turn turn;
    uint64_t adapted;        /* the backend's set */
    lcrt_share *shares;      /* of the sequences in turn that want rows, oldest first ... */
    lcrt_sequence **sharing; /* ... which are these */
    int32_t n_shares;
    int32_t n_streams; /* of these, decoding */
    lcrt_row *rows;
    int32_t n_rows, n_prompt_rows;
    bool prompts_last; /* the last pass was for prompts, though others decode */
    lcrt_draw *draws;
    int32_t n_draws;
    lcrt_pace pace;
    lcrt_pace small;         /* ... of passes in which no prompt has as many rows as the backend likes */
    lcrt_sequence **masking; /* whose masks are being computed */
    int32_t n_masking;
    lcrt_crew *mask_crew;
    lcrt_lookup *lookup; /* NULL: no drafts */
    lcrt_gate gate;
    lcrt_gate_wish *wishes;       /* of each of sharing */
    lcrt_backend drafter_backend; /* without vtable: none */
    lcrt_drafter drafter;         /* without vtable: none, or it has failed */
    lcrt_drafting *draftings;     /* for each of sharing */
    double guess_ns, catch_up_ns; /* what it takes for a guess, and for a token that it lags by; 0: not measured */
    bool drafts_held;             /* this step has no room for them */
    bool unsynced;                /* a decode without outputs may still be running on the device */
    bool untold;                  /* events are in the ring that the reader has not been woken for ... */
    bool urgent;                  /* ... one of them begins or ends a job */
    int64_t told_ns;              /* when it was woken last */
    lcrt_crew *crew;
    double draw_ns; /* what sampling one row costs; 0: not measured */
    double copy_ns; /* what copying one token between split streams costs; 0: not measured */
};

/* Everything but the thread; a test calls step itself. */
lcrt_status lcrt_engine_open(const lcrt_backend *backend, const lcrt_engine_params *params, lcrt_clock clock,
                             void *clock_data, lcrt_engine **out);

/* One step. False when there was nothing to do: then only a ring of the bell can change that. */
bool lcrt_engine_step(lcrt_engine *engine);

/* Ends the thread. Nothing may be submitted any more. */
void lcrt_engine_halt(lcrt_engine *engine);

/* engine-jobs.c: jobs between the rings, the lists and the slots. */
int64_t lcrt_engine_now(const lcrt_engine *engine);
void lcrt_engine_take_commands(lcrt_engine *engine);
/* Writes what jobs have to say; returns the number of events. */
int32_t lcrt_engine_write_events(lcrt_engine *engine);
/* A job with a slot that has its finish gives the slot back. */
void lcrt_engine_retire(lcrt_engine *engine, lcrt_sequence *sequence);
/* Ends a job with a slot for an error; the slot's content is not to be trusted. */
void lcrt_engine_fail(lcrt_engine *engine, lcrt_sequence *sequence, lcrt_status status);
/* Takes a job's slot away; it is the first to get one again. */
void lcrt_engine_preempt(lcrt_engine *engine, lcrt_sequence *sequence);
/* Frees every job there is. */
void lcrt_engine_drop_jobs(lcrt_engine *engine);

/* engine-grammar.c: the masks of sequences that will have a row of logits in this pass.
 * Between the two nothing else touches these sequences' grammars, and none may be freed. */
void lcrt_engine_masks_begin(lcrt_engine *engine);
void lcrt_engine_masks_end(lcrt_engine *engine);
/* Where a pass wants as many rows of each sequence, streams that know more than one token
 * get no more than the others. */
void lcrt_engine_level_streams(lcrt_engine *engine);
/* Decides when a sequence looks whether what follows its next token is forced. */
void lcrt_engine_lag(const lcrt_engine *engine, lcrt_sequence *sequence);

/* engine-draft.c: rows for tokens that are only guessed. */
lcrt_status lcrt_engine_drafts_open(lcrt_engine *engine);
void lcrt_engine_drafts_free(lcrt_engine *engine);
/* Streams want rows for guesses too, where these promise to pay; returns how many. */
int32_t lcrt_engine_plan_drafts(lcrt_engine *engine);
/* Guesses that got no rows are dropped. */
void lcrt_engine_fit_drafts(lcrt_engine *engine);
/* The most tokens of a draft: none is for the row behind the last token that a job may have. */
int32_t lcrt_engine_draft_max(const lcrt_engine *engine, const lcrt_sequence *sequence);
/* How many of the first n of its tokens may be a draft: those before the end, and what a grammar takes. */
int32_t lcrt_engine_usable_draft(const lcrt_engine *engine, const lcrt_sequence *sequence, int32_t n);
/* No more drafts in this step; false when there were none anyway. */
bool lcrt_engine_drop_drafts(lcrt_engine *engine);
/* After a sequence has advanced by its first row: goes on with those of its draft. An error
 * leaves a slot whose content is not to be trusted. */
lcrt_status lcrt_engine_follow_draft(lcrt_engine *engine, lcrt_draw *draw, bool can_shift, int64_t now_ns);
/* After all of them. */
void lcrt_engine_settle_drafts(lcrt_engine *engine);

/* engine-drafter.c: guesses of a smaller model, or of the model's own layers. */
lcrt_status lcrt_engine_drafter_open(lcrt_engine *engine);
void lcrt_engine_drafter_free(lcrt_engine *engine);
/* What is wished for stream i, given what the history has. */
lcrt_gate_wish lcrt_engine_wish_drafter(lcrt_engine *engine, int32_t i, lcrt_gate_wish found);
/* Guesses up to n_max tokens for each stream that wishes so, or catches up with one of them; the wishes become what it
 * has guessed. */
void lcrt_engine_run_drafter(lcrt_engine *engine, int32_t n_max);

/* engine-sets.c: which of the sets has the next pass. */
/* Before a pass is composed: the turn goes on, or to the set that has waited longest. Not in the middle of making room
 * for one, unless nobody is left. */
void lcrt_engine_take_turn(lcrt_engine *engine, bool fresh);
/* Whether a running job's rows may be in the next pass. */
bool lcrt_engine_in_turn(const lcrt_engine *engine, const lcrt_sequence *sequence);
/* The backend gets the set in turn. */
lcrt_status lcrt_engine_adapt(lcrt_engine *engine);
/* The set in turn has had a pass. */
void lcrt_engine_note_pass(lcrt_engine *engine);

/* engine-room.c: slots and cells. */
int32_t lcrt_engine_held(const lcrt_engine *engine, const lcrt_sequence *sequence);
bool lcrt_engine_decoding(const lcrt_engine *engine, const lcrt_sequence *sequence);
/* Cells that hold nothing; INT32_MAX where sequences do not share them. */
int32_t lcrt_engine_free_cells(const lcrt_engine *engine);
/* Where the backend likes it, makes the ids of active slots follow each other: at once when
 * one begins, else when the gap has stayed for some steps. */
void lcrt_engine_close_gaps(lcrt_engine *engine);
/* Whether the pool has room for one more job beside the running ones; of its tokens,
 * n_busy are in cells that these have or will have. */
bool lcrt_engine_fits(const lcrt_engine *engine, const lcrt_sequence *sequence, int32_t n_busy);
/* Forgets the content of a slot, in the backend too. */
lcrt_status lcrt_engine_drop(lcrt_engine *engine, int32_t slot);
/* An idle slot is about to lose what it holds beyond its first n_kept tokens. */
void lcrt_engine_lose(lcrt_engine *engine, int32_t slot, int32_t n_kept);
/* Both of these, where a slot holds anything. */
lcrt_status lcrt_engine_evict(lcrt_engine *engine, int32_t slot);
/* Drops what idle slots hold until n cells are free or there is nothing left to drop. */
void lcrt_engine_free_idle(lcrt_engine *engine, int32_t n);
/* Makes room in every context that is full. */
void lcrt_engine_shift_full(lcrt_engine *engine);
/* The backend has no cells for the batch. Changes something that makes another try
 * worthwhile: lowers *n_prompt_max, frees cells or ends a job. */
void lcrt_engine_make_room(lcrt_engine *engine, int32_t *n_prompt_max);

/* engine-share.c: where the beginning of a job comes from. */
/* Gives slots to jobs that wait, and lets jobs go on that waited for another one's prompt. */
void lcrt_engine_admit(lcrt_engine *engine);
/* Rows that a running job can use; 0 while it waits for another one's prompt. */
int32_t lcrt_engine_wanted(const lcrt_engine *engine, const lcrt_sequence *sequence);

#endif
