/* Slots, what they keep for the next job, and full contexts. */
#include "rig.h"

static void a_prompt_that_goes_on_is_computed_from_there(void) {
    lcrt_rig *rig = rig_new_hash();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 1;
    rig_run_job(rig, &job, "hello");
    job.id = 2;
    job.max_tokens = 5;
    rig_run_job(rig, &job, "hello world");
    CHECK_INT(rig->jobs[2].usage.n_cached, 5);
    CHECK_INT(rig_stats(rig).n_rows, 5 + 6 + 4);
    rig_check_model(rig, &job, "hello world", 4096);
    rig_end(rig);
}

static void the_same_prompt_again_computes_one_token(void) {
    lcrt_rig *rig = rig_new_hash();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 3;
    rig_run_job(rig, &job, "hello");
    int64_t n_rows = rig_stats(rig).n_rows;
    job.id = 2;
    rig_run_job(rig, &job, "hello");
    CHECK_INT(rig->jobs[2].usage.n_cached, 4);
    CHECK_INT(rig_stats(rig).n_rows - n_rows, 1 + 2);
    rig_check_model(rig, &job, "hello", 4096);
    rig_end(rig);
}

static void the_slot_with_the_longest_beginning_is_taken(void) {
    lcrt_rig *rig = rig_new_hash();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 1;
    rig_run_job(rig, &job, "abcxxxxxxx");
    job.id = 2;
    rig_run_job(rig, &job, "abcdefxxxx");
    job.id = 3;
    rig_run_job(rig, &job, "zzzzzzzzzz");
    job.id = 4;
    job.max_tokens = 4;
    rig_run_job(rig, &job, "abcdefghij");
    CHECK_INT(rig->jobs[2].usage.n_cached, 3);
    CHECK_INT(rig->jobs[4].usage.n_cached, 6);
    rig_check_model(rig, &job, "abcdefghij", 4096);
    rig_end(rig);
}

static void the_least_recently_used_slot_is_given_up_first(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->params.n_slots = 2;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 1;
    rig_run_job(rig, &job, "aaaaaaaaaa");
    job.id = 2;
    rig_run_job(rig, &job, "bbbbbbbbbb");
    job.id = 3;
    rig_run_job(rig, &job, "cccccccccc");
    job.id = 4;
    rig_run_job(rig, &job, "bbbbbbbbbb");
    CHECK_INT(rig->jobs[4].usage.n_cached, 9);
    job.id = 5;
    rig_run_job(rig, &job, "aaaaaaaaaa");
    CHECK_INT(rig->jobs[5].usage.n_cached, 0);
    rig_end(rig);
}

static void a_job_without_cache_computes_everything(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->params.n_slots = 1;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 3;
    rig_run_job(rig, &job, "hello");
    job.id = 2;
    job.cache = false;
    rig_run_job(rig, &job, "hello");
    CHECK_INT(rig->jobs[2].usage.n_cached, 0);
    CHECK_INT(rig_stats(rig).n_rows, 2 * (5 + 2));
    rig_check_model(rig, &job, "hello", 4096);
    rig_end(rig);
}

static void memory_that_cannot_be_trimmed_is_reused_only_whole(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.can_trim = false;
    rig->params.n_slots = 1;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 3;
    rig_run_job(rig, &job, "abc"); /* leaves abcde in the slot */
    job.id = 2;
    rig_run_job(rig, &job, "abcdefgh");
    CHECK_INT(rig->jobs[2].usage.n_cached, 5);
    job.id = 3;
    rig_run_job(rig, &job, "abcdefgh");
    CHECK_INT(rig->jobs[3].usage.n_cached, 0);
    rig_check(rig, 3, "ijk", LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void a_full_context_drops_the_older_half_behind_n_keep(void) {
    static const int32_t n_keeps[] = {0, 3, -1, 100};
    for (int32_t i = 0; i < 4; i++) {
        lcrt_rig *rig = rig_new_hash();
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.n_ctx = 24;
        job.n_keep = n_keeps[i];
        job.max_tokens = 200;
        rig_run_job(rig, &job, "onceuponatime");
        rig_check_model(rig, &job, "onceuponatime", 24);
        CHECK(rig->jobs[1].usage.n_shifts > 5);
        rig_end(rig);
    }
}

static void a_context_of_two_positions_still_shifts(void) {
    lcrt_rig *rig = rig_new_hash();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.n_ctx = 2;
    job.n_keep = 4;
    job.max_tokens = 20;
    rig_run_job(rig, &job, "a");
    rig_check_model(rig, &job, "a", 2);
    rig_end(rig);
}

static void without_shift_a_full_context_ends_with_length(void) {
    for (int32_t i = 0; i < 3; i++) {
        lcrt_rig *rig = rig_new_hash();
        rig->fake.can_shift = i != 1;
        rig->fake.can_trim = i != 2;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.n_ctx = 16;
        job.shift = i > 0;
        rig_run_job(rig, &job, "hello");
        CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_LENGTH);
        CHECK_INT(rig->jobs[1].usage.n_generated, 11);
        CHECK_INT(rig->jobs[1].usage.n_shifts, 0);
        rig_check_model(rig, &job, "hello", 16);
        rig_end(rig);
    }
}

static void what_a_shifted_slot_holds_is_not_mistaken_for_its_prompt(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->params.n_slots = 1;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.n_ctx = 16;
    job.n_keep = 2;
    job.max_tokens = 20;
    rig_run_job(rig, &job, "hello world");
    job.id = 2;
    rig_run_job(rig, &job, "hello world");
    CHECK_INT(rig->jobs[2].usage.n_cached, 2);
    rig_check_model(rig, &job, "hello world", 16);
    rig_end(rig);
}

int main(void) {
    RUN(a_prompt_that_goes_on_is_computed_from_there);
    RUN(the_same_prompt_again_computes_one_token);
    RUN(the_slot_with_the_longest_beginning_is_taken);
    RUN(the_least_recently_used_slot_is_given_up_first);
    RUN(a_job_without_cache_computes_everything);
    RUN(memory_that_cannot_be_trimmed_is_reused_only_whole);
    RUN(a_full_context_drops_the_older_half_behind_n_keep);
    RUN(a_context_of_two_positions_still_shifts);
    RUN(without_shift_a_full_context_ends_with_length);
    RUN(what_a_shifted_slot_holds_is_not_mistaken_for_its_prompt);
    return test_end();
}
