/* The life of a job: its text, its events, why it ends. */
#include "rig.h"

static void the_alphabet_goes_on_to_its_end(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "rst", -1);
    rig_run(rig);
    rig_check(rig, 1, "uvwxyz", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].n_start, 1);
    CHECK_INT(rig->jobs[1].n_text, 6);
    rig_end(rig);
}

static void usage_counts_the_ending_token_only_as_sampled(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.step_ns = 10;
    rig_open(rig);
    rig_submit(rig, 1, "wxy", -1);
    rig_run(rig);
    CHECK_INT(rig->jobs[1].usage.n_prompt, 3);
    CHECK_INT(rig->jobs[1].usage.n_cached, 0);
    CHECK_INT(rig->jobs[1].usage.n_generated, 1);
    CHECK_INT(rig->jobs[1].usage.n_sampled, 2);
    CHECK_INT(rig->jobs[1].usage.queued_ns, 0);
    CHECK_INT(rig->jobs[1].usage.prefill_ns, 10);
    CHECK_INT(rig->jobs[1].usage.decode_ns, 10);
    rig_end(rig);
}

static void max_tokens_ends_with_length(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "a", 3);
    rig_run(rig);
    rig_check(rig, 1, "bcd", LCRT_FINISH_LENGTH);
    CHECK_INT(rig->jobs[1].usage.n_generated, 3);
    rig_end(rig);
}

static void max_tokens_zero_ends_at_once_and_computes_nothing(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "a", 0);
    rig_run(rig);
    rig_check(rig, 1, "", LCRT_FINISH_LENGTH);
    CHECK_INT(rig_stats(rig).n_rows, 0);
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK_INT(stats.n_waiting, 0);
    rig_end(rig);
}

static void the_last_token_allowed_may_be_the_end(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    rig_submit(rig, 1, "x", 3);
    rig_run(rig);
    rig_check(rig, 1, "yz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void ignore_eog_generates_through_the_end(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.ignore_eog = true;
    job.max_tokens = 4;
    CHECK_INT(rig_submit_job(rig, &job, "y"), LCRT_OK);
    rig_run(rig);
    rig_check(rig, 1, "z", LCRT_FINISH_LENGTH);
    CHECK_INT(rig->jobs[1].n_tokens, 4);
    rig_end(rig);
}

static void control_tokens_are_text_only_when_asked_for(void) {
    static const int32_t script[] = {0, LCRT_FAKE_MARK, LCRT_FAKE_A, LCRT_FAKE_EOG};
    for (int32_t special = 0; special < 2; special++) {
        lcrt_rig *rig = rig_new();
        rig->fake.mode = LCRT_FAKE_SCRIPT;
        rig->fake.script = script;
        rig->fake.n_script = 4;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.special = special == 1;
        CHECK_INT(rig_submit_job(rig, &job, "zz"), LCRT_OK);
        rig_run(rig);
        rig_check(rig, 1, special ? "<|mark|>a" : "a", LCRT_FINISH_STOP);
        CHECK_INT(rig->jobs[1].n_tokens, 2);
        rig_end(rig);
    }
}

/* Runs a script after the prompt "zz"; the first two tokens of the script are never reached. */
static void run_script(lcrt_rig *rig, const int32_t *script, int32_t n_script, lcrt_job *job) {
    int32_t full[64] = {0};
    memcpy(full + 1, script, (size_t)n_script * sizeof(*script));
    full[n_script + 1] = LCRT_FAKE_EOG;
    rig->fake.mode = LCRT_FAKE_SCRIPT;
    rig->fake.script = full;
    rig->fake.n_script = n_script + 2;
    rig_open(rig);
    CHECK_INT(rig_submit_job(rig, job, "zz"), LCRT_OK);
    rig_run(rig);
}

static void characters_cut_over_tokens_come_out_whole(void) {
    static const int32_t script[] = {LCRT_FAKE_A,      LCRT_FAKE_E_ACUTE_1, LCRT_FAKE_E_ACUTE_2,
                                     LCRT_FAKE_EURO_1, LCRT_FAKE_EURO_2,    LCRT_FAKE_EURO_3,
                                     LCRT_FAKE_FACE_1, LCRT_FAKE_FACE_2,    LCRT_FAKE_FACE_3};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    run_script(rig, script, 9, &job);
    rig_check(rig, 1, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].n_text, 4);
    rig_end(rig);
}

static void half_a_character_at_the_end_is_replaced(void) {
    static const int32_t script[] = {LCRT_FAKE_A, LCRT_FAKE_FACE_1, LCRT_FAKE_FACE_2};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    run_script(rig, script, 3, &job);
    rig_check(rig, 1, "a\xEF\xBF\xBD", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void invalid_bytes_are_replaced(void) {
    static const int32_t script[] = {LCRT_FAKE_INVALID, LCRT_FAKE_A, LCRT_FAKE_EURO_1, LCRT_FAKE_A + 1};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    run_script(rig, script, 4, &job);
    rig_check(rig, 1,
              "\xEF\xBF\xBD"
              "a\xEF\xBF\xBD"
              "b",
              LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_stop_string_over_tokens_ends_and_is_not_shown(void) {
    static const int32_t script[] = {LCRT_FAKE_A, LCRT_FAKE_ST, LCRT_FAKE_OP, LCRT_FAKE_A + 1};
    static const char *const stops[] = {"", "STOP"};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    job.stops = stops;
    job.n_stops = 2;
    run_script(rig, script, 4, &job);
    rig_check(rig, 1, "a", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].n_tokens, 3);
    CHECK_INT(rig->jobs[1].usage.n_sampled, 3);
    rig_end(rig);
}

static void the_beginning_of_a_stop_string_is_shown_when_it_goes_on_otherwise(void) {
    static const int32_t script[] = {LCRT_FAKE_A, LCRT_FAKE_ST, LCRT_FAKE_A + 1};
    static const char *const stops[] = {"STOP"};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    job.stops = stops;
    job.n_stops = 1;
    run_script(rig, script, 3, &job);
    rig_check(rig, 1, "aSTb", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].n_text, 2);
    rig_end(rig);
}

static void what_was_held_for_a_stop_string_is_shown_at_the_end(void) {
    static const int32_t script[] = {LCRT_FAKE_A, LCRT_FAKE_ST};
    static const char *const stops[] = {"STOP"};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    job.stops = stops;
    job.n_stops = 1;
    run_script(rig, script, 2, &job);
    rig_check(rig, 1, "aST", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_piece_longer_than_most_is_whole(void) {
    static const int32_t script[] = {LCRT_FAKE_LONG, LCRT_FAKE_LONG};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    run_script(rig, script, 2, &job);
    CHECK_INT(rig->jobs[1].text_len, 600);
    rig_end(rig);
}

static void tokens_without_text_come_with_the_next_event(void) {
    static const int32_t script[] = {LCRT_FAKE_EMPTY, LCRT_FAKE_EMPTY, LCRT_FAKE_A, LCRT_FAKE_EMPTY};
    lcrt_rig *rig = rig_new();
    lcrt_job job = rig_job_default(1);
    run_script(rig, script, 4, &job);
    rig_check(rig, 1, "a", LCRT_FINISH_STOP);
    CHECK_INT(rig->jobs[1].n_text, 1);
    CHECK_INT(rig->jobs[1].n_tokens, 4);
    rig_end(rig);
}

static void a_token_comes_with_the_text_that_shows_its_last_byte(void) {
    static const int32_t script[] = {LCRT_FAKE_LONG, LCRT_FAKE_A};
    static const char *const stops[] = {"xS"};
    lcrt_rig *rig = rig_new();
    rig->fake.mode = LCRT_FAKE_SCRIPT;
    rig->fake.script = script;
    rig->fake.n_script = 2;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.stops = stops;
    job.n_stops = 1;
    CHECK_INT(rig_submit_job(rig, &job, "a"), LCRT_OK);
    rig_step(rig);
    CHECK_INT(rig->jobs[1].text_len, 299);
    CHECK_INT(rig->jobs[1].n_tokens, 0);
    rig_step(rig);
    CHECK_INT(rig->jobs[1].text_len, 301);
    CHECK_INT(rig->jobs[1].n_tokens, 2);
    rig_end(rig);
}

static void there_is_one_group_of_logprobs_per_generated_token(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.mode = LCRT_FAKE_HASH;
    rig->fake.eog_bias = -100;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 10;
    job.n_logprobs = 3;
    CHECK_INT(rig_submit_job(rig, &job, "abc"), LCRT_OK);
    rig_run(rig);
    const rig_job *got = &rig->jobs[1];
    CHECK_INT(got->n_tokens, 10);
    REQUIRE(got->n_logprobs == 40);
    for (int32_t i = 0; i < 10; i++) {
        const lcrt_logprob *group = &got->logprobs[4 * i];
        CHECK_INT(group[0].token, got->tokens[i]);
        CHECK_INT(group[1].token, got->tokens[i]);
        CHECK(group[0].logprob < 0 && group[0].logprob == group[1].logprob);
        CHECK(group[1].logprob >= group[2].logprob && group[2].logprob >= group[3].logprob);
    }
    rig_end(rig);
}

static void jobs_that_make_no_sense_are_refused(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.n_ctx_seq = 8;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    CHECK_INT(rig_submit_job(rig, &job, ""), LCRT_ERR_INVALID);
    CHECK_INT(rig_submit_job(rig, &job, "abcdefgh"), LCRT_ERR_TOO_LONG);
    job.n_ctx = 4;
    CHECK_INT(rig_submit_job(rig, &job, "abcd"), LCRT_ERR_TOO_LONG);
    job.n_logprobs = 21;
    CHECK_INT(rig_submit_job(rig, &job, "ab"), LCRT_ERR_INVALID);
    job = rig_job_default(1);
    job.sampling.repeat_penalty = -1;
    CHECK_INT(rig_submit_job(rig, &job, "ab"), LCRT_ERR_INVALID);
    int32_t token = LCRT_FAKE_N_VOCAB;
    job = rig_job_default(1);
    job.tokens = &token;
    job.n_tokens = 1;
    CHECK_INT(lcrt_engine_submit(rig->engine, &job), LCRT_ERR_INVALID);
    rig_end(rig);
}

static void a_full_queue_refuses_and_loses_nothing(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig->params.max_queue = 4;
    rig_open(rig);
    lcrt_job job = rig_job_default(0);
    for (job.id = 0; job.id < 4; job.id++) {
        CHECK_INT(rig_submit_job(rig, &job, "xy"), LCRT_OK);
    }
    CHECK_INT(rig_submit_job(rig, &job, "xy"), LCRT_ERR_FULL);
    rig_step(rig);
    CHECK_INT(rig_submit_job(rig, &job, "xy"), LCRT_OK);
    CHECK_INT(rig_submit_job(rig, &job, "xy"), LCRT_ERR_FULL);
    rig_run(rig);
    CHECK_INT(rig->n_finished, 5);
    rig_end(rig);
}

static void a_failed_pass_ends_its_jobs_and_no_others(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 2;
    rig->fake.fail_at = 2;
    rig_open(rig);
    rig_submit(rig, 1, "a", -1);
    rig_submit(rig, 2, "abc", -1);
    rig_submit(rig, 3, "w", -1);
    rig_run(rig);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_ERROR);
    CHECK_INT(rig->jobs[1].status, LCRT_ERR_BACKEND);
    CHECK_INT(rig->jobs[2].finish, LCRT_FINISH_ERROR);
    rig_check(rig, 3, "xyz", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void what_a_failed_pass_left_behind_is_not_reused(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.fail_at = 3;
    rig_open(rig);
    rig_submit(rig, 1, "abc", -1);
    rig_run(rig);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_ERROR);
    CHECK_INT(rig->jobs[1].n_tokens, 2);
    CHECK_INT(rig_stats(rig).n_cells, 0);
    rig_submit(rig, 2, "abc", 1);
    rig_run(rig);
    CHECK_INT(rig->jobs[2].usage.n_cached, 0);
    rig_check(rig, 2, "d", LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void a_seed_repeats_its_tokens_and_another_does_not(void) {
    rig_job first;
    for (int32_t i = 0; i < 3; i++) {
        lcrt_rig *rig = rig_new();
        rig->fake.mode = LCRT_FAKE_HASH;
        rig->fake.eog_bias = -100;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.sampling = lcrt_sampling_default();
        job.sampling.seed = i < 2 ? 5 : 6;
        job.max_tokens = 40;
        CHECK_INT(rig_submit_job(rig, &job, "abc"), LCRT_OK);
        rig_run(rig);
        size_t len = 40 * sizeof(first.tokens[0]);
        CHECK(i == 0 || (memcmp(first.tokens, rig->jobs[1].tokens, len) == 0) == (i == 1));
        first = rig->jobs[1];
        rig_end(rig);
    }
}

static void the_prompt_counts_for_the_repeat_penalty(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.sampling.presence_penalty = 100;
    job.max_tokens = 1;
    CHECK_INT(rig_submit_job(rig, &job, "ba"), LCRT_OK);
    rig_run(rig);
    CHECK(rig->jobs[1].tokens[0] != LCRT_FAKE_A + 1);
    rig_end(rig);
}

int main(void) {
    RUN(the_alphabet_goes_on_to_its_end);
    RUN(usage_counts_the_ending_token_only_as_sampled);
    RUN(max_tokens_ends_with_length);
    RUN(max_tokens_zero_ends_at_once_and_computes_nothing);
    RUN(the_last_token_allowed_may_be_the_end);
    RUN(ignore_eog_generates_through_the_end);
    RUN(control_tokens_are_text_only_when_asked_for);
    RUN(characters_cut_over_tokens_come_out_whole);
    RUN(half_a_character_at_the_end_is_replaced);
    RUN(invalid_bytes_are_replaced);
    RUN(a_stop_string_over_tokens_ends_and_is_not_shown);
    RUN(the_beginning_of_a_stop_string_is_shown_when_it_goes_on_otherwise);
    RUN(what_was_held_for_a_stop_string_is_shown_at_the_end);
    RUN(a_piece_longer_than_most_is_whole);
    RUN(tokens_without_text_come_with_the_next_event);
    RUN(a_token_comes_with_the_text_that_shows_its_last_byte);
    RUN(there_is_one_group_of_logprobs_per_generated_token);
    RUN(jobs_that_make_no_sense_are_refused);
    RUN(a_full_queue_refuses_and_loses_nothing);
    RUN(a_failed_pass_ends_its_jobs_and_no_others);
    RUN(what_a_failed_pass_left_behind_is_not_reused);
    RUN(a_seed_repeats_its_tokens_and_another_does_not);
    RUN(the_prompt_counts_for_the_repeat_penalty);
    return test_end();
}
