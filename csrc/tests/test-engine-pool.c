/* Cells that all sequences share: who waits, who gives way, who ends. */
#include "rig.h"

static void idle_slots_lose_their_cells_to_running_ones_oldest_first(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_ctx = 40;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 1;
    rig_run_job(rig, &job, "aaaaaaaaaa");
    job.id = 2;
    rig_run_job(rig, &job, "bbbbbbbbbb");
    job.id = 3;
    rig_run_job(rig, &job, "cccccccccccccccccccccccccc");
    CHECK_INT(rig->jobs[3].finish, LCRT_FINISH_LENGTH);
    job.id = 4;
    rig_run_job(rig, &job, "bbbbbbbbbb");
    CHECK_INT(rig->jobs[4].usage.n_cached, 9);
    rig_check_model(rig, &job, "bbbbbbbbbb", 40);
    rig_end(rig);
}

static void a_newcomer_waits_until_the_pool_has_room_for_it(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_ctx = 64;
    rig_open(rig);
    rig_submit_long(rig, 1, 30, 20);
    rig_step(rig);
    rig_submit(rig, 2, "zyxwvutsrqponmlkjihgfedcbazyxw", 2);
    rig_step(rig);
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK_INT(stats.n_running, 1);
    CHECK_INT(stats.n_waiting, 1);
    rig_run(rig);
    CHECK_INT(rig->n_finished, 2);
    CHECK_INT(rig->jobs[2].usage.n_generated, 2);
    rig_end(rig);
}

static void the_younger_of_two_growing_jobs_gives_way_and_comes_back_unharmed(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_ctx = 100;
    rig->fake.n_ctx_seq = 90;
    rig->params.n_slots = 2;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 75;
    REQUIRE(rig_submit_job(rig, &job, "hello") == LCRT_OK);
    job.id = 2;
    job.sampling.temperature = 1;
    REQUIRE(rig_submit_job(rig, &job, "world") == LCRT_OK);
    rig_run(rig);
    rig_check_model(rig, &job, "world", 90);
    job.id = 1;
    job.sampling.temperature = 0;
    rig_check_model(rig, &job, "hello", 90);
    CHECK_INT(rig->jobs[1].n_start, 1);
    CHECK_INT(rig->jobs[2].n_start, 1);
    CHECK(rig_stats(rig).n_rows > 2 * (5 + 74));
    rig_end(rig);
}

static void a_prompt_larger_than_the_pool_is_an_error_not_a_hang(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_ctx = 16;
    rig_open(rig);
    rig_submit_long(rig, 1, 20, 4);
    rig_submit_long(rig, 2, 10, 4);
    rig_run(rig);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_ERROR);
    CHECK_INT(rig->jobs[1].status, LCRT_ERR_FULL);
    CHECK_INT(rig->jobs[2].finish, LCRT_FINISH_LENGTH);
    CHECK_INT(rig->jobs[2].usage.n_generated, 4);
    rig_end(rig);
}

static void alone_in_a_full_pool_a_job_shifts_or_ends_with_length(void) {
    for (int32_t shift = 0; shift < 2; shift++) {
        lcrt_rig *rig = rig_new_hash();
        rig->fake.n_ctx = 16;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.shift = shift == 1;
        job.max_tokens = 50;
        rig_run_job(rig, &job, "hello");
        CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_LENGTH);
        CHECK_INT(rig->jobs[1].usage.n_generated, shift ? 50 : 12);
        CHECK((rig->jobs[1].usage.n_shifts > 0) == (shift == 1));
        rig_end(rig);
    }
}

/* Both answers are whole: a job that is not alone when there is no room gives way or waits. */
static void a_refusal_without_reason_costs_nothing_but_time(void) {
    for (int32_t full_at = 2; full_at < 8; full_at++) {
        lcrt_rig *rig = rig_new_hash();
        rig->fake.full_at = full_at;
        rig->fake.n_full = full_at % 2;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.max_tokens = 30;
        REQUIRE(rig_submit_job(rig, &job, "hello") == LCRT_OK);
        rig_step(rig);
        job.id = 2;
        REQUIRE(rig_submit_job(rig, &job, "wide world") == LCRT_OK);
        rig_run(rig);
        CHECK_INT(rig->n_finished, 2);
        rig_check_model(rig, &job, "wide world", 4096);
        job.id = 1;
        rig_check_model(rig, &job, "hello", 4096);
        rig_end(rig);
    }
}

/* Spaces are followed by spaces: a token of text in every step. */
static void submit_spaces(lcrt_rig *rig, uint64_t id, int32_t n_prompt, int32_t max_tokens) {
    char prompt[64] = {0};
    memset(prompt, ' ', (size_t)n_prompt);
    rig_submit(rig, id, prompt, max_tokens);
}

/* A pool that has fewer cells than it says: only a refused pass tells. */
static lcrt_rig *rig_short_of(int32_t n_promised) {
    lcrt_rig *rig = rig_new();
    rig->fake.n_ctx = 60;
    rig->fake.n_ctx_seq = 58;
    rig->params.n_chunk = 8;
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    rig->backend.info.n_ctx = n_promised;
    REQUIRE(lcrt_engine_open(&rig->backend, &rig->params, lcrt_fake_clock, rig->backend.self, &rig->engine) == LCRT_OK);
    return rig;
}

static void a_stream_never_gives_way_to_a_prompt(void) {
    lcrt_rig *rig = rig_short_of(1000);
    submit_spaces(rig, 1, 10, 40);
    rig_step(rig);
    submit_spaces(rig, 2, 55, 2);
    for (int32_t n = 2; n <= 40; n++) {
        rig_step(rig);
        CHECK_INT(rig->jobs[1].n_tokens, n);
        CHECK_INT(rig->jobs[2].n_start, 0);
    }
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_LENGTH);
    rig_run(rig);
    CHECK_INT(rig->jobs[2].n_tokens, 2);
    CHECK_INT(rig->jobs[2].finish, LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void a_job_that_gave_way_is_not_computed_over_and_over(void) {
    lcrt_rig *rig = rig_short_of(1000);
    submit_spaces(rig, 1, 10, 45);
    submit_spaces(rig, 2, 10, 45);
    rig_run(rig);
    CHECK_INT(rig->n_finished, 2);
    CHECK(rig_stats(rig).n_rows < 2 * (10 + 44) + 60);
    rig_end(rig);
}

static void a_job_that_gave_way_is_back_when_another_has_ended(void) {
    lcrt_rig *rig = rig_short_of(1000);
    submit_spaces(rig, 1, 10, 25);
    submit_spaces(rig, 2, 10, 12);
    submit_spaces(rig, 3, 8, 40);
    while (rig->jobs[2].n_finish == 0) {
        rig_step(rig);
    }
    int32_t n_before = rig->jobs[3].n_tokens;
    CHECK(n_before < 12);
    while (rig->jobs[1].n_finish == 0) {
        rig_step(rig);
    }
    CHECK(rig->jobs[3].n_tokens > n_before + 5);
    rig_run(rig);
    CHECK_INT(rig->jobs[3].n_tokens, 40);
    rig_end(rig);
}

static void a_prompt_refused_once_waits_for_a_step_and_not_for_the_stream(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.full_at = 3;
    rig_open(rig);
    submit_spaces(rig, 1, 5, 100);
    rig_step(rig);
    rig_step(rig);
    submit_spaces(rig, 2, 8, 2);
    rig_step(rig);
    CHECK_INT(rig->jobs[1].n_tokens, 3);
    CHECK_INT(rig->jobs[2].n_start, 0);
    rig_step(rig);
    CHECK_INT(rig->jobs[2].n_start, 1);
    rig_end(rig);
}

int main(void) {
    RUN(idle_slots_lose_their_cells_to_running_ones_oldest_first);
    RUN(a_newcomer_waits_until_the_pool_has_room_for_it);
    RUN(the_younger_of_two_growing_jobs_gives_way_and_comes_back_unharmed);
    RUN(a_prompt_larger_than_the_pool_is_an_error_not_a_hang);
    RUN(alone_in_a_full_pool_a_job_shifts_or_ends_with_length);
    RUN(a_refusal_without_reason_costs_nothing_but_time);
    RUN(a_stream_never_gives_way_to_a_prompt);
    RUN(a_job_that_gave_way_is_not_computed_over_and_over);
    RUN(a_job_that_gave_way_is_back_when_another_has_ended);
    RUN(a_prompt_refused_once_waits_for_a_step_and_not_for_the_stream);
    return test_end();
}
