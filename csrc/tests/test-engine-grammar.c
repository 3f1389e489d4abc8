/* What a grammar does to a job: masks, forced tokens, the end, and who frees
 * it. */
#include "rig.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "lcrt/logits.h"

#define BIT(token) ((uint64_t)1 << (token))
#define LETTERS (((BIT(26) - 1)) << LCRT_FAKE_A)

static lcrt_fake_grammar_stats grammar_stats;

static uint64_t letter(char c) {
    return BIT(LCRT_FAKE_A + c - 'a');
}

/* Places from a pattern: a letter stands for itself, '.' for any, '?' for x, y
 * or z. */
static lcrt_fake_grammar_params grammar_of(const char *pattern, uint64_t *places) {
    memset(&grammar_stats, 0, sizeof(grammar_stats));
    int32_t n = 0;
    for (; pattern[n] != '\0'; n++) {
        uint64_t some = letter('x') | letter('y') | letter('z');
        places[n] = pattern[n] == '.' ? LETTERS : pattern[n] == '?' ? some : letter(pattern[n]);
    }
    return (lcrt_fake_grammar_params){.places = places, .n_places = n, .n_least = n, .stats = &grammar_stats};
}

static lcrt_job job_under(uint64_t id, const lcrt_fake_grammar_params *params) {
    lcrt_job job = rig_job_default(id);
    REQUIRE(lcrt_grammar_fake(params, &job.grammar) == LCRT_OK);
    return job;
}

/* One job on a fresh rig, to its end. */
static lcrt_rig *run_pattern(const char *pattern, const char *prompt, int32_t max_tokens) {
    uint64_t places[64];
    lcrt_fake_grammar_params params = grammar_of(pattern, places);
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = job_under(1, &params);
    job.max_tokens = max_tokens;
    rig_run_job(rig, &job, prompt);
    return rig;
}

static void only_what_the_mask_allows_comes_out(void) {
    lcrt_rig *rig = run_pattern("?.?", "a", -1);
    rig_check(rig, 1, "xyz", LCRT_FINISH_STOP); /* the model wants "b" first */
    CHECK_INT(grammar_stats.n_masks, 3);
    CHECK_INT(grammar_stats.n_faults, 0);
    rig_end(rig);
    CHECK_INT(grammar_stats.n_freed, 1);
}

static void a_complete_answer_ends_with_stop_and_no_token_more(void) {
    lcrt_rig *rig = run_pattern("..", "a", -1);
    rig_check(rig, 1, "bc", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].usage.n_generated, 2);
    CHECK_INT(rig->jobs[1].usage.n_sampled, 2);
    rig_end(rig);
}

static void the_limit_that_is_reached_with_the_last_letter_is_no_length(void) {
    lcrt_rig *rig = run_pattern("..", "a", 2);
    rig_check(rig, 1, "bc", LCRT_FINISH_STOP);
    rig_end(rig);
    rig = run_pattern("...", "a", 2);
    rig_check(rig, 1, "bc", LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void the_end_may_come_where_the_grammar_lets_it(void) {
    uint64_t places[8];
    lcrt_fake_grammar_params params = grammar_of("....", places);
    params.n_least = 2;
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = job_under(1, &params);
    job.ignore_eog = true;       /* the grammar says when it ends */
    rig_run_job(rig, &job, "x"); /* then y, z and the end */
    rig_check(rig, 1, "yz", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].usage.n_sampled, 3);
    rig_end(rig);
}

static void forced_letters_are_rows_of_one_pass(void) {
    lcrt_rig *rig = run_pattern(".hello.", "a", -1);
    rig_check(rig, 1, "bhellop", LCRT_FINISH_STOP);
    CHECK_INT(rig_stats(rig).n_decodes, 2); /* the prompt; then "bhello" */
    CHECK_INT(grammar_stats.n_masks, 2);
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK_INT(stats.n_forced, 5);
    CHECK_INT(stats.n_masks, 2);
    CHECK_INT(stats.n_prefill_rows, 1);
    CHECK_INT(rig->jobs[1].usage.n_generated, 7);
    rig_end(rig);
}

static void an_answer_may_begin_with_what_is_forced(void) {
    lcrt_rig *rig = run_pattern("mmm.", "a", -1);
    rig_check(rig, 1, "mmmn", LCRT_FINISH_STOP);
    CHECK_INT(rig_stats(rig).n_decodes, 2);
    CHECK_INT(grammar_stats.n_masks, 1);
    rig_end(rig);
    rig = run_pattern("mmm", "a", -1);
    rig_check(rig, 1, "mmm", LCRT_FINISH_STOP);
    CHECK_INT(rig_stats(rig).n_decodes, 1);
    rig_end(rig);
}

static void limits_and_stops_hold_for_forced_letters(void) {
    lcrt_rig *rig = run_pattern(".hello.", "a", 4);
    rig_check(rig, 1, "bhel", LCRT_FINISH_LENGTH);
    rig_end(rig);
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of(".hello.", places);
    rig = rig_new();
    rig_open(rig);
    lcrt_job job = job_under(1, &params);
    const char *stops[] = {"ll"};
    job.stops = stops;
    job.n_stops = 1;
    rig_run_job(rig, &job, "a");
    rig_check(rig, 1, "bhe", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].usage.n_generated, 5);
    rig_end(rig);
}

static void log_probabilities_are_those_of_the_model_and_nothing_is_forced(void) {
    uint64_t places[8];
    lcrt_fake_grammar_params params = grammar_of("xx", places);
    lcrt_rig *rig = rig_new_hash();
    rig_open(rig);
    lcrt_job job = job_under(1, &params);
    job.n_logprobs = 1;
    rig_run_job(rig, &job, "a");
    rig_check(rig, 1, "xx", LCRT_FINISH_STOP);
    CHECK_INT(grammar_stats.n_masks, 2);
    const int32_t held[] = {LCRT_FAKE_A, LCRT_FAKE_A + 'x' - 'a'};
    float logits[LCRT_FAKE_N_VOCAB];
    for (int32_t i = 0; i < 2; i++) {
        lcrt_fake_logits(&rig->fake, 0, held, i + 1, logits);
        float want = lcrt_logits_logprob(logits, LCRT_FAKE_N_VOCAB, held[1]);
        CHECK(rig->jobs[1].logprobs[2 * i].token == held[1] && rig->jobs[1].logprobs[2 * i].logprob == want);
        CHECK_INT(rig->jobs[1].logprobs[2 * i + 1].token, lcrt_logits_argmax(logits, LCRT_FAKE_N_VOCAB));
    }
    rig_end(rig);
}

static void a_grammar_that_cannot_go_on_ends_its_job_alone(void) {
    uint64_t places[8];
    lcrt_fake_grammar_params params = grammar_of("....", places);
    params.fail_at = 3;
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = job_under(1, &params);
    REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    rig_submit(rig, 2, "a", 5);
    rig_run(rig);
    rig_check(rig, 1, "bc", LCRT_FINISH_ERROR);
    CHECK_INT(rig->jobs[1].status, LCRT_ERR_GRAMMAR);
    rig_check(rig, 2, "bcdef", LCRT_FINISH_LENGTH);
    rig_end(rig);
    CHECK_INT(grammar_stats.n_freed, 1);
}

static void a_job_that_is_refused_leaves_the_grammar_to_its_caller(void) {
    uint64_t places[8];
    lcrt_fake_grammar_params params = grammar_of("....", places);
    lcrt_rig *rig = rig_new();
    rig->params.max_queue = 1;
    rig_open(rig);
    lcrt_job job = job_under(2, &params);
    job.n_logprobs = 1000;
    CHECK_INT(rig_submit_job(rig, &job, "a"), LCRT_ERR_INVALID);
    job.n_logprobs = -1;
    rig_submit(rig, 1, "a", 5);
    CHECK_INT(rig_submit_job(rig, &job, "a"), LCRT_ERR_FULL);
    CHECK_INT(grammar_stats.n_freed, 0);
    job.grammar.vtable->free(job.grammar.self);
    rig_run(rig);
    rig_end(rig);
}

static void grammars_of_jobs_that_never_ran_are_freed(void) {
    uint64_t places[8];
    lcrt_fake_grammar_params params = grammar_of("....", places);
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    for (uint64_t id = 1; id <= 3; id++) {
        lcrt_job job = job_under(id, &params);
        job.max_tokens = id == 1 ? 0 : -1;
        REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    }
    lcrt_engine_cancel(rig->engine, 2);
    rig_step(rig);
    rig_end(rig);
    CHECK_INT(grammar_stats.n_freed, 3);
}

/* Streams whose passes want as many rows each take forced letters in step. */
static void streams_with_forced_letters_do_not_take_turns(void) {
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of(".hello.hello.", places);
    lcrt_rig *rig = rig_new();
    rig->fake.consecutive = true;
    rig->fake.unified = false;
    rig_open(rig);
    for (uint64_t id = 1; id <= 3; id++) {
        lcrt_job job = job_under(id, &params);
        REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    }
    rig_submit(rig, 4, "a", 13);
    rig_run(rig);
    for (uint64_t id = 1; id <= 3; id++) {
        rig_check(rig, id, "bhellophellop", LCRT_FINISH_STOP);
    }
    rig_check(rig, 4, "bcdefghijklmn", LCRT_FINISH_LENGTH);
    CHECK(rig_stats(rig).n_decodes <= 14);
    rig_end(rig);
    CHECK_INT(grammar_stats.n_freed, 3);
}

/* The pass that is under way lets the mask be computed and waits for it: were
 * the mask computed after the pass, this would never end. */
static atomic_int n_masks_done;
static atomic_int n_passes;

static void on_mask(void *data) {
    (void)data;
    atomic_fetch_add(&n_masks_done, 1);
}

static void on_decode_wait(void *data, const lcrt_row *rows, int32_t n_rows) {
    (void)data;
    (void)rows;
    (void)n_rows;
    int n = atomic_fetch_add(&n_passes, 1) + 1;
    while (atomic_load(&n_masks_done) < n) {
        sched_yield();
    }
}

static void the_mask_is_computed_while_the_model_computes(void) {
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of("........", places);
    params.on_mask = on_mask;
    atomic_store(&n_masks_done, 0);
    atomic_store(&n_passes, 0);
    lcrt_rig *rig = rig_new();
    rig->fake.on_decode = on_decode_wait;
    rig_start(rig);
    lcrt_job job = job_under(1, &params);
    REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    rig_wait(rig, 1);
    rig_check(rig, 1, "bcdefghi", LCRT_FINISH_STOP);
    CHECK_INT(atomic_load(&n_passes), 8);
    rig_end(rig);
}

/* The same with what is forced, where streams get one row each: here it is the engine's own thread that steps. */
static pthread_t stepper;
static atomic_int n_looks, n_between;

static void on_forced(void *data) {
    (void)data;
    atomic_fetch_add(&n_between, pthread_equal(pthread_self(), stepper) != 0);
    atomic_fetch_add(&n_looks, 1);
}

static void on_decode_look(void *data, const lcrt_row *rows, int32_t n_rows) {
    (void)data;
    (void)rows;
    int n = atomic_fetch_add(&n_passes, n_rows) + n_rows;
    while (atomic_load(&n_looks) < n) {
        sched_yield();
    }
}

static void what_is_forced_is_found_while_the_model_computes(void) {
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of("........", places);
    params.on_forced = on_forced;
    atomic_store(&n_looks, 0);
    atomic_store(&n_between, 0);
    atomic_store(&n_passes, 0);
    stepper = pthread_self();
    lcrt_rig *rig = rig_new();
    rig->fake.consecutive = true;
    rig->fake.unified = false;
    rig->fake.on_decode = on_decode_look;
    rig_open(rig);
    for (uint64_t id = 1; id <= 2; id++) {
        lcrt_job job = job_under(id, &params);
        REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    }
    rig_run(rig);
    CHECK_INT(atomic_load(&n_looks), 16);
    CHECK_INT(atomic_load(&n_between), 0);
    rig_check(rig, 1, "bcdefghi", LCRT_FINISH_STOP);
    rig_check(rig, 2, "bcdefghi", LCRT_FINISH_STOP);
    rig_end(rig);
}

/* Each mask waits for one of another row, but not for ever: were they computed one after the
 * other, none would meet one. */
static atomic_int n_now, n_most;

static void on_mask_meet(void *data) {
    (void)data;
    int n = atomic_fetch_add(&n_now, 1) + 1;
    for (int i = 0; i < 200 && atomic_load(&n_most) < 2; i++) {
        if (n > 1 || atomic_load(&n_now) > 1) {
            atomic_store(&n_most, 2);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    atomic_fetch_sub(&n_now, 1);
}

static void masks_of_several_rows_are_computed_at_the_same_time(void) {
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of("........", places);
    params.on_mask = on_mask_meet;
    atomic_store(&n_now, 0);
    atomic_store(&n_most, 0);
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    for (uint64_t id = 1; id <= 2; id++) {
        lcrt_job job = job_under(id, &params);
        REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    }
    rig_run(rig);
    CHECK_INT(atomic_load(&n_most), 2);
    rig_check(rig, 1, "bcdefghi", LCRT_FINISH_STOP);
    rig_check(rig, 2, "bcdefghi", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_preempted_job_goes_on_where_its_grammar_was(void) {
    uint64_t places[16];
    lcrt_fake_grammar_params params = grammar_of("?......?", places);
    lcrt_rig *rig = rig_new();
    rig->fake.full_at = 4;
    rig->fake.n_full = 1;
    rig_open(rig);
    for (uint64_t id = 1; id <= 2; id++) {
        lcrt_job job = job_under(id, &params);
        REQUIRE(rig_submit_job(rig, &job, "a") == LCRT_OK);
    }
    rig_run(rig);
    rig_check(rig, 1, "xyzabcdx", LCRT_FINISH_STOP);
    rig_check(rig, 2, "xyzabcdx", LCRT_FINISH_STOP);
    CHECK_INT(grammar_stats.n_faults, 0);
    rig_end(rig);
}

int main(void) {
    RUN(only_what_the_mask_allows_comes_out);
    RUN(a_complete_answer_ends_with_stop_and_no_token_more);
    RUN(the_limit_that_is_reached_with_the_last_letter_is_no_length);
    RUN(the_end_may_come_where_the_grammar_lets_it);
    RUN(forced_letters_are_rows_of_one_pass);
    RUN(an_answer_may_begin_with_what_is_forced);
    RUN(limits_and_stops_hold_for_forced_letters);
    RUN(log_probabilities_are_those_of_the_model_and_nothing_is_forced);
    RUN(a_grammar_that_cannot_go_on_ends_its_job_alone);
    RUN(a_job_that_is_refused_leaves_the_grammar_to_its_caller);
    RUN(grammars_of_jobs_that_never_ran_are_freed);
    RUN(streams_with_forced_letters_do_not_take_turns);
    RUN(the_mask_is_computed_while_the_model_computes);
    RUN(what_is_forced_is_found_while_the_model_computes);
    RUN(masks_of_several_rows_are_computed_at_the_same_time);
    RUN(a_preempted_job_goes_on_where_its_grammar_was);
    return test_end();
}
