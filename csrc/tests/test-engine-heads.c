/* Layers of the model itself that guess: the same answers, sooner, and no later when they guess badly. */
#include "rig.h"

#define MS 1000000

/* The answers depend on all that came before, so that the history is of no use. */
static lcrt_rig *rig_heads(int32_t n_draft, int32_t n_wrong) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.step_ns = 10 * MS;
    rig->fake.row_ns = MS / 10;
    rig->fake.n_outputs = 64;
    rig->fake.can_guess = true;
    rig->fake.n_wrong = n_wrong;
    rig->fake.guess_ns = MS / 2;
    rig->params.n_draft = n_draft;
    return rig;
}

/* One answer of 300 tokens; what it used. */
static lcrt_usage answer(lcrt_rig *rig, int64_t *n_decodes) {
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 300;
    rig_run_job(rig, &job, "hello");
    rig_check_model(rig, &job, "hello", 4096);
    lcrt_usage usage = rig->jobs[1].usage;
    *n_decodes = rig_stats(rig).n_decodes;
    rig_end(rig);
    return usage;
}

static void those_that_know_the_answer_have_all_their_guesses_taken(void) {
    int64_t n_without, n_with;
    lcrt_rig *rig = rig_heads(8, 0);
    rig->fake.can_guess = false;
    lcrt_usage without = answer(rig, &n_without);
    lcrt_usage with = answer(rig_heads(8, 0), &n_with);
    CHECK_INT(without.n_drafted, 0);
    CHECK_INT(with.n_accepted, with.n_drafted);
    CHECK(with.n_drafted > 200 && 4 * n_with < n_without);
}

static void those_that_are_often_right_are_asked_for_fewer_tokens(void) {
    int64_t n_decodes;
    lcrt_usage usage = answer(rig_heads(16, 4), &n_decodes);
    CHECK(usage.n_accepted > 150 && n_decodes < 160);
    CHECK(usage.n_drafted < 5 * n_decodes);
}

static void those_that_know_nothing_are_asked_no_more(void) {
    lcrt_rig *rig = rig_heads(8, 1);
    rig->fake.row_ns = 2 * MS;
    rig_open(rig);
    for (uint64_t id = 1; id <= 10; id++) {
        const char prompt[] = {(char)('a' + id), '\0'}; /* nothing comes twice */
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 200;
        rig_run_job(rig, &job, prompt);
        rig_check_model(rig, &job, prompt, 4096);
    }
    CHECK(rig->jobs[1].usage.n_drafted > 0);
    CHECK(rig->jobs[10].usage.n_drafted <= 3);
    rig_end(rig);
}

/* Turns of several conversations on few slots: whatever they held before. */
static void they_follow_whatever_the_slots_hold(void) {
    for (int32_t split = 0; split < 2; split++) {
        lcrt_rig *rig = rig_heads(-6, 0);
        rig->params.n_slots = 2;
        rig->fake.unified = split == 0;
        rig->fake.consecutive = split == 1;
        rig->fake.n_ctx_seq = split == 1 ? 512 : rig->fake.n_ctx_seq;
        rig_open(rig);
        static const char *const prompts[] = {"hello", "helloworld", "world", "hello again and again", "w", "hell"};
        for (uint64_t id = 1; id <= 30; id++) {
            lcrt_job job = rig_job_default(id);
            job.max_tokens = 30 + (int32_t)id;
            REQUIRE(rig_submit_job(rig, &job, prompts[id % 6]) == LCRT_OK);
            if (id % 3 == 0) {
                rig_run(rig);
            }
        }
        int32_t n_accepted = 0, n_drafted = 0;
        for (uint64_t id = 1; id <= 30; id++) {
            lcrt_job job = rig_job_default(id);
            job.max_tokens = 30 + (int32_t)id;
            rig_check_model(rig, &job, prompts[id % 6], split == 1 ? 512 : 4096);
            n_accepted += rig->jobs[id].usage.n_accepted;
            n_drafted += rig->jobs[id].usage.n_drafted;
        }
        /* What they are asked for is right; the history is wrong now and then. */
        CHECK(n_accepted > 300 && 10 * n_accepted > 9 * n_drafted);
        rig_end(rig);
    }
}

/* The second of four ends early, and the others close the gap. */
static void they_guess_for_the_sequence_that_a_slot_has_now(void) {
    lcrt_rig *rig = rig_heads(-6, 0);
    rig->fake.unified = false;
    rig->fake.consecutive = true;
    rig->fake.n_ctx_seq = 512;
    rig_open(rig);
    static const char *const prompts[] = {"", "hello", "world", "again", "never"};
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = id == 2 ? 10 : 300;
        REQUIRE(rig_submit_job(rig, &job, prompts[id]) == LCRT_OK);
    }
    rig_run(rig);
    CHECK(rig_stats(rig).n_moved > 0);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = id == 2 ? 10 : 300;
        rig_check_model(rig, &job, prompts[id], 512);
        const lcrt_usage *usage = &rig->jobs[id].usage;
        CHECK_INT(usage->n_accepted, usage->n_drafted);
        CHECK(id == 2 || usage->n_accepted > 200);
    }
    rig_end(rig);
}

static void a_full_context_is_shifted_as_without(void) {
    lcrt_rig *rig = rig_heads(-8, 3);
    rig_open(rig);
    rig_check_shifted_guesses(rig);
    rig_end(rig);
}

/* A memory that goes back over the newest pass only. */
static void where_little_can_be_undone_little_is_guessed(void) {
    lcrt_rig *rig = rig_heads(-8, 3);
    rig->fake.can_trim = rig->fake.can_shift = false;
    rig->fake.n_back = rig->fake.n_undo = 3;
    rig_open(rig);
    for (uint64_t id = 1; id <= 6; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 100;
        rig_run_job(rig, &job, "helloworld");
        rig_check_model(rig, &job, "helloworld", 4096);
        CHECK(rig->jobs[id].usage.n_accepted > 30);
    }
    CHECK(rig->jobs[1].usage.n_drafted > rig->jobs[1].usage.n_accepted);
    CHECK(rig_stats(rig).n_decodes > 6 * 100 / 4);
    rig_end(rig);
}

static void when_they_fail_the_engine_goes_on_without(void) {
    lcrt_rig *rig = rig_heads(-8, 0);
    rig->fake.guess_fail_at = 3;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 100;
    rig_run_job(rig, &job, "hello");
    rig_check_model(rig, &job, "hello", 4096);
    CHECK(rig->jobs[1].usage.n_accepted > 0 && rig->jobs[1].usage.n_accepted < 20);
    CHECK(rig->engine->drafter.vtable == NULL);
    rig_end(rig);
}

static void nobody_asks_them_where_nothing_may_be_guessed(void) {
    int64_t n_decodes;
    lcrt_usage usage = answer(rig_heads(0, 0), &n_decodes);
    CHECK_INT(usage.n_drafted, 0);
    CHECK(n_decodes >= 300);
}

int main(void) {
    those_that_know_the_answer_have_all_their_guesses_taken();
    those_that_are_often_right_are_asked_for_fewer_tokens();
    those_that_know_nothing_are_asked_no_more();
    they_follow_whatever_the_slots_hold();
    they_guess_for_the_sequence_that_a_slot_has_now();
    a_full_context_is_shifted_as_without();
    where_little_can_be_undone_little_is_guessed();
    when_they_fail_the_engine_goes_on_without();
    nobody_asks_them_where_nothing_may_be_guessed();
    return test_end();
}
