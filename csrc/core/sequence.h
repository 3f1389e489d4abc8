/* sequence.h -- the life of one job, from submit to its finish.
 *
 * Made by the thread that submits, then owned by the engine thread; while a step
 * samples, one sampler thread at a time works on it. */
#ifndef LCRT_SEQUENCE_H
#define LCRT_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "draft.h"
#include "guided.h"
#include "lcrt/backend.h"
#include "lcrt/engine.h"
#include "lcrt/sampling.h"
#include "output.h"

#define LCRT_TOP_MAX 20

typedef struct lcrt_sequence {
    struct lcrt_sequence *next; /* in the list of waiting or of ending jobs */
    uint64_t id;
    uint64_t serial; /* order of submission, from 1 */

    int32_t *tokens; /* what the context is to hold: prompt and answer, less what was shifted out */
    int32_t n_tokens, tokens_cap;
    int32_t n_prompt;
    int32_t max_tokens;
    int32_t n_ctx;
    int32_t n_keep;
    bool shift, cache, ignore_eog, special;
    uint64_t set;
    int32_t n_top; /* alternatives per token; -1: no log-probabilities at all */
    lcrt_sampler *sampler;
    lcrt_guided guided;
    lcrt_output output;

    int32_t slot;      /* -1: none */
    int32_t mark;      /* length at which its slot gets a checkpoint; INT32_MAX: never */
    int32_t n_fetches; /* times that a state was read from disk for it */
    uint64_t leader;   /* serial of the job whose prompt it waits for, 0: it does not wait */
    int32_t n_join;    /* ... until that one holds so many tokens */
    int32_t n_rows;    /* in the batch of this step */
    int64_t served_ns; /* when its set had a pass, or it got its slot, whichever was later */
    bool blocked;      /* its output does not fit the event ring, so it gets no rows */
    bool started;      /* its prompt was computed once */
    bool start_due;    /* START is not in the event ring yet */
    bool finish_due;   /* FINISH is not in the event ring yet */

    int32_t sampled; /* result of this step */
    int32_t n_known; /* tokens at the end that came at once, without sampling */
    lcrt_logprob logprobs[1 + LCRT_TOP_MAX];
    lcrt_draft draft;

    lcrt_finish finish;
    lcrt_status status;
    lcrt_usage usage;
    int64_t submit_ns, row_ns, start_ns; /* clock at submit, first row, prompt computed; 0: not yet */
} lcrt_sequence;

/* Checks the job against the backend's facts and copies it, all but its grammar. */
lcrt_status lcrt_sequence_init(const lcrt_job *job, const lcrt_backend_info *info, lcrt_sequence **out);
void lcrt_sequence_free(lcrt_sequence *sequence);

/* Draws from a row of logits into sampled and logprobs. Touches nothing but the sequence. */
void lcrt_sequence_sample(lcrt_sequence *sequence, const float *logits, int32_t n_vocab);

/* Takes the sampled token, or those that a grammar forces: text, limits, finish. can_shift: a
 * full context is not the end. */
void lcrt_sequence_advance(lcrt_sequence *sequence, const lcrt_backend *backend, bool can_shift, int64_t now_ns);

/* Settles why it ended; only the first reason counts. */
void lcrt_sequence_finish(lcrt_sequence *sequence, lcrt_finish finish, lcrt_status status, int64_t now_ns);

#endif
