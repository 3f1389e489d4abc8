/* Jobs with different sets of changes of the weights: who shares a pass, who has what in common. */
#include "tiers-rig.h"

#define MS 1000000
#define N_TIMES 8

static lcrt_rig *new_rig(void) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_sets = 9;
    return rig;
}

static lcrt_job job_in(uint64_t id, uint64_t set, int32_t max_tokens) {
    lcrt_job job = rig_job_default(id);
    job.set = set;
    job.max_tokens = max_tokens;
    return job;
}

static lcrt_usage ask_in(lcrt_rig *rig, uint64_t id, uint64_t set, const char *prompt) {
    lcrt_job job = job_in(id, set, 8);
    REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
    finish(rig, rig->n_finished + 1);
    rig_check_model(rig, &job, prompt, rig->fake.n_ctx_seq);
    return rig->jobs[id].usage;
}

static void each_set_has_its_own_answer(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.n_sets = 4;
    rig_open(rig);
    for (uint64_t set = 0; set < 4; set++) {
        lcrt_job job = job_in(1 + set, set, 4);
        REQUIRE(rig_submit_job(rig, &job, "ab") == LCRT_OK);
    }
    rig_run(rig);
    rig_check(rig, 1, "cdef", LCRT_FINISH_LENGTH);
    rig_check(rig, 2, "dfhj", LCRT_FINISH_LENGTH);
    rig_check(rig, 3, "ehkn", LCRT_FINISH_LENGTH);
    rig_check(rig, 4, "fjnr", LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void an_unknown_set_is_one_jobs_error(void) {
    lcrt_rig *rig = rig_new();
    rig_open(rig);
    lcrt_job job = job_in(1, 7, 4);
    REQUIRE(rig_submit_job(rig, &job, "ab") == LCRT_OK);
    rig_submit(rig, 2, "ab", 4);
    rig_run(rig);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_ERROR);
    CHECK_INT(rig->jobs[1].status, LCRT_ERR_INVALID);
    rig_check(rig, 2, "cdef", LCRT_FINISH_LENGTH);
    rig_end(rig);
}

static void what_one_set_computed_is_not_anothers(void) {
    char prompt[300];
    letters(prompt, 200, 5);
    for (int32_t unified = 0; unified < 2; unified++) {
        lcrt_rig *rig = new_rig();
        rig->fake.unified = unified == 1;
        rig->fake.consecutive = !rig->fake.unified;
        rig_open(rig);
        CHECK_INT(ask_in(rig, 1, 0, prompt).n_cached, 0);
        CHECK_INT(ask_in(rig, 2, 1, prompt).n_cached, 0);
        CHECK_INT(ask_in(rig, 3, 2, prompt).n_cached, 0);
        CHECK_INT(ask_in(rig, 4, 1, prompt).n_cached, 199);
        CHECK_INT(ask_in(rig, 5, 0, prompt).n_cached, 199);
        CHECK_INT(ask_in(rig, 6, 2, prompt).n_cached, 199);
        rig_end(rig);
    }
}

static void nobody_waits_for_a_prompt_of_another_set(void) {
    char prompt[300];
    letters(prompt, 200, 6);
    lcrt_rig *rig = new_rig();
    rig->fake.n_batch = 64;
    rig_open(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = job_in(id, id % 2, 8);
        REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
    }
    rig_run(rig);
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK_INT(stats.n_joined, 2);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = job_in(id, id % 2, 8);
        rig_check_model(rig, &job, prompt, rig->fake.n_ctx_seq);
        CHECK_INT(rig->jobs[id].usage.n_cached, id <= 2 ? 0 : 199);
    }
    rig_end(rig);
}

/* What another set's slot has in common saves nobody anything: its loss is a loss. */
static void a_slot_is_worth_what_it_alone_has_in_its_set(void) {
    char prompt[300], other[300];
    letters(prompt, 200, 7);
    letters(other, 100, 8);
    lcrt_rig *rig = new_rig();
    rig->params.n_slots = 3;
    rig_open(rig);
    (void)ask_in(rig, 1, 0, prompt);
    (void)ask_in(rig, 2, 1, prompt);
    (void)ask_in(rig, 3, 0, other);
    (void)ask_in(rig, 4, 2, "short");
    CHECK_INT(ask_in(rig, 5, 0, prompt).n_cached, 199);
    CHECK_INT(ask_in(rig, 6, 1, prompt).n_cached, 199);
    rig_end(rig);
}

/* A state of one set is put out of the only slot, and wanted again by others and by its own. */
static void put_out_and_ask(memory_kind kind, bool disk, const char *prompt) {
    char other[200];
    letters(other, 100, 10);
    lcrt_rig *rig = open_rig(kind, 1, 1 << 20, disk);
    (void)ask_in(rig, 1, 1, prompt);
    (void)ask_in(rig, 2, 1, other);
    CHECK_INT(ask_in(rig, 3, 0, prompt).n_cached, 0);
    CHECK_INT(ask_in(rig, 4, 2, prompt).n_cached, 0);
    lcrt_usage usage = ask_in(rig, 5, 1, prompt);
    CHECK(usage.n_cached > 150 && usage.n_host == usage.n_cached);
    if (disk) {
        CHECK(store(rig) > 0);
    }
    rig_end(rig);
}

static void states_are_found_again_by_their_own_set_only(void) {
    char prompt[300];
    letters(prompt, 200, 9);
    for (memory_kind kind = ANY; kind < N_KINDS; kind++) {
        put_out_and_ask(kind, false, prompt);
        put_out_and_ask(kind, true, prompt);
        lcrt_rig *rig = open_rig(kind, 1, 1 << 20, true); /* finds the files */
        CHECK_INT(ask_in(rig, 1, 3, prompt).n_cached, 0);
        lcrt_usage usage = ask_in(rig, 2, 1, prompt);
        CHECK(usage.n_cached > 150 && usage.n_disk == usage.n_cached);
        rig_end(rig);
        (void)folder_walk(folder.fd, true);
    }
}

/* When each of the sequences last had a row, and the longest it has waited for one. */
typedef struct watch {
    lcrt_rig *rig;
    int64_t last_ns[N_TIMES], gap_ns[N_TIMES];
    int32_t n_rows_max;
} watch;

static void note_rows(void *data, const lcrt_row *rows, int32_t n_rows) {
    watch *seen = data;
    int64_t now_ns = lcrt_fake_clock(seen->rig->backend.self);
    seen->n_rows_max = n_rows > seen->n_rows_max ? n_rows : seen->n_rows_max;
    for (int32_t i = 0; i < n_rows; i++) {
        int64_t gap_ns = seen->last_ns[rows[i].seq] > 0 ? now_ns - seen->last_ns[rows[i].seq] : 0;
        seen->gap_ns[rows[i].seq] = gap_ns > seen->gap_ns[rows[i].seq] ? gap_ns : seen->gap_ns[rows[i].seq];
        seen->last_ns[rows[i].seq] = now_ns;
    }
}

static lcrt_rig *watched(watch *seen, int64_t step_ns, int64_t adapt_ns) {
    lcrt_rig *rig = new_rig();
    *seen = (watch){.rig = rig};
    rig->fake.on_decode = note_rows;
    rig->fake.on_decode_data = seen;
    rig->fake.step_ns = step_ns;
    rig->fake.row_ns = MS / 5;
    rig->fake.adapt_ns = adapt_ns;
    return rig;
}

static void streams_of_several_sets_take_turns_of_bounded_length(void) {
    watch seen;
    lcrt_rig *rig = watched(&seen, 5 * MS, 5 * MS);
    rig_open(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = job_in(id, id, 200);
        REQUIRE(rig_submit_job(rig, &job, "abc") == LCRT_OK);
    }
    rig_run(rig);
    int64_t n_adapts = rig_stats(rig).n_adapts;
    for (int32_t i = 0; i < 4; i++) {
        /* Three turns of others, 25 ms and at most a pass and a change more each. */
        CHECK(seen.gap_ns[i] > 0 && seen.gap_ns[i] <= 4 * (25 + 12) * MS);
        CHECK_INT(rig->jobs[i + 1].n_tokens, 200);
    }
    CHECK(n_adapts >= 4 && n_adapts <= 800 / 4);
    CHECK(rig_stats(rig).n_decodes >= 800);
    rig_end(rig);
}

static void sequences_of_one_set_share_their_passes(void) {
    watch seen;
    lcrt_rig *rig = watched(&seen, 5 * MS, 5 * MS);
    rig_open(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = job_in(id, id % 2, 100);
        REQUIRE(rig_submit_job(rig, &job, "abc") == LCRT_OK);
    }
    rig_run(rig);
    CHECK(rig_stats(rig).n_decodes <= 2 * 100 + 10);
    rig_end(rig);
}

static void a_long_prompt_of_another_set_does_not_hold_streams_up(void) {
    watch seen;
    lcrt_rig *rig = watched(&seen, 5 * MS, 5 * MS);
    rig->fake.n_batch = 2048;
    rig_open(rig);
    rig_submit(rig, 1, "abc", 300);
    for (int32_t i = 0; i < 20; i++) {
        (void)rig_step(rig);
    }
    char prompt[2100];
    letters(prompt, 2000, 3);
    lcrt_job job = job_in(2, 1, 4);
    REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
    rig_run(rig);
    CHECK(seen.gap_ns[rig->engine->slots.slots[0].id] <= 150 * MS);
    CHECK(rig->jobs[2].usage.prefill_ns > 400 * MS && rig->jobs[2].usage.prefill_ns < 2000 * MS);
    rig_end(rig);
}

/* Eight jobs of one set, of which four end early, and four of another set, which get the slots of these. */
static int64_t run_two_sets(bool mixed, lcrt_engine_stats *stats, lcrt_fake_stats *fake) {
    watch seen;
    lcrt_rig *rig = watched(&seen, 5 * MS, 5 * MS);
    rig->fake.unified = false;
    rig->fake.consecutive = true;
    rig->params.n_slots = 8;
    rig_open(rig);
    for (uint64_t id = 1; id <= 12; id++) {
        char prompt[40];
        letters(prompt, 30, id);
        bool brief = id <= 8 && (mixed ? id % 2 == 0 : id > 4);
        lcrt_job job = job_in(id, id <= 8 ? 1 : 2, brief ? 5 : 200);
        REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
    }
    int64_t begin_ns = lcrt_fake_clock(rig->backend.self);
    rig_run(rig);
    int64_t ns = lcrt_fake_clock(rig->backend.self) - begin_ns;
    lcrt_engine_stats_get(rig->engine, stats);
    *fake = rig_stats(rig);
    rig_end(rig);
    return ns;
}

static void sets_whose_jobs_came_mixed_cost_no_more_passes(void) {
    lcrt_engine_stats stats;
    lcrt_fake_stats fake;
    int64_t sorted_ns = run_two_sets(false, &stats, &fake);
    CHECK_INT(fake.n_gaps, 0);
    int64_t mixed_ns = run_two_sets(true, &stats, &fake);
    CHECK(mixed_ns < sorted_ns + sorted_ns / 20);
    CHECK(fake.n_gaps <= 8 && stats.n_moves <= 8);
}

/* Short jobs of one set come and go; one of another set must get its passes all the same. */
static void a_crowd_does_not_starve_another_set(void) {
    watch seen;
    lcrt_rig *rig = watched(&seen, 5 * MS, 5 * MS);
    rig->params.n_slots = 4;
    rig_open(rig);
    lcrt_job lonely = job_in(63, 2, 20);
    REQUIRE(rig_submit_job(rig, &lonely, "abc") == LCRT_OK);
    uint64_t n_asked = 0;
    for (int32_t i = 0; i < 4000 && rig->jobs[63].n_finish == 0; i++) {
        if (n_asked < 60 && n_asked < (uint64_t)rig->n_finished + 6) {
            lcrt_job job = job_in(++n_asked, 1, 3);
            char prompt[200];
            letters(prompt, 150, n_asked);
            REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
        }
        (void)rig_step(rig);
    }
    CHECK_INT(rig->jobs[63].n_tokens, 20);
    CHECK(n_asked < 60); /* it did not have to wait for the last of them */
    rig_run(rig);
    rig_end(rig);
}

/* What was asked, for comparing. */
static lcrt_job jobs[RIG_JOBS];
static char prompts[RIG_JOBS][400];

static lcrt_rig *open_any(uint64_t *random, int32_t round) {
    lcrt_rig *rig = new_rig();
    rig->fake.unified = round % 3 != 0;
    rig->fake.consecutive = !rig->fake.unified;
    rig->fake.can_trim = rig->fake.can_shift = round % 5 != 1;
    rig->fake.n_ctx = test_between(random, 900, 2000);
    rig->fake.n_ctx_seq = 600;
    rig->fake.n_outputs = 60;
    rig->fake.step_ns = test_between(random, 0, 30) * MS;
    rig->fake.adapt_ns = test_between(random, 0, 30) * MS;
    rig->params.n_slots = test_between(random, 1, 8);
    rig->params.n_draft = test_between(random, 0, 1) * 6;
    rig->params.cache = (lcrt_cache_params){.ram_len = test_between(random, 0, 2) * 9000,
                                            .disk_len = round % 2 == 0 ? 1 << 30 : 0,
                                            .dir = folder.path,
                                            .version = "1",
                                            .model = "fake",
                                            .setup = "sets"};
    rig_open(rig);
    return rig;
}

static void submit_any(lcrt_rig *rig, uint64_t *random, uint64_t id) {
    int32_t n = test_between(random, 0, 3) * 60;
    jobs[id] = job_in(id, (uint64_t)test_between(random, 0, 3), test_between(random, 1, 25));
    letters(prompts[id], n, (uint64_t)test_between(random, 1, 2));
    letters(prompts[id] + n, test_between(random, 1, 150), (uint64_t)test_between(random, 3, 6));
    REQUIRE(rig_submit_job(rig, &jobs[id], prompts[id]) == LCRT_OK);
}

static void run_all(lcrt_rig *rig, uint64_t *random) {
    for (uint64_t id = 1; rig->n_finished < RIG_JOBS - 1;) {
        if (id < RIG_JOBS && test_between(random, 0, 2) == 0) {
            submit_any(rig, random, id++);
        }
        unsigned n_rings = lcrt_bell_count(&rig->engine->bell);
        if (!rig_step(rig) && id == RIG_JOBS && rig->n_finished < RIG_JOBS - 1) {
            lcrt_bell_wait(&rig->engine->bell, n_rings);
        }
    }
}

static void random_jobs_get_the_answers_of_their_sets(void) {
    uint64_t random = 77;
    int64_t n_adapts = 0, n_cached = 0;
    printf("seed %llu\n", (unsigned long long)random);
    for (int32_t round = 0; round < 30; round++) {
        lcrt_rig *rig = open_any(&random, round);
        run_all(rig, &random);
        for (uint64_t id = 1; id < RIG_JOBS; id++) {
            rig_check_model(rig, &jobs[id], prompts[id], rig->fake.n_ctx_seq);
            n_cached += rig->jobs[id].usage.n_cached;
        }
        n_adapts += rig_stats(rig).n_adapts;
        CHECK(rig->engine->slots.n_sets <= rig->engine->slots.n);
        (void)store(rig);
        rig_end(rig);
    }
    printf("%lld changes, %lld tokens found\n", (long long)n_adapts, (long long)n_cached);
    CHECK(n_adapts > 1000 && n_cached > 20000);
    (void)folder_walk(folder.fd, true);
}

int main(void) {
    folder = folder_new();
    RUN(each_set_has_its_own_answer);
    RUN(an_unknown_set_is_one_jobs_error);
    RUN(what_one_set_computed_is_not_anothers);
    RUN(nobody_waits_for_a_prompt_of_another_set);
    RUN(a_slot_is_worth_what_it_alone_has_in_its_set);
    RUN(states_are_found_again_by_their_own_set_only);
    RUN(streams_of_several_sets_take_turns_of_bounded_length);
    RUN(sequences_of_one_set_share_their_passes);
    RUN(a_long_prompt_of_another_set_does_not_hold_streams_up);
    RUN(sets_whose_jobs_came_mixed_cost_no_more_passes);
    RUN(a_crowd_does_not_starve_another_set);
    RUN(random_jobs_get_the_answers_of_their_sets);
    folder_free(&folder);
    return test_end();
}
