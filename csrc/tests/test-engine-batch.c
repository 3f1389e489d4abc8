/* Prefill beside decoding, wide prompts, and sequence ids that follow each other. */
#include "rig.h"

#define MS 1000000

/* What the backend was asked for, one entry per decode. */
static struct {
    int32_t n_rows;
    int32_t n_seqs;
    bool gap;
    int64_t ns; /* clock at its begin */
} decodes[4096];
static int32_t n_decodes;
static lcrt_rig *noted;

static void note(void *data, const lcrt_row *rows, int32_t n_rows) {
    (void)data;
    REQUIRE(n_decodes < 4096);
    int32_t n_seqs = 1;
    bool gap = false;
    for (int32_t i = 1; i < n_rows; i++) {
        n_seqs += rows[i].seq != rows[i - 1].seq;
        gap = gap || (rows[i].seq != rows[i - 1].seq && rows[i].seq != rows[i - 1].seq + 1);
    }
    decodes[n_decodes].n_rows = n_rows;
    decodes[n_decodes].n_seqs = n_seqs;
    decodes[n_decodes].gap = gap;
    decodes[n_decodes++].ns = lcrt_fake_clock(noted->backend.self);
}

static lcrt_rig *rig_noted(void) {
    noted = rig_new_hash();
    n_decodes = 0;
    noted->fake.on_decode = note;
    return noted;
}

static void a_long_prompt_does_not_stall_a_stream(void) {
    lcrt_rig *rig = rig_noted();
    rig->fake.step_ns = 10 * MS;
    rig->fake.row_ns = MS;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 2000);
    for (int32_t i = 0; i < 10; i++) {
        rig_step(rig);
    }
    rig_submit_long(rig, 2, 2000, 1);
    int32_t n_before = rig->jobs[1].n_tokens, n_steps = 0;
    int64_t longest_ns = 0;
    while (rig->jobs[2].n_finish == 0) {
        int64_t begin_ns = lcrt_fake_clock(rig->backend.self);
        rig_step(rig);
        int64_t ns = lcrt_fake_clock(rig->backend.self) - begin_ns;
        longest_ns = ns > longest_ns ? ns : longest_ns;
        n_steps++;
    }
    CHECK(longest_ns <= 120 * MS);
    CHECK_INT(rig->jobs[1].n_tokens - n_before, n_steps);
    CHECK(n_steps >= 2000 / 90 && n_steps <= 2000 / 40);
    rig_end(rig);
}

static void chunks_are_what_the_backend_finds_worth_a_pass(void) {
    lcrt_rig *rig = rig_noted();
    rig->fake.n_chunk = 64;
    rig->fake.row_ns = 3 * MS / 2;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 2000);
    rig_step(rig);
    rig_submit_long(rig, 2, 200, 1);
    static const int32_t want[] = {200 % 64, 64, 64, 64};
    for (int32_t i = 0; i < 4; i++) {
        rig_step(rig);
        CHECK_INT(decodes[n_decodes - 1].n_rows, 1 + want[i]);
    }
    CHECK_INT(rig->jobs[2].n_finish, 1);
    rig_end(rig);
}

/* 64 rows take 256 ms here, and the target is 100. */
static void what_is_worth_a_pass_is_less_where_streams_would_wait_long(void) {
    lcrt_rig *rig = rig_noted();
    rig->fake.n_chunk = 64;
    rig->fake.row_ns = 4 * MS;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 2000);
    rig_step(rig);
    rig_submit_long(rig, 2, 1500, 1);
    int32_t n_long = 0, n_short = 0;
    while (rig->jobs[2].n_finish == 0) {
        rig_step(rig);
        n_long += decodes[n_decodes - 1].n_rows > 1 + 24; /* which take all of the target */
        n_short += decodes[n_decodes - 1].n_rows <= 1 + 16;
    }
    CHECK(n_long <= 5);  /* sizes have to be tried */
    CHECK(n_short <= 1); /* the end; nothing is cut for tiles that are not reached */
    rig_end(rig);
}

static void streams_and_prompts_take_turns_where_a_pass_wants_equal_rows(void) {
    lcrt_rig *rig = rig_noted();
    rig->fake.consecutive = true;
    rig->params.n_chunk = 50;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 2000);
    rig_submit(rig, 2, "world", 2000);
    rig_step(rig);
    rig_submit_long(rig, 3, 150, 100);
    static const int32_t want[] = {50, 2, 50, 2, 50, 3, 3, 3};
    for (int32_t i = 0; i < 8; i++) {
        rig_step(rig);
        CHECK_INT(decodes[n_decodes - 1].n_rows, want[i]);
    }
    rig_end(rig);
}

static void a_fixed_chunk_is_obeyed(void) {
    lcrt_rig *rig = rig_noted();
    rig->params.n_chunk = 50;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 2000);
    rig_step(rig);
    rig_submit_long(rig, 2, 200, 1);
    for (int32_t i = 0; i < 4; i++) {
        rig_step(rig);
        CHECK_INT(decodes[n_decodes - 1].n_rows, 51);
    }
    CHECK_INT(rig->jobs[2].n_finish, 1);
    rig_end(rig);
}

static void with_no_stream_a_prompt_goes_at_full_width(void) {
    lcrt_rig *rig = rig_noted();
    rig_open(rig);
    rig_submit_long(rig, 1, 1200, 1);
    rig_run(rig);
    CHECK_INT(n_decodes, 3);
    CHECK_INT(decodes[0].n_rows, 512);
    CHECK_INT(decodes[2].n_rows, 1200 - 1024);
    rig_end(rig);
}

static void prompts_are_finished_one_after_the_other(void) {
    lcrt_rig *rig = rig_noted();
    rig->params.n_chunk = 32;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 1000);
    rig_step(rig);
    rig_submit_long(rig, 2, 64, 100);
    rig_submit_long(rig, 3, 64, 100);
    rig_step(rig);
    rig_step(rig);
    CHECK_INT(rig->jobs[2].n_start, 1);
    CHECK_INT(rig->jobs[3].n_start, 0);
    rig_step(rig);
    rig_step(rig);
    CHECK_INT(rig->jobs[3].n_start, 1);
    rig_end(rig);
}

static void every_stream_gets_a_row_in_every_pass(void) {
    lcrt_rig *rig = rig_noted();
    rig->params.n_slots = 8;
    rig_open(rig);
    for (uint64_t id = 1; id <= 8; id++) {
        rig_submit_long(rig, id, (int32_t)id, 50);
    }
    rig_run(rig);
    CHECK_INT(n_decodes, 50);
    CHECK_INT(decodes[30].n_seqs, 8);
    CHECK_INT(rig_stats(rig).n_rows, 36 + 8 * 49);
    rig_end(rig);
}

static lcrt_rig *rig_split(int32_t n_slots) {
    lcrt_rig *rig = rig_noted();
    rig->fake.n_seq_max = rig->params.n_slots = n_slots;
    rig->fake.n_ctx_seq = 512;
    rig->fake.unified = false;
    rig->fake.consecutive = true;
    return rig;
}

/* Compares a job with the model. */
static void check_model(const lcrt_rig *rig, uint64_t id, int32_t n_prompt, int32_t max_tokens) {
    char prompt[RIG_TOKENS];
    rig_letters(n_prompt, prompt);
    lcrt_job job = rig_job_default(id);
    job.max_tokens = max_tokens;
    rig_check_model(rig, &job, prompt, 512);
}

static void a_gap_that_stays_is_closed_and_answers_do_not_change(void) {
    lcrt_rig *rig = rig_split(8);
    rig_open(rig);
    for (uint64_t id = 1; id <= 8; id++) {
        rig_submit_long(rig, id, 10 + (int32_t)id, id % 3 == 0 ? 3 : 60);
    }
    rig_run(rig);
    CHECK(!decodes[n_decodes - 1].gap);
    for (int32_t i = 12; i < n_decodes; i++) {
        CHECK(!decodes[i].gap);
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK(stats.n_moves >= 2 && stats.n_moves <= 4);
    for (uint64_t id = 1; id <= 8; id++) {
        check_model(rig, id, 10 + (int32_t)id, id % 3 == 0 ? 3 : 60);
    }
    rig_end(rig);
}

static void a_new_job_fills_the_gap_at_once(void) {
    lcrt_rig *rig = rig_split(5); /* the new one gets the fifth, which is not where the gap is */
    rig_open(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        rig_submit_long(rig, id, 10 + (int32_t)id, id == 2 ? 3 : 60);
    }
    while (rig->jobs[2].n_finish == 0) {
        rig_step(rig);
    }
    rig_submit(rig, 5, "zyxwvutsrq", 20);
    int32_t n = n_decodes;
    rig_run(rig);
    for (int32_t i = n; i < n + 15; i++) {
        CHECK(!decodes[i].gap);
        CHECK(i == n || decodes[i].n_seqs == 4);
    }
    for (uint64_t id = 1; id <= 4; id++) {
        check_model(rig, id, 10 + (int32_t)id, id == 2 ? 3 : 60);
    }
    rig_end(rig);
}

/* Changes whenever a job starts or ends; -1 while a prompt is computed. */
static int32_t changes(const lcrt_rig *rig) {
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    int32_t n_started = 0;
    for (int32_t id = 0; id < RIG_JOBS; id++) {
        n_started += rig->jobs[id].n_start;
    }
    return stats.n_running == n_started - rig->n_finished ? n_started + rig->n_finished : -1;
}

static void random_comings_and_goings_leave_no_gap_that_stays(void) {
    uint64_t seed = 17;
    printf("seed %llu\n", (unsigned long long)seed);
    lcrt_rig *rig = rig_split(8);
    rig_open(rig);
    int32_t lengths[48], prompts[48], n_quiet = 0, n_changes = 0, n_gaps = 0;
    for (int32_t id = 0; rig->n_finished < 48;) {
        if (id < 48 && test_between(&seed, 0, 5) == 0) {
            prompts[id] = test_between(&seed, 1, 60);
            lengths[id] = test_between(&seed, 1, 80);
            rig_submit_long(rig, (uint64_t)id, prompts[id], lengths[id]);
            id++;
        }
        bool worked = rig_step(rig);
        n_quiet = worked && changes(rig) >= 0 && changes(rig) == n_changes ? n_quiet + 1 : 0;
        n_changes = changes(rig);
        bool gap = worked && decodes[n_decodes - 1].gap;
        n_gaps += gap;
        CHECK(n_quiet <= 4 || !gap);
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK(stats.n_moves > 0 && n_gaps > 0);
    for (int32_t id = 0; id < 48; id++) {
        check_model(rig, (uint64_t)id, prompts[id], lengths[id]);
    }
    rig_end(rig);
}

int main(void) {
    RUN(a_long_prompt_does_not_stall_a_stream);
    RUN(chunks_are_what_the_backend_finds_worth_a_pass);
    RUN(what_is_worth_a_pass_is_less_where_streams_would_wait_long);
    RUN(streams_and_prompts_take_turns_where_a_pass_wants_equal_rows);
    RUN(a_fixed_chunk_is_obeyed);
    RUN(with_no_stream_a_prompt_goes_at_full_width);
    RUN(prompts_are_finished_one_after_the_other);
    RUN(every_stream_gets_a_row_in_every_pass);
    RUN(a_gap_that_stays_is_closed_and_answers_do_not_change);
    RUN(a_new_job_fills_the_gap_at_once);
    RUN(random_comings_and_goings_leave_no_gap_that_stays);
    return test_end();
}
