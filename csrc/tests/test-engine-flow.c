/* What goes against the stream: cancels, slow readers, the end of the engine. Steps by hand. */
#include "rig.h"

static void a_cancelled_job_ends_in_the_next_step(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    rig_step(rig);
    rig_step(rig);
    CHECK_INT(lcrt_engine_cancel(rig->engine, 1), LCRT_OK);
    CHECK(!rig_step(rig));
    rig_check(rig, 1, "bc", LCRT_FINISH_CANCEL);
    CHECK_INT(rig_stats(rig).n_decodes, 2);
    rig_end(rig);
}

static void a_cancel_gives_the_slot_to_the_next_job_in_the_same_step(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    rig_submit(rig, 2, "w", -1);
    rig_step(rig);
    lcrt_engine_cancel(rig->engine, 1);
    rig_step(rig);
    rig_check(rig, 1, "b", LCRT_FINISH_CANCEL);
    CHECK_INT(rig->jobs[2].n_start, 1);
    rig_run(rig);
    rig_check(rig, 2, "xyz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_waiting_job_is_cancelled_while_every_slot_is_busy(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    rig_submit(rig, 2, "a", -1);
    rig_submit(rig, 3, "y", -1);
    rig_step(rig);
    lcrt_engine_cancel(rig->engine, 2);
    rig_step(rig);
    rig_check(rig, 2, "", LCRT_FINISH_CANCEL);
    CHECK_INT(rig->jobs[1].n_finish, 0);
    CHECK_INT(rig->jobs[2].n_start, 0);
    rig_run(rig);
    rig_check(rig, 1, "bcdefghijklmnopqrstuvwxyz", LCRT_FINISH_STOP);
    rig_check(rig, 3, "z", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_cancel_right_after_submit_is_not_lost(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    lcrt_engine_cancel(rig->engine, 1);
    rig_step(rig);
    rig_check(rig, 1, "", LCRT_FINISH_CANCEL);
    CHECK_INT(rig_stats(rig).n_rows, 0);
    rig_end(rig);
}

static void a_late_cancel_does_not_hit_a_new_job_of_the_same_id(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "y", -1);
    rig_run(rig);
    memset(&rig->jobs[1], 0, sizeof(rig->jobs[1]));
    lcrt_engine_cancel(rig->engine, 1);
    rig_submit(rig, 1, "x", -1);
    rig_run(rig);
    rig_check(rig, 1, "yz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void cancels_of_unknown_jobs_are_ignored(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "x", -1);
    lcrt_engine_cancel(rig->engine, 9);
    rig_run(rig);
    lcrt_engine_cancel(rig->engine, 1);
    rig_run(rig);
    rig_check(rig, 1, "yz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void jobs_get_slots_in_the_order_of_their_submission(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig_open(rig);
    for (uint64_t id = 1; id <= 5; id++) {
        rig_submit(rig, id, "xy", -1);
    }
    for (uint64_t id = 1; id <= 5; id++) {
        CHECK_INT(rig->jobs[id].n_start, 0);
        rig_step(rig);
        CHECK_INT(rig->jobs[id].n_start, 1);
        rig_step(rig);
        CHECK_INT(rig->jobs[id].n_finish, 1);
    }
    rig_end(rig);
}

/* A reader that does not read: steps until the engine has nothing it can do. */
static int32_t run_unread(lcrt_rig *rig) {
    int32_t n = 0;
    while (lcrt_engine_step(rig->engine)) {
        REQUIRE(++n < 100000);
    }
    return n;
}

static void a_reader_that_does_not_read_stops_the_job_and_loses_nothing(void) {
    lcrt_rig *rig = rig_new();
    rig->params.events_len = 4096;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.ignore_eog = job.special = true;
    job.max_tokens = 500;
    CHECK_INT(rig_submit_job(rig, &job, "z"), LCRT_OK);
    CHECK(run_unread(rig) < 60);
    while (rig_read(rig) > 0) {
        run_unread(rig);
    }
    CHECK_INT(rig->jobs[1].n_tokens, 500);
    CHECK_INT(rig->jobs[1].text_len, 500 * 4);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void a_cancel_is_obeyed_while_the_reader_does_not_read(void) {
    lcrt_rig *rig = rig_new();
    rig->params.events_len = 4096;
    rig->params.n_slots = 1;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.ignore_eog = job.special = true;
    CHECK_INT(rig_submit_job(rig, &job, "z"), LCRT_OK);
    run_unread(rig);
    rig_submit(rig, 2, "x", -1);
    lcrt_engine_cancel(rig->engine, 1);
    run_unread(rig);
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK_INT(stats.n_waiting, 0);
    while (rig_read(rig) > 0) {
        run_unread(rig);
    }
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_CANCEL);
    CHECK(rig->jobs[1].n_tokens > 0);
    rig_check(rig, 2, "yz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void an_answer_larger_than_the_event_ring_comes_in_parts(void) {
    static const int32_t script[] = {LCRT_FAKE_EMPTY};
    lcrt_rig *rig = rig_new();
    rig->fake.mode = LCRT_FAKE_SCRIPT;
    rig->fake.script = script;
    rig->fake.n_script = 1;
    rig->params.events_len = 4096;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.n_logprobs = 20;
    job.max_tokens = 100;
    CHECK_INT(rig_submit_job(rig, &job, "a"), LCRT_OK);
    run_unread(rig);
    CHECK_INT(rig->jobs[1].n_finish, 0);
    while (rig_read(rig) > 0) {
        run_unread(rig);
    }
    CHECK_INT(rig->jobs[1].n_tokens, 100);
    CHECK_INT(rig->jobs[1].n_logprobs, 2100);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void a_character_is_not_cut_between_the_parts_of_an_answer(void) {
    static int32_t script[3000];
    for (int32_t i = 0; i < 3000; i++) {
        script[i] = LCRT_FAKE_EURO_1 + i % 3;
    }
    static char stop[4000];
    for (int32_t i = 0; i < 1100; i++) {
        memcpy(stop + 3 * i, "\xE2\x82\xAC", 3);
    }
    const char *const stops[] = {stop};
    lcrt_rig *rig = rig_new();
    rig->fake.mode = LCRT_FAKE_SCRIPT;
    rig->fake.script = script;
    rig->fake.n_script = 3000;
    rig->params.events_len = 4096;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.stops = stops;
    job.n_stops = 1;
    job.max_tokens = 3000;
    CHECK_INT(rig_submit_job(rig, &job, "a"), LCRT_OK);
    run_unread(rig);
    while (rig_read(rig) > 0) {
        run_unread(rig);
    }
    CHECK_INT(rig->jobs[1].n_tokens, 3000);
    CHECK_INT(rig->jobs[1].text_len, 3000);
    for (int32_t i = 0; i < 1000; i++) {
        REQUIRE(memcmp(rig->jobs[1].text + 3 * i, "\xE2\x82\xAC", 3) == 0);
    }
    rig_end(rig);
}

static void what_is_unread_or_unfinished_is_freed_with_the_engine(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    rig_submit(rig, 2, "a", -1);
    lcrt_engine_step(rig->engine);
    lcrt_engine_cancel(rig->engine, 2);
    rig_submit(rig, 3, "a", -1);
    rig_end(rig);
}

int main(void) {
    RUN(a_cancelled_job_ends_in_the_next_step);
    RUN(a_cancel_gives_the_slot_to_the_next_job_in_the_same_step);
    RUN(a_waiting_job_is_cancelled_while_every_slot_is_busy);
    RUN(a_cancel_right_after_submit_is_not_lost);
    RUN(a_late_cancel_does_not_hit_a_new_job_of_the_same_id);
    RUN(cancels_of_unknown_jobs_are_ignored);
    RUN(jobs_get_slots_in_the_order_of_their_submission);
    RUN(a_reader_that_does_not_read_stops_the_job_and_loses_nothing);
    RUN(a_cancel_is_obeyed_while_the_reader_does_not_read);
    RUN(an_answer_larger_than_the_event_ring_comes_in_parts);
    RUN(a_character_is_not_cut_between_the_parts_of_an_answer);
    RUN(what_is_unread_or_unfinished_is_freed_with_the_engine);
    return test_end();
}
