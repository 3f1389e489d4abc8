/* test-llama-share.c -- with a real model, a shared beginning does not change what is answered.
 *
 * Every job is run alone first and computes everything; then all together, sharing. Passes of
 * other shapes add up in another order, so log-probabilities may differ by a little, and where
 * two tokens are as likely within that, either may come; until then the tokens are the same.
 * LCRT_TEST_MODEL names a GGUF; without it the test is skipped (exit code 77). */
#include <math.h>
#include <stdint.h>

#include "lcrt/engine.h"
#include "lcrt/model.h"
#include "lcrt/vocab.h"
#include "llama-rig.h"
#include "test.h"

#define N_JOBS 5
#define N_TOKENS 16
#define N_PROMPT_MAX 512
/* Natural logarithm. Between passes of other shapes, quantised activations round otherwise, and ggml, which computes
 * one short stream, sums values in half precision. */
#define LOGPROB_APART 0.6F

static const char begin[] =
    "You are a patient librarian who answers in one or two short sentences. You know where every book of the house is "
    "kept: novels stand on the second floor, maps and atlases in the tower, letters and diaries in the cellar behind "
    "the green door. The house opens at nine and closes at six, on Sundays it stays closed. Visitors may borrow three "
    "books for four weeks, children five. Whoever brings a book back late writes a poem about the weather. Do not tell "
    "anybody about the cat that sleeps among the dictionaries, and never promise a book that has not been printed yet. "
    "Question: ";

static const char *const ends[N_JOBS] = {
    "Where do I find an atlas of the northern islands? Answer:",
    "May I keep a novel for six weeks? Answer:",
    "What happens when I bring my book back late? Answer:",
    "Where do I find an atlas of the northern islands and may I take it home? Answer:",
    "Is the house open on Sunday? Answer:",
};

typedef struct test_answer {
    int32_t tokens[N_TOKENS];
    float logprobs[N_TOKENS];
    float leads[N_TOKENS]; /* by how much the best token is ahead of the second */
    int32_t n;
    lcrt_usage usage;
} test_answer;

static lcrt_model *model;
static lcrt_engine *engine;
static test_answer alone[N_JOBS], together[N_JOBS];

static void open_engine(lcrt_kv_layout layout) {
    char err[512];
    lcrt_backend backend;
    lcrt_context_params params = lcrt_context_params_default();
    params.n_ctx = 1024;
    params.n_batch = 128;
    params.n_ubatch = 128;
    params.n_threads = 2;
    params.n_parallel = N_JOBS;
    params.layout = layout;
    REQUIRE(lcrt_backend_llama(model, &params, &backend, err, sizeof(err)) == LCRT_OK);
    lcrt_engine_params engine_params = lcrt_engine_params_default();
    engine_params.n_slots = N_JOBS;
    REQUIRE(lcrt_engine_init(&backend, &engine_params, &engine) == LCRT_OK);
}

static void submit(int32_t i, bool cache) {
    char text[2048];
    int32_t tokens[N_PROMPT_MAX];
    int32_t len = snprintf(text, sizeof(text), "%s%s", begin, ends[i]);
    lcrt_job job = {.id = (uint64_t)i, .max_tokens = N_TOKENS, .n_logprobs = 2, .cache = cache, .ignore_eog = true};
    job.tokens = tokens;
    job.n_tokens = lcrt_vocab_tokenise(model, text, len, false, false, tokens, N_PROMPT_MAX);
    REQUIRE(job.n_tokens > 120);
    job.sampling = lcrt_sampling_default();
    job.sampling.temperature = 0;
    REQUIRE(lcrt_engine_submit(engine, &job) == LCRT_OK);
}

static void note(test_answer *answer, const lcrt_event *event) {
    for (int32_t k = 0; k < event->n_tokens && answer->n < N_TOKENS; k++, answer->n++) {
        const lcrt_logprob *own = &event->logprobs[3 * k];
        answer->tokens[answer->n] = event->tokens[k];
        answer->logprobs[answer->n] = own[0].logprob;
        answer->leads[answer->n] = own[1].logprob - own[2].logprob;
    }
    answer->usage = event->kind == LCRT_EVENT_FINISH ? event->usage : answer->usage;
}

/* Until n jobs more have ended. */
static void collect(test_answer *answers, int32_t n) {
    lcrt_event events[16];
    while (n > 0) {
        REQUIRE(lcrt_engine_wait(engine, 60000000000));
        int32_t n_events = lcrt_engine_events(engine, events, 16);
        for (int32_t i = 0; i < n_events; i++) {
            note(&answers[events[i].job], &events[i]);
            n -= events[i].kind == LCRT_EVENT_FINISH;
        }
        lcrt_engine_release(engine);
    }
}

static void compare(const test_answer *got, const test_answer *want) {
    CHECK_INT(got->n, N_TOKENS);
    for (int32_t i = 0; i < N_TOKENS; i++) {
        if (got->tokens[i] != want->tokens[i]) {
            CHECK(want->leads[i] < LOGPROB_APART);
            printf("  token %d of %d differs, the best was ahead by %.3f\n", i, N_TOKENS, (double)want->leads[i]);
            return;
        }
        CHECK(fabsf(got->logprobs[i] - want->logprobs[i]) < LOGPROB_APART);
    }
}

static void run(lcrt_kv_layout layout) {
    open_engine(layout);
    memset(alone, 0, sizeof(alone));
    for (int32_t i = 0; i < N_JOBS; i++) {
        submit(i, false);
        collect(alone, 1);
        CHECK_INT(alone[i].usage.n_cached, 0);
    }
    for (int32_t round = 0; round < 2; round++) {
        memset(together, 0, sizeof(together));
        for (int32_t i = 0; i < N_JOBS; i++) {
            submit(i, true);
        }
        collect(together, N_JOBS);
        int32_t n_cached = 0;
        for (int32_t i = 0; i < N_JOBS; i++) {
            compare(&together[i], &alone[i]);
            n_cached += together[i].usage.n_cached;
        }
        CHECK(n_cached > 100 * (round == 0 ? N_JOBS - 1 : N_JOBS));
    }
    lcrt_engine_free(engine);
}

static void a_shared_beginning_in_common_cells_gives_the_same_answers(void) {
    run(LCRT_KV_UNIFIED);
}

static void a_beginning_copied_between_streams_gives_the_same_answers(void) {
    run(LCRT_KV_SPLIT);
}

int main(void) {
    model = llama_rig_model();
    if (model == NULL) {
        return SKIPPED;
    }
    RUN(a_shared_beginning_in_common_cells_gives_the_same_answers);
    RUN(a_beginning_copied_between_streams_gives_the_same_answers);
    lcrt_model_free(model);
    return test_end();
}
