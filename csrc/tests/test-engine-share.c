/* Prompts that begin alike, on both layouts: computed once, and nobody's answer changes. */
#include "rig.h"

#define COMMON 100

/* The same beginning for all, and an end of n letters that tells the job. */
static const char *prompt_of(int32_t id, int32_t n) {
    static char prompt[RIG_TOKENS];
    rig_letters(COMMON, prompt);
    for (int32_t i = 0; i < n; i++) {
        prompt[COMMON + i] = (char)('a' + (7 * id + i * id) % 26);
    }
    prompt[COMMON + n] = '\0';
    return prompt;
}

static lcrt_rig *rig_layout(bool unified) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.unified = unified;
    rig->fake.consecutive = !unified;
    rig->fake.n_ctx_seq = 512;
    rig->fake.row_ns = 1000;
    rig->params.n_slots = 8;
    return rig;
}

static void submit(lcrt_rig *rig, int32_t id, int32_t n_own, int32_t max_tokens) {
    rig_submit(rig, (uint64_t)id, prompt_of(id, n_own), max_tokens);
}

static void check(lcrt_rig *rig, int32_t id, int32_t n_own, int32_t max_tokens) {
    lcrt_job job = rig_job_default((uint64_t)id);
    job.max_tokens = max_tokens;
    rig_check_model(rig, &job, prompt_of(id, n_own), 512);
}

static lcrt_engine_stats stats_of(const lcrt_rig *rig) {
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    return stats;
}

static void a_running_job_shares_its_prompt(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_layout(unified);
        rig_open(rig);
        submit(rig, 1, 10, 50);
        rig_step(rig);
        rig_step(rig);
        submit(rig, 2, 10, 50);
        rig_run(rig);
        CHECK(rig->jobs[2].usage.n_cached >= COMMON);
        CHECK_INT(stats_of(rig).n_shared, 1);
        CHECK_INT(stats_of(rig).n_cached, rig->jobs[2].usage.n_cached);
        CHECK_INT(stats_of(rig).n_prompt, 2 * (COMMON + 10));
        check(rig, 1, 10, 50);
        check(rig, 2, 10, 50);
        rig_end(rig);
    }
}

static void jobs_that_come_together_compute_a_common_beginning_once(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_layout(unified);
        rig->fake.n_batch = 32;
        rig_open(rig);
        for (int32_t id = 1; id <= 8; id++) {
            submit(rig, id, 10, 5);
        }
        rig_run(rig);
        CHECK(stats_of(rig).n_prefill_rows <= COMMON + 8 * 10);
        CHECK_INT(stats_of(rig).n_joined, 7);
        for (int32_t id = 1; id <= 8; id++) {
            check(rig, id, 10, 5);
        }
        rig_end(rig);
    }
}

/* Submits job 1 to lead and two to follow, and takes a step of some of the prompt. */
static lcrt_rig *rig_led(bool unified) {
    lcrt_rig *rig = rig_layout(unified);
    rig->fake.n_batch = 32;
    rig->params.events_len = 4096;
    rig_open(rig);
    for (int32_t id = 1; id <= 3; id++) {
        submit(rig, id, 10, 5);
    }
    rig_step(rig);
    CHECK_INT(stats_of(rig).n_prefill_rows, 32);
    return rig;
}

static void followers_go_on_when_their_leader_is_cancelled(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_led(unified);
        lcrt_engine_cancel(rig->engine, 1);
        rig_run(rig);
        CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_CANCEL);
        CHECK_INT(stats_of(rig).n_prefill_rows, COMMON + 2 * 10);
        check(rig, 2, 10, 5);
        check(rig, 3, 10, 5);
        rig_end(rig);
    }
}

static void followers_do_not_wait_for_a_leader_that_waits_for_its_reader(void) {
    lcrt_rig *rig = rig_led(true);
    rig->engine->running[0]->blocked = true;
    rig->engine->running[0]->start_due = true;
    while (lcrt_ring_reserve(rig->engine->events, 8) != NULL) {
        lcrt_ring_commit(rig->engine->events, 8);
    }
    for (int32_t i = 0; i < 20; i++) {
        lcrt_engine_step(rig->engine);
    }
    CHECK(rig->engine->running[0]->blocked);
    CHECK_INT(stats_of(rig).n_prefill_rows, COMMON + 2 * 10);
    lcrt_engine_free(rig->engine);
}

static void the_order_of_submission_stays(void) {
    lcrt_rig *rig = rig_layout(true);
    rig->fake.n_batch = 16;
    rig_open(rig);
    for (int32_t id = 1; id <= 6; id++) {
        submit(rig, id, 10, 40);
    }
    while (rig->jobs[6].n_start == 0) {
        rig_step(rig);
        for (int32_t id = 1; id < 6; id++) {
            CHECK(rig->jobs[id].n_start >= rig->jobs[id + 1].n_start);
        }
    }
    rig_run(rig);
    rig_end(rig);
}

static void a_stream_beside_gets_its_token_in_every_pass(void) {
    lcrt_rig *rig = rig_layout(true);
    rig->params.n_chunk = 16;
    rig_open(rig);
    rig_submit(rig, 9, "zzzzzzzz", 200);
    rig_step(rig);
    for (int32_t id = 1; id <= 6; id++) {
        submit(rig, id, 10, 2);
    }
    int64_t n_before = stats_of(rig).n_steps, n_tokens = rig->jobs[9].n_tokens;
    while (rig->jobs[6].n_finish == 0) {
        rig_step(rig);
    }
    CHECK_INT(rig->jobs[9].n_tokens - n_tokens, stats_of(rig).n_steps - n_before);
    rig_run(rig);
    rig_end(rig);
}

/* Copies wait for the next pass when they have taken a part of what a stream can wait. */
static void a_stream_waits_for_few_copies_at_a_time(void) {
    lcrt_rig *rig = rig_layout(false);
    rig->params.n_chunk = 16;
    rig->fake.row_ns = 1000000;
    rig->fake.copy_ns = 300000;
    rig_open(rig);
    rig_submit(rig, 9, "zzzzzzzz", 400);
    rig_step(rig);
    for (int32_t id = 1; id <= 6; id++) {
        submit(rig, id, 10, 2);
    }
    int64_t longest_ns = 0, last_ns = lcrt_fake_clock(rig->backend.self);
    for (int32_t n = rig->jobs[9].n_tokens; rig->jobs[6].n_finish == 0;) {
        rig_step(rig);
        if (rig->jobs[9].n_tokens > n) {
            int64_t now_ns = lcrt_fake_clock(rig->backend.self);
            longest_ns = now_ns - last_ns > longest_ns ? now_ns - last_ns : longest_ns;
            last_ns = now_ns;
            n = rig->jobs[9].n_tokens;
        }
    }
    CHECK_INT(stats_of(rig).n_joined, 5);
    CHECK(longest_ns < 100000000);
    rig_run(rig);
    rig_end(rig);
}

static void copies_that_cost_more_than_computing_are_not_made(void) {
    for (int32_t dear = 0; dear < 2; dear++) {
        lcrt_rig *rig = rig_layout(false);
        rig->fake.row_ns = 1000000;
        rig->fake.copy_ns = dear ? 3000000 : 100000;
        rig_open(rig);
        for (int32_t id = 1; id <= 4; id++) {
            submit(rig, id, 10, 60);
            rig_step(rig);
            rig_step(rig);
        }
        rig_run(rig);
        CHECK_INT(stats_of(rig).n_shared, dear ? 1 : 3); /* the first one tells what it costs */
        for (int32_t id = 1; id <= 4; id++) {
            check(rig, id, 10, 60);
        }
        rig_end(rig);
    }
}

static void a_job_without_cache_neither_uses_nor_is_used(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_layout(unified);
        rig->fake.n_batch = 32;
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.cache = false;
        job.max_tokens = 5;
        REQUIRE(rig_submit_job(rig, &job, prompt_of(1, 10)) == LCRT_OK);
        submit(rig, 2, 10, 5);
        rig_step(rig);
        submit(rig, 3, 10, 5);
        rig_run(rig);
        CHECK_INT(stats_of(rig).n_prefill_rows, 2 * (COMMON + 10) + 10);
        job.id = 4;
        rig_run_job(rig, &job, prompt_of(1, 10));
        submit(rig, 1, 10, 5);
        CHECK_INT(rig->jobs[4].usage.n_cached, 0);
        CHECK_INT(rig_stats(rig).n_cells, unified ? COMMON + 2 * 14 : 2 * (COMMON + 14));
        rig->n_finished = rig->jobs[1].n_finish = rig->jobs[1].n_tokens = rig->jobs[1].text_len = 0;
        rig_run(rig);
        CHECK(rig->jobs[1].usage.n_cached < COMMON + 5);
        rig_end(rig);
    }
}

static void cells_in_common_are_not_counted_twice_when_jobs_are_let_in(void) {
    lcrt_rig *rig = rig_layout(true);
    rig->fake.n_ctx = COMMON + 4 * 60;
    rig->params.n_slots = 4;
    rig_open(rig);
    for (int32_t id = 1; id <= 4; id++) {
        submit(rig, id, 10, 50);
    }
    rig_step(rig);
    CHECK_INT(stats_of(rig).n_running, 4);
    rig_run(rig);
    CHECK_INT(rig_stats(rig).n_rows, COMMON + 4 * (10 + 49));
    for (int32_t id = 1; id <= 4; id++) {
        check(rig, id, 10, 50);
    }
    rig_end(rig);
}

/* Moving a cell that another one sees would change what that one has read. */
static void a_shift_leaves_what_others_share_where_it_is(void) {
    for (int32_t idle = 0; idle < 2; idle++) {
        lcrt_rig *rig = rig_layout(true);
        rig_open(rig);
        submit(rig, 1, 20, idle ? 1 : 100);
        rig_step(rig);
        rig_step(rig);
        lcrt_job job = rig_job_default(2);
        job.n_ctx = COMMON + 24;
        job.n_keep = 4;
        job.max_tokens = 200;
        rig_run_job(rig, &job, prompt_of(2, 20));
        CHECK(rig->jobs[2].usage.n_cached >= COMMON);
        CHECK(rig->jobs[2].usage.n_shifts > 1);
        check(rig, 1, 20, idle ? 1 : 100);
        rig_check_model(rig, &job, prompt_of(2, 20), COMMON + 24);
        rig_end(rig);
    }
}

static void memory_that_cannot_be_cut_is_shared_where_the_prompts_part(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_layout(unified);
        rig->fake.can_trim = false;
        rig->fake.n_batch = 64;
        rig_open(rig);
        for (int32_t id = 1; id <= 4; id++) {
            submit(rig, id, 10, 5);
        }
        rig_run(rig);
        CHECK(stats_of(rig).n_prefill_rows <= COMMON + 4 * 10);
        for (int32_t id = 1; id <= 4; id++) {
            check(rig, id, 10, 5);
        }
        rig_end(rig);
    }
}

/* The whole state is shared, and put back to where the prompt ended; also where the source itself could go back by
 * its snapshots, which a copy has not. */
static void memory_that_cannot_be_cut_is_shared_from_a_checkpoint_too(void) {
    for (int32_t i = 0; i < 4; i++) {
        lcrt_rig *rig = rig_layout(i % 2);
        rig->fake.can_trim = false;
        rig->fake.n_back = rig->fake.n_undo = i < 2 ? 0 : 3;
        rig->params.cache.ram_len = 1 << 24;
        rig_open(rig);
        submit(rig, 1, 10, 50);
        while (rig->jobs[1].n_start == 0) {
            rig_step(rig);
        }
        rig_step(rig);
        char longer[RIG_TOKENS];
        snprintf(longer, sizeof(longer), "%s%s", prompt_of(1, 10), "but why");
        lcrt_job job = rig_job_default(2);
        job.max_tokens = 20;
        rig_run_job(rig, &job, longer);
        CHECK_INT(rig->jobs[2].usage.n_cached, COMMON + 9);
        rig_check_model(rig, &job, longer, 512);
        check(rig, 1, 10, 50);
        rig_end(rig);
    }
}

static void the_next_turn_takes_its_slot_and_another_conversation_copies(void) {
    lcrt_rig *rig = rig_layout(true);
    rig_open(rig);
    char turn[RIG_TOKENS];
    submit(rig, 1, 30, 40);
    rig_run(rig);
    CHECK_INT(rig_stats(rig).n_cells, COMMON + 30 + 39);
    submit(rig, 2, 30, 1);
    rig_run(rig);
    CHECK_INT(stats_of(rig).n_shared, 1);
    CHECK_INT(rig_stats(rig).n_cells, COMMON + 2 * 30 + 39);
    snprintf(turn, sizeof(turn), "%s%s", prompt_of(1, 30), "and then what");
    rig_submit(rig, 3, turn, 1);
    rig_run(rig);
    CHECK_INT(stats_of(rig).n_taken, 1);
    CHECK_INT(rig->jobs[3].usage.n_cached, COMMON + 30);
    CHECK_INT(rig_stats(rig).n_cells, COMMON + 2 * 30 + 13);
    rig_end(rig);
}

static void many_requests_with_one_system_prompt_compute_little_more_than_is_new(void) {
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = rig_layout(unified);
        rig->params.n_chunk = 32;
        rig_open(rig);
        int32_t n_submitted = 0;
        while (rig->n_finished < 32) {
            while (n_submitted < 32 && n_submitted - rig->n_finished < 8) {
                n_submitted++;
                submit(rig, n_submitted, 10, n_submitted % 7 + 2);
            }
            rig_step(rig);
        }
        int64_t n_distinct = COMMON + 32 * 10;
        CHECK(stats_of(rig).n_prefill_rows <= n_distinct + n_distinct / 50);
        for (int32_t id = 1; id <= 32; id++) {
            check(rig, id, 10, id % 7 + 2);
        }
        rig_end(rig);
    }
}

int main(void) {
    RUN(a_running_job_shares_its_prompt);
    RUN(jobs_that_come_together_compute_a_common_beginning_once);
    RUN(followers_go_on_when_their_leader_is_cancelled);
    RUN(followers_do_not_wait_for_a_leader_that_waits_for_its_reader);
    RUN(the_order_of_submission_stays);
    RUN(a_stream_beside_gets_its_token_in_every_pass);
    RUN(a_stream_waits_for_few_copies_at_a_time);
    RUN(copies_that_cost_more_than_computing_are_not_made);
    RUN(a_job_without_cache_neither_uses_nor_is_used);
    RUN(cells_in_common_are_not_counted_twice_when_jobs_are_let_in);
    RUN(a_shift_leaves_what_others_share_where_it_is);
    RUN(memory_that_cannot_be_cut_is_shared_where_the_prompts_part);
    RUN(memory_that_cannot_be_cut_is_shared_from_a_checkpoint_too);
    RUN(the_next_turn_takes_its_slot_and_another_conversation_copies);
    RUN(many_requests_with_one_system_prompt_compute_little_more_than_is_new);
    return test_end();
}
