/* rig.h -- an engine on the fake backend, stepped by hand or with its thread, and a reader
 * that collects what each job said. */
#ifndef LCRT_TEST_RIG_H
#define LCRT_TEST_RIG_H

#include "../core/engine-state.h"
#include "lcrt/engine.h"
#include "lcrt/fake.h"
#include "lcrt/utf8.h"
#include "model.h"
#include "test.h"

#define RIG_JOBS 64
#define RIG_TEXT 65536 /* bytes of an answer */
#define RIG_TOKENS 8192

typedef struct rig_job {
    char text[RIG_TEXT];
    int32_t text_len;
    int32_t tokens[RIG_TOKENS];
    int32_t n_tokens;
    int32_t n_start, n_text, n_finish; /* events */
    int32_t n_logprobs;
    lcrt_logprob logprobs[256]; /* the first ones */
    lcrt_finish finish;
    lcrt_status status;
    lcrt_usage start, usage;
} rig_job;

typedef struct lcrt_rig {
    lcrt_fake_params fake;
    lcrt_engine_params params;
    lcrt_backend backend;
    lcrt_engine *engine;
    rig_job jobs[RIG_JOBS]; /* by id */
    int32_t n_finished;
} lcrt_rig;

static lcrt_rig test_rig;

/* A fresh rig with the defaults; the test changes them before rig_open or rig_start. */
static inline lcrt_rig *rig_new(void) {
    memset(&test_rig, 0, sizeof(test_rig));
    test_rig.fake = lcrt_fake_params_default();
    test_rig.fake.virtual_time = true;
    test_rig.params = lcrt_engine_params_default();
    test_rig.params.n_slots = 4;
    return &test_rig;
}

/* Without a thread, on the fake's clock. */
static inline void rig_open(lcrt_rig *rig) {
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    REQUIRE(lcrt_engine_open(&rig->backend, &rig->params, lcrt_fake_clock, rig->backend.self, &rig->engine) == LCRT_OK);
}

/* With its thread. */
static inline void rig_start(lcrt_rig *rig) {
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    REQUIRE(lcrt_engine_init(&rig->backend, &rig->params, &rig->engine) == LCRT_OK);
}

static inline int32_t rig_tokens(const char *letters, int32_t *out) {
    int32_t n = 0;
    for (; letters[n] != '\0'; n++) {
        out[n] = letters[n] == ' ' ? LCRT_FAKE_SPACE : LCRT_FAKE_A + letters[n] - 'a';
    }
    return n;
}

/* Greedy, to the end. */
static inline lcrt_job rig_job_default(uint64_t id) {
    lcrt_job job = {.id = id, .max_tokens = -1, .n_logprobs = -1, .shift = true, .cache = true};
    job.sampling = lcrt_sampling_default();
    job.sampling.temperature = 0;
    return job;
}

static inline lcrt_status rig_submit_job(lcrt_rig *rig, lcrt_job *job, const char *prompt) {
    int32_t tokens[RIG_TOKENS];
    job->tokens = tokens;
    job->n_tokens = rig_tokens(prompt, tokens);
    return lcrt_engine_submit(rig->engine, job);
}

static inline void rig_submit(lcrt_rig *rig, uint64_t id, const char *prompt, int32_t max_tokens) {
    lcrt_job job = rig_job_default(id);
    job.max_tokens = max_tokens;
    REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
}

/* n letters, each followed by the next. */
static inline void rig_letters(int32_t n, char *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (char)('a' + i % 26);
    }
    out[n] = '\0';
}

static inline void rig_submit_long(lcrt_rig *rig, uint64_t id, int32_t n_prompt, int32_t max_tokens) {
    char prompt[RIG_TOKENS];
    rig_letters(n_prompt, prompt);
    rig_submit(rig, id, prompt, max_tokens);
}

/* Every event's text is valid by itself: repair changes nothing. */
static inline void rig_check_utf8(const lcrt_event *event) {
    static char repaired[3 * RIG_TEXT];
    REQUIRE(event->text_len <= RIG_TEXT);
    int32_t n = lcrt_utf8_repair(event->text, event->text_len, repaired);
    CHECK(n == event->text_len && memcmp(repaired, event->text, (size_t)n) == 0);
}

static inline void rig_note(lcrt_rig *rig, const lcrt_event *event) {
    rig_job *job = &rig->jobs[event->job];
    CHECK(job->n_finish == 0);
    rig_check_utf8(event);
    REQUIRE(job->text_len + event->text_len <= RIG_TEXT && job->n_tokens + event->n_tokens <= RIG_TOKENS);
    memcpy(job->text + job->text_len, event->text, (size_t)event->text_len);
    job->text_len += event->text_len;
    memcpy(job->tokens + job->n_tokens, event->tokens, (size_t)event->n_tokens * sizeof(int32_t));
    job->n_tokens += event->n_tokens;
    for (int32_t i = 0; i < event->n_logprobs; i++, job->n_logprobs++) {
        if (job->n_logprobs < 256) {
            job->logprobs[job->n_logprobs] = event->logprobs[i];
        }
    }
    if (event->kind == LCRT_EVENT_START) {
        job->n_start++;
        job->start = event->usage;
    } else if (event->kind == LCRT_EVENT_TEXT) {
        job->n_text++;
    } else {
        job->n_finish++;
        job->finish = event->finish;
        job->status = event->status;
        job->usage = event->usage;
        rig->n_finished++;
        CHECK_INT(job->n_tokens, event->usage.n_generated);
    }
}

/* Reads what there is; returns the number of events. */
static inline int32_t rig_read(lcrt_rig *rig) {
    lcrt_event events[16];
    int32_t n, n_all = 0;
    while ((n = lcrt_engine_events(rig->engine, events, 16)) > 0) {
        for (int32_t i = 0; i < n; i++) {
            rig_note(rig, &events[i]);
        }
        lcrt_engine_release(rig->engine);
        n_all += n;
    }
    return n_all;
}

/* Without a thread: one step, then reads. False when there was nothing to do. */
static inline bool rig_step(lcrt_rig *rig) {
    bool worked = lcrt_engine_step(rig->engine);
    rig_read(rig);
    return worked;
}

/* Without a thread: until there is nothing to do. */
static inline void rig_run(lcrt_rig *rig) {
    for (int32_t i = 0; rig_step(rig); i++) {
        REQUIRE(i < 1000000);
    }
}

/* With a thread: until n jobs in all have ended. */
static inline void rig_wait(lcrt_rig *rig, int32_t n_finished) {
    while (rig->n_finished < n_finished) {
        REQUIRE(lcrt_engine_wait(rig->engine, 20000000000));
        rig_read(rig);
    }
}

static inline lcrt_fake_stats rig_stats(const lcrt_rig *rig) {
    lcrt_fake_stats stats;
    lcrt_fake_stats_get(&rig->backend, &stats);
    return stats;
}

static inline void rig_end(lcrt_rig *rig) {
    CHECK_INT(rig_stats(rig).n_faults, 0);
    lcrt_engine_free(rig->engine);
    rig->engine = NULL;
}

static inline void rig_check(const lcrt_rig *rig, uint64_t id, const char *text, lcrt_finish finish) {
    const rig_job *job = &rig->jobs[id];
    CHECK_TEXT(job->text, job->text_len, text);
    CHECK_INT(job->finish, finish);
    CHECK_INT(job->n_finish, 1);
}

/* Random answers that never end by themselves and depend on all that came before. */
static inline lcrt_rig *rig_new_hash(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.mode = LCRT_FAKE_HASH;
    rig->fake.eog_bias = -100;
    return rig;
}

/* Compares a job with what the model says about its prompt in n_ctx positions. */
static inline void rig_check_model(const lcrt_rig *rig, lcrt_job *job, const char *prompt, int32_t n_ctx) {
    static model_answer answer;
    int32_t tokens[RIG_TOKENS];
    job->tokens = tokens;
    job->n_tokens = rig_tokens(prompt, tokens);
    model_run(&rig->fake, job, n_ctx, &answer);
    const rig_job *got = &rig->jobs[job->id];
    CHECK_INT(got->n_tokens, answer.n_tokens);
    CHECK(memcmp(got->tokens, answer.tokens, (size_t)answer.n_tokens * sizeof(int32_t)) == 0);
    CHECK(got->text_len == answer.text_len && memcmp(got->text, answer.text, (size_t)answer.text_len) == 0);
    CHECK_INT(got->finish, answer.finish);
    CHECK_INT(got->usage.n_shifts, answer.n_shifts);
}

/* Submits and runs to the end. */
static inline void rig_run_job(lcrt_rig *rig, lcrt_job *job, const char *prompt) {
    REQUIRE(rig_submit_job(rig, job, prompt) == LCRT_OK);
    rig_run(rig);
}

/* An open rig: an answer that fills its context several times is that of the model, though much of it was guessed. */
static inline void rig_check_shifted_guesses(lcrt_rig *rig) {
    lcrt_job job = rig_job_default(1);
    job.n_ctx = 64;
    job.n_keep = 3;
    job.max_tokens = 300;
    rig_run_job(rig, &job, "hello");
    rig_check_model(rig, &job, "hello", 64);
    CHECK(rig->jobs[1].usage.n_shifts > 3 && rig->jobs[1].usage.n_accepted > 50);
}

#endif
