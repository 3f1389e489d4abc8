/* Random jobs, cancels, readers and backends against the simple model.
 *
 * test-engine-random [SEED [ROUNDS]]: every round has its own seed, which is printed when
 * something is wrong, so that it can be repeated alone. */
#include "drafter-rig.h"

#define N_JOBS 40
#define PROMPT_MAX 120
#define PLACES_MAX 100

typedef struct test_plan {
    lcrt_job job;
    int32_t tokens[PROMPT_MAX];
    const char *stops[2];
    int32_t n_ctx; /* as the engine limits it */
    bool guided;
    lcrt_fake_grammar_params grammar;
    uint64_t places[PLACES_MAX];
    lcrt_fake_grammar_stats stats;
} test_plan;

static test_plan plans[N_JOBS];
static uint64_t seed;
static int64_t n_drafted, n_accepted; /* over all rounds */

static bool chance(int32_t percent) {
    return test_between(&seed, 1, 100) <= percent;
}

static void plan_backend(lcrt_rig *rig) {
    lcrt_fake_params *fake = &rig->fake;
    fake->mode = LCRT_FAKE_HASH;
    fake->seed = test_random(&seed);
    fake->eog_bias = (float)test_between(&seed, -4, 2);
    fake->n_window = chance(50) ? test_between(&seed, 1, 4) : 0; /* so that guesses are right now and then */
    fake->unified = chance(60);
    fake->consecutive = !fake->unified || chance(10);
    fake->can_trim = chance(80);
    fake->can_shift = chance(80);
    fake->n_back = chance(50) ? test_between(&seed, 0, 20) : 0;
    fake->n_seq_max = test_between(&seed, 1, 12);
    fake->n_ctx_seq = test_between(&seed, 40, 200);
    fake->n_ctx = fake->unified ? fake->n_ctx_seq + test_between(&seed, 0, 300) : fake->n_ctx_seq * fake->n_seq_max;
    fake->n_batch = test_between(&seed, 12, 100);
    fake->n_outputs = fake->n_seq_max + test_between(&seed, 0, 60);
    fake->n_chunk = chance(30) ? test_between(&seed, 1, 64) : 0;
    fake->step_ns = 1000000 * test_between(&seed, 0, 20);
    fake->row_ns = 100000 * test_between(&seed, 0, 20);
    fake->copy_ns = chance(50) ? 10000 * test_between(&seed, 0, 100) : 0;
    fake->n_sets = chance(40) ? (uint64_t)test_between(&seed, 1, 3) : 0;
    fake->adapt_ns = 1000000 * test_between(&seed, 0, 20);
    fake->fail_at = chance(20) ? test_between(&seed, 1, 400) : 0;
}

static void plan_engine(lcrt_rig *rig) {
    rig->params.n_slots = test_between(&seed, 1, rig->fake.n_seq_max);
    rig->params.n_chunk = chance(30) ? test_between(&seed, 1, 40) : 0;
    rig->params.n_chunk_min = test_between(&seed, 1, 20);
    rig->params.events_len = chance(40) ? 4096 : 1 << 20;
    rig->params.n_sampler_threads = test_between(&seed, 1, 3);
    rig->params.n_draft = chance(70) ? test_between(&seed, 1, LCRT_DRAFT_MAX) : 0;
    rig->params.n_draft = chance(30) ? -rig->params.n_draft : rig->params.n_draft; /* always */
    rig->params.cache.ram_len = chance(50) ? 1 << test_between(&seed, 10, 18) : 0;
}

/* A smaller model that is always right, or nearly never. It has room for less, at times, and fails now and then. */
static void plan_drafter(lcrt_rig *rig) {
    drafter = (lcrt_backend){.self = NULL};
    if (!rig->fake.can_trim || chance(50)) {
        return;
    }
    drafter_params = rig->fake;
    drafter_params.seed += chance(30);
    drafter_params.unified = chance(80);
    drafter_params.consecutive = false;
    drafter_params.n_ctx_seq = test_between(&seed, 20, rig->fake.n_ctx_seq);
    drafter_params.n_ctx = drafter_params.n_ctx_seq * (drafter_params.unified ? 1 : drafter_params.n_seq_max);
    drafter_params.n_sets = 0;
    drafter_params.step_ns /= test_between(&seed, 1, 20);
    drafter_params.row_ns /= test_between(&seed, 1, 20);
    drafter_params.fail_at = chance(10) ? test_between(&seed, 1, 400) : 0;
    REQUIRE(lcrt_backend_fake(&drafter_params, &drafter) == LCRT_OK);
    rig->params.drafter = &drafter;
}

/* Some prompts go on like an earlier one, or like it and its answer's first tokens might. */
static void plan_prompt(test_plan *plan, int32_t i) {
    lcrt_job *job = &plan->job;
    int32_t n_max = plan->n_ctx - 1 < PROMPT_MAX ? plan->n_ctx - 1 : PROMPT_MAX;
    job->n_tokens = test_between(&seed, 1, n_max);
    for (int32_t k = 0; k < job->n_tokens; k++) {
        plan->tokens[k] = test_between(&seed, 1, LCRT_FAKE_N_VOCAB - 1);
    }
    if (i > 0 && chance(60)) {
        const test_plan *earlier = &plans[test_between(&seed, 0, i - 1)];
        int32_t n = earlier->job.n_tokens < job->n_tokens ? earlier->job.n_tokens : job->n_tokens;
        memcpy(plan->tokens, earlier->tokens, (size_t)test_between(&seed, 0, n) * sizeof(int32_t));
    }
    job->tokens = plan->tokens;
}

/* Some places leave no choice, mostly several in a row. */
static void plan_grammar(test_plan *plan) {
    bool forced = false;
    lcrt_fake_grammar_params *params = &plan->grammar;
    memset(&plan->stats, 0, sizeof(plan->stats));
    *params = (lcrt_fake_grammar_params){.places = plan->places, .stats = &plan->stats, .free = chance(20)};
    params->n_places = test_between(&seed, 1, PLACES_MAX);
    params->n_least = test_between(&seed, 0, params->n_places);
    for (int32_t i = 0; i < params->n_places; i++) {
        forced = chance(forced ? 80 : 20);
        plan->places[i] = (uint64_t)1 << test_between(&seed, 1, LCRT_FAKE_N_VOCAB - 1);
        plan->places[i] |= forced ? 0 : test_random(&seed) & test_random(&seed);
    }
    REQUIRE(lcrt_grammar_fake(params, &plan->job.grammar) == LCRT_OK);
}

static void plan_job(const lcrt_rig *rig, int32_t i) {
    static const char *const stops[] = {"STOP", "a", "zq", "\xC3\xA9", "OPST", " w5"};
    test_plan *plan = &plans[i];
    plan->job = rig_job_default((uint64_t)i);
    lcrt_job *job = &plan->job;
    job->n_ctx = chance(50) ? test_between(&seed, 2, 100) : 0;
    plan->n_ctx = job->n_ctx > 0 && job->n_ctx < rig->fake.n_ctx_seq ? job->n_ctx : rig->fake.n_ctx_seq;
    plan_prompt(plan, i);
    job->max_tokens = test_between(&seed, 0, 150);
    job->n_keep = test_between(&seed, -1, 30);
    job->shift = chance(60);
    job->cache = chance(90);
    job->set = (uint64_t)test_between(&seed, 0, (int32_t)rig->fake.n_sets);
    job->special = chance(30);
    job->ignore_eog = chance(20);
    job->n_logprobs = chance(30) ? test_between(&seed, 0, LCRT_TOP_MAX) : -1;
    job->n_stops = chance(30) ? test_between(&seed, 1, 2) : 0;
    for (int32_t k = 0; k < job->n_stops; k++) {
        plan->stops[k] = stops[test_between(&seed, 0, 5)];
    }
    job->stops = plan->stops;
    if (chance(50)) {
        job->sampling = lcrt_sampling_default();
        job->sampling.seed = test_random(&seed);
        job->sampling.repeat_penalty = chance(50) ? 1.2f : 1;
        job->sampling.repeat_last_n = test_between(&seed, 0, 64);
    }
    plan->guided = chance(30);
    if (plan->guided) {
        plan_grammar(plan);
    }
}

/* What an unfinished answer shows: the text of its tokens. */
static void check_part(const rig_job *got, const lcrt_job *job, const model_answer *whole) {
    static char raw[MODEL_TEXT], text[3 * MODEL_TEXT];
    int32_t raw_len = 0;
    CHECK(got->n_tokens <= whole->n_tokens);
    for (int32_t i = 0; i < got->n_tokens; i++) {
        raw_len += lcrt_fake_piece(got->tokens[i], job->special, raw + raw_len, 400);
    }
    int32_t text_len = lcrt_utf8_repair(raw, raw_len, text);
    CHECK(got->text_len == text_len && memcmp(got->text, text, (size_t)text_len) == 0);
}

static void check_logprobs(const rig_job *got, const lcrt_job *job) {
    CHECK_INT(got->n_logprobs, got->n_tokens * (job->n_logprobs + 1));
    for (int32_t i = 0; job->n_logprobs >= 0 && i < got->n_tokens && (i + 1) * (job->n_logprobs + 1) <= 256; i++) {
        CHECK_INT(got->logprobs[i * (job->n_logprobs + 1)].token, got->tokens[i]);
    }
}

static void check_job(const lcrt_rig *rig, int32_t i) {
    static model_answer whole;
    const lcrt_job *job = &plans[i].job;
    const rig_job *got = &rig->jobs[i];
    lcrt_fake_grammar_params quiet = plans[i].grammar; /* the model's own is not counted */
    quiet.stats = NULL;
    model_run_under(&rig->fake, job, plans[i].guided ? &quiet : NULL, plans[i].n_ctx, &whole);
    CHECK_INT(got->n_finish, 1);
    CHECK_INT(got->usage.n_prompt, job->n_tokens);
    CHECK(got->usage.n_cached < job->n_tokens);
    CHECK(memcmp(got->tokens, whole.tokens, (size_t)got->n_tokens * sizeof(int32_t)) == 0);
    check_logprobs(got, job);
    if (got->finish == LCRT_FINISH_CANCEL || got->finish == LCRT_FINISH_ERROR) {
        CHECK(got->finish == LCRT_FINISH_CANCEL || rig->fake.fail_at > 0);
        check_part(got, job, &whole);
        return;
    }
    CHECK_INT(got->n_start, job->max_tokens != 0);
    CHECK_INT(got->finish, whole.finish);
    CHECK_INT(got->n_tokens, whole.n_tokens);
    CHECK_INT(got->usage.n_shifts, whole.n_shifts);
    CHECK(got->usage.n_accepted <= got->usage.n_drafted && (got->usage.n_drafted == 0 || rig->params.n_draft != 0));
    CHECK(got->text_len == whole.text_len && memcmp(got->text, whole.text, (size_t)whole.text_len) == 0);
}

/* The engine counts cells as the backend does, shared ones once. */
static void check_cells(const lcrt_rig *rig) {
    CHECK_INT(rig->engine->slots.cells.n_used, rig_stats(rig).n_cells);
    for (int32_t i = 0; i < rig->engine->slots.n; i++) {
        CHECK_INT(rig->engine->slots.cells.held[i], lcrt_slots_held(&rig->engine->slots, i));
    }
}

/* Submits, steps, cancels and reads in random order until all have ended. A stepped engine
 * that has nothing to do must have been waiting for the reader. */
static void drive(lcrt_rig *rig, int32_t reads_percent) {
    int32_t n_submitted = 0, n_stuck = 0;
    while (rig->n_finished < N_JOBS) {
        if (n_submitted < N_JOBS && chance(30)) {
            REQUIRE(lcrt_engine_submit(rig->engine, &plans[n_submitted].job) == LCRT_OK);
            n_submitted++;
        }
        if (n_submitted > 0 && chance(3)) {
            lcrt_engine_cancel(rig->engine, (uint64_t)test_between(&seed, 0, n_submitted - 1));
        }
        bool worked = rig->engine->threaded || lcrt_engine_step(rig->engine);
        if (!rig->engine->threaded) {
            check_cells(rig);
        }
        bool read = chance(reads_percent) && rig_read(rig) > 0;
        n_stuck = worked || read || n_submitted < N_JOBS ? 0 : n_stuck + 1;
        REQUIRE(n_stuck < 1000);
    }
}

static void run_round(uint64_t round_seed, bool threaded) {
    seed = round_seed;
    lcrt_rig *rig = rig_new();
    plan_backend(rig);
    plan_engine(rig);
    plan_drafter(rig);
    for (int32_t i = 0; i < N_JOBS; i++) {
        plan_job(rig, i);
    }
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    if (rig->fake.unified && chance(50)) {
        rig->backend.info.n_ctx += test_between(&seed, 1, 100); /* it promises more than it has */
    }
    if (threaded) {
        REQUIRE(lcrt_engine_init(&rig->backend, &rig->params, &rig->engine) == LCRT_OK);
    } else {
        REQUIRE(lcrt_engine_open(&rig->backend, &rig->params, both_clocks, rig, &rig->engine) == LCRT_OK);
    }
    drive(rig, test_between(&seed, 5, 100));
    for (int32_t i = 0; i < N_JOBS; i++) {
        check_job(rig, i);
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    n_drafted += stats.n_drafted;
    n_accepted += stats.n_accepted;
    if (rig->params.drafter != NULL) {
        end_with_drafter(rig);
    } else {
        rig_end(rig);
    }
    for (int32_t i = 0; i < N_JOBS; i++) {
        CHECK(!plans[i].guided || (plans[i].stats.n_freed == 1 && plans[i].stats.n_faults == 0));
    }
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n_rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    printf("seeds %llu .. %llu, %d jobs each\n", (unsigned long long)first, (unsigned long long)(first + n_rounds - 1),
           N_JOBS);
    for (uint64_t i = first; i < first + n_rounds && test_n_failed == 0; i++) {
        test_n_run++;
        run_round(i, i % 4 == 0);
        if (test_n_failed > 0) {
            printf("FAILED with seed %llu\n", (unsigned long long)i);
        }
    }
    printf("%lld tokens drafted, %lld taken\n", (long long)n_drafted, (long long)n_accepted);
    CHECK(n_rounds < 60 || (n_accepted > 500 && n_drafted > n_accepted));
    return test_end();
}
