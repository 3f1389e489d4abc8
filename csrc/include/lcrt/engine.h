/* engine.h -- many requests, one model, one thread.
 *
 * The engine owns a thread that repeats one step: take commands, compose a
 * batch, decode, sample, advance, wake. Commands go in through rings; events
 * come out through a ring and one eventfd (a pipe where there is none) that
 * becomes readable at most once per step.
 *
 * Threads: submit and cancel belong to one thread at a time, events, release and
 * wait to one thread at a time, which may be another; stats to any. The engine
 * thread never calls out. */
#ifndef LCRT_ENGINE_H
#define LCRT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/cache.h"
#include "lcrt/grammar.h"
#include "lcrt/sampling.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_engine lcrt_engine;

typedef struct lcrt_engine_params {
    int32_t n_slots;             /* sequences that run at the same time, 1 .. n_seq_max */
    int32_t n_chunk_min;         /* prompt rows per step never go below this while others decode, nor below
                                  * the backend's n_chunk where a step of that is not much too long; default 16 */
    int32_t n_chunk;             /* fixed prompt rows per step while others decode; 0 measures */
    int64_t latency_target_ns;   /* longest step while others decode; default 100 ms */
    int64_t wake_interval_ns;    /* text wakes the reader no more often than this; default 16 ms */
    int32_t n_sampler_threads;   /* 0: as the backend advises */
    int32_t max_queue;           /* jobs waiting for a slot, a power of two; default 1024 */
    size_t events_len;           /* bytes of the event ring, a power of two from 4096 on; default 4 MiB */
    lcrt_cache_params cache;     /* default: none */
    int32_t n_draft;             /* tokens guessed for each stream and pass at most, up to 32, as far as that promises
                                  * to pay, or always when negative; default 0: none. They change when tokens come,
                                  * never which */
    const lcrt_backend *drafter; /* a smaller model of the same vocabulary that guesses too; NULL: none. Copied, and
                                  * taken over together with the backend */
} lcrt_engine_params;

/* All defaults. */
lcrt_engine_params lcrt_engine_params_default(void);

/* What the engine is asked to do. Everything but the grammar is copied by submit. */
typedef struct lcrt_job {
    uint64_t id;           /* the caller's, unique among running jobs */
    const int32_t *tokens; /* the prompt, at least one token */
    int32_t n_tokens;
    int32_t max_tokens; /* generated tokens; negative: no limit; 0: ends at once with length */
    int32_t n_ctx;      /* positions it may hold; 0 or more than that: the backend's n_ctx_seq */
    int32_t n_keep;     /* prompt tokens that a shift keeps in front, at most n_ctx - 4; negative:
                                    * the whole prompt */
    bool shift;         /* full context: drop old positions (true) or finish with length */
    bool cache;         /* may use what others have computed, and be used by others */
    uint64_t set;       /* of changes of the weights, as the backend knows it; 0: the backend's own. Jobs of one set
                         * share passes and what they have computed, others take turns */
    bool ignore_eog;    /* generate through end-of-generation tokens */
    bool special;       /* control tokens appear as text */
    int32_t n_logprobs; /* -1 none, 0 the token's own, n also the n best, at most 20 */
    lcrt_sampling sampling;
    const char *const *stops; /* stop strings, terminated; empty ones are ignored */
    int32_t n_stops;
    lcrt_grammar grammar; /* not copied: taken over, on LCRT_OK only. It must be at its beginning. The job ends with
                           * stop once it is complete, also with ignore_eog. What it forces is generated
                           * without logits, unless log-probabilities are wanted */
} lcrt_job;

typedef enum lcrt_finish {
    LCRT_FINISH_NONE = 0,
    LCRT_FINISH_STOP,   /* end-of-generation token or stop string */
    LCRT_FINISH_LENGTH, /* max_tokens or a full context */
    LCRT_FINISH_CANCEL,
    LCRT_FINISH_ERROR /* see status */
} lcrt_finish;

typedef enum lcrt_event_kind {
    LCRT_EVENT_START = 1, /* the prompt is computed, usage's prompt part is final; jobs that
                            * end before that have none */
    LCRT_EVENT_TEXT,      /* text became visible; may carry log-probabilities */
    LCRT_EVENT_FINISH     /* the last event of a job, exactly one; may carry text */
} lcrt_event_kind;

typedef struct lcrt_usage {
    int32_t n_prompt;    /* tokens of the prompt */
    int32_t n_cached;    /* of these, found and not computed */
    int32_t n_host;      /* ... these in host memory */
    int32_t n_disk;      /* ... these on disk */
    int32_t n_generated; /* tokens sampled, the ending one included unless it is end-of-generation;
                            * the sum of n_tokens over the job's events */
    int32_t n_sampled;   /* as n_generated, the end-of-generation token included: what llama-server
                            * and Ollama report as generated tokens */
    int32_t n_shifts;    /* times the context was shifted */
    int32_t n_drafted;   /* tokens guessed and computed with others ... */
    int32_t n_accepted;  /* ... and of these, those that were right */
    int64_t queued_ns;   /* submit until its first row */
    int64_t prefill_ns;  /* first row until the prompt was computed */
    int64_t decode_ns;   /* prompt computed until the finish */
} lcrt_usage;

/* One sampled token or one alternative to it. */
typedef struct lcrt_logprob {
    int32_t token;
    float logprob; /* natural logarithm, of the raw logits */
} lcrt_logprob;

/* A view into the ring, valid until lcrt_engine_release. */
typedef struct lcrt_event {
    uint64_t job;
    lcrt_event_kind kind;
    lcrt_finish finish; /* kind FINISH */
    lcrt_status status; /* finish ERROR */
    int32_t n_tokens;   /* tokens whose text this carries (generated ones) */
    const char *text;   /* UTF-8, whole characters, not terminated */
    int32_t text_len;
    const int32_t *tokens;        /* generated token ids, n_tokens of them */
    const lcrt_logprob *logprobs; /* n_tokens groups: the token's own, then n_top_each alternatives */
    int32_t n_logprobs;           /* entries in all; 0 when not asked for */
    lcrt_usage usage;             /* kinds START and FINISH */
} lcrt_event;

typedef struct lcrt_engine_stats {
    int32_t n_running; /* sequences in slots */
    int32_t n_waiting; /* jobs without a slot, those in the ring included */
    int64_t n_steps;
    int64_t n_rows;         /* rows decoded */
    int64_t n_prefill_rows; /* of these, prompt rows */
    int64_t decode_ns;      /* time inside the backend's decode and logits */
    int64_t sample_ns;      /* time sampling */
    int64_t step_ns;        /* time inside steps, the two above included */
    int64_t n_moves;        /* sequences moved to close gaps */
    int64_t n_prompt;       /* prompt tokens of the jobs that got rows ... */
    int64_t n_cached;       /* ... and of these, found and not computed */
    int64_t n_taken;        /* jobs that took a slot over with the beginning of their prompt in it */
    int64_t n_shared;       /* jobs that got it from another slot, which kept it */
    int64_t n_joined;       /* jobs that waited for another one to compute it */
    int64_t n_masks;        /* masks of grammars computed */
    int64_t n_mask_waits;   /* steps that had masks */
    int64_t mask_ns;        /* time computing them, beside the steps */
    int64_t mask_wait_ns;   /* time that steps waited for them after their pass */
    int64_t n_forced;       /* tokens that came without sampling, behind another one */
    int64_t n_drafted;      /* tokens guessed and computed with others ... */
    int64_t n_accepted;     /* ... and of these, those that were right */
} lcrt_engine_stats;

/* Starts the thread. Takes the backends only on LCRT_OK. LCRT_ERR_UNSUPPORTED: the drafter cannot be one. */
lcrt_status lcrt_engine_init(const lcrt_backend *backend, const lcrt_engine_params *params, lcrt_engine **out);

/* Cancels what runs, joins the thread, frees the backends, the drafter's too. Events that were not taken are gone. No
 * other thread may use the engine any more. NULL is fine. */
void lcrt_engine_free(lcrt_engine *engine);

/* LCRT_ERR_FULL when max_queue jobs wait for a slot, LCRT_ERR_INVALID for a job that makes
 * no sense, LCRT_ERR_TOO_LONG for a prompt of n_ctx tokens or more. */
lcrt_status lcrt_engine_submit(lcrt_engine *engine, const lcrt_job *job);

/* Takes effect within one step, whatever the queue holds. Unknown ids are ignored, and
 * jobs of that id that are submitted later are not meant. The job still ends with one
 * FINISH event. LCRT_ERR_FULL when the engine has had no time to read many cancels. */
lcrt_status lcrt_engine_cancel(lcrt_engine *engine, uint64_t id);

/* Up to max events, oldest first; returns how many. Never waits. */
int32_t lcrt_engine_events(lcrt_engine *engine, lcrt_event *out, int32_t max);

/* Gives the space of all events returned so far back to the ring. */
void lcrt_engine_release(lcrt_engine *engine);

/* Readable when events wait; lcrt_engine_events clears it. Owned by the engine. */
int lcrt_engine_fd(const lcrt_engine *engine);

/* Waits up to timeout_ns for events; negative waits until there are some. True when there
 * are. */
bool lcrt_engine_wait(lcrt_engine *engine, int64_t timeout_ns);

void lcrt_engine_stats_get(const lcrt_engine *engine, lcrt_engine_stats *out);

#ifdef __cplusplus
}
#endif
#endif
