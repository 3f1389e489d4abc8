/* A smaller model that guesses: the same answers, sooner, and no later when it guesses badly. */
#include "drafter-rig.h"

static void one_that_knows_the_answer_has_all_its_guesses_taken(void) {
    int64_t n_decodes[2];
    for (int32_t i = 0; i < 2; i++) {
        lcrt_rig *rig = rig_drafter(8, 1);
        if (i == 0) {
            open_alone(rig);
        } else {
            open_with_drafter(rig);
        }
        lcrt_job job = rig_job_default(1);
        job.max_tokens = 300;
        rig_run_job(rig, &job, "hello");
        rig_check_model(rig, &job, "hello", 4096);
        n_decodes[i] = rig_stats(rig).n_decodes;
        const lcrt_usage *usage = &rig->jobs[1].usage;
        CHECK_INT(usage->n_accepted, usage->n_drafted);
        CHECK_INT(usage->n_drafted > 200, i);
        if (i == 1) {
            end_with_drafter(rig);
        } else {
            rig_end(rig);
        }
    }
    CHECK(4 * n_decodes[1] < n_decodes[0]);
}

static void one_that_knows_nothing_is_asked_no_more(void) {
    lcrt_rig *rig = rig_drafter(8, 2);
    rig->fake.row_ns = 2 * MS;
    open_with_drafter(rig);
    lcrt_fake_stats before, after;
    for (uint64_t id = 1; id <= 10; id++) {
        lcrt_fake_stats_get(&drafter, &before);
        const char prompt[] = {(char)('a' + id), '\0'}; /* nothing comes twice */
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 200;
        rig_run_job(rig, &job, prompt);
        rig_check_model(rig, &job, prompt, 4096);
    }
    lcrt_fake_stats_get(&drafter, &after);
    CHECK(rig->jobs[1].usage.n_drafted > 0);
    CHECK(rig->jobs[10].usage.n_drafted <= 3);
    CHECK(after.n_decodes - before.n_decodes <= 8);
    end_with_drafter(rig);
}

/* Turns of several conversations on few slots, with grammars of limits: whatever the slots held before. */
static void it_follows_whatever_the_slots_hold(void) {
    for (int32_t split = 0; split < 2; split++) {
        lcrt_rig *rig = rig_drafter(-6, 1);
        rig->params.n_slots = 2;
        rig->fake.n_seq_max = 4;
        rig->fake.unified = split == 0;
        rig->fake.consecutive = split == 1;
        rig->fake.n_ctx_seq = split == 1 ? 512 : rig->fake.n_ctx_seq;
        open_with_drafter(rig);
        static const char *const prompts[] = {"hello", "helloworld", "world", "hello again and again", "w", "hell"};
        for (uint64_t id = 1; id <= 30; id++) {
            lcrt_job job = rig_job_default(id);
            job.max_tokens = 30 + (int32_t)id;
            REQUIRE(rig_submit_job(rig, &job, prompts[id % 6]) == LCRT_OK);
            if (id % 3 == 0) {
                rig_run(rig);
            }
        }
        rig_run(rig);
        int32_t n_accepted = 0, n_drafted = 0;
        for (uint64_t id = 1; id <= 30; id++) {
            lcrt_job job = rig_job_default(id);
            job.max_tokens = 30 + (int32_t)id;
            rig_check_model(rig, &job, prompts[id % 6], split == 1 ? 512 : 4096);
            n_accepted += rig->jobs[id].usage.n_accepted;
            n_drafted += rig->jobs[id].usage.n_drafted;
        }
        /* What it is asked for is right; the history is wrong now and then. */
        CHECK(n_accepted > 300 && 10 * n_accepted > 9 * n_drafted);
        end_with_drafter(rig);
    }
}

static void a_long_prompt_is_caught_up_with_in_pieces(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    open_with_drafter(rig);
    char prompt[1001];
    rig_letters(1000, prompt);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 200;
    rig_run_job(rig, &job, prompt);
    rig_check_model(rig, &job, prompt, 4096);
    CHECK(rig->jobs[1].usage.n_accepted > 100);
    end_with_drafter(rig);
}

static void a_full_context_is_shifted_as_without(void) {
    lcrt_rig *rig = rig_drafter(-8, 1);
    open_with_drafter(rig);
    rig_check_shifted_guesses(rig);
    end_with_drafter(rig);
}

static void one_with_less_room_guesses_where_it_has_some(void) {
    lcrt_rig *rig = rig_drafter(-8, 1);
    drafter_params.n_ctx = drafter_params.n_ctx_seq = 96;
    open_with_drafter(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        rig_submit(rig, id, id % 2 == 0 ? "hello" : "world", 200);
    }
    rig_run(rig);
    for (uint64_t id = 1; id <= 4; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 200;
        rig_check_model(rig, &job, id % 2 == 0 ? "hello" : "world", 4096);
    }
    CHECK(rig->jobs[1].usage.n_accepted > 10 && rig->jobs[1].usage.n_accepted < 100);
    end_with_drafter(rig);
}

static void sampled_answers_are_the_same_with_their_seeds(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        lcrt_rig *rig = rig_drafter(-8, 1);
        open_with_drafter(rig);
        lcrt_job job = rig_job_default(1);
        job.sampling = lcrt_sampling_default();
        job.sampling.seed = seed;
        job.sampling.temperature = 0.5f;
        job.max_tokens = 100;
        rig_run_job(rig, &job, "hello");
        rig_check_model(rig, &job, "hello", 4096);
        CHECK(rig->jobs[1].usage.n_accepted > 0);
        end_with_drafter(rig);
    }
}

static void a_grammar_cuts_its_guesses(void) {
    uint64_t places[60];
    for (int32_t i = 0; i < 60; i++) {
        places[i] = i % 2 == 0 ? 0xFFFFF0 : 0x1FF8;
    }
    lcrt_fake_grammar_stats stats = {0};
    lcrt_fake_grammar_params params = {.places = places, .n_places = 60, .n_least = 60};
    static model_answer answer;
    lcrt_rig *rig = rig_drafter(-8, 1);
    open_with_drafter(rig);
    lcrt_job job = rig_job_default(1);
    int32_t tokens[RIG_TOKENS];
    job.n_tokens = rig_tokens("hello", tokens);
    job.tokens = tokens;
    model_run_under(&rig->fake, &job, &params, 4096, &answer);
    params.stats = &stats;
    REQUIRE(lcrt_grammar_fake(&params, &job.grammar) == LCRT_OK);
    rig_run_job(rig, &job, "hello");
    CHECK_INT(rig->jobs[1].n_tokens, answer.n_tokens);
    CHECK(memcmp(rig->jobs[1].tokens, answer.tokens, (size_t)answer.n_tokens * sizeof(int32_t)) == 0);
    CHECK_INT(stats.n_faults, 0);
    end_with_drafter(rig);
}

static void one_that_fails_is_left_and_the_answer_goes_on(void) {
    for (int32_t fail_at = 1; fail_at < 12; fail_at++) {
        lcrt_rig *rig = rig_drafter(-4, 1);
        drafter_params.fail_at = fail_at;
        open_with_drafter(rig);
        lcrt_job job = rig_job_default(1);
        job.max_tokens = 100;
        rig_run_job(rig, &job, "hello");
        rig_check_model(rig, &job, "hello", 4096);
        CHECK(rig->engine->drafter.vtable == NULL);
        end_with_drafter(rig);
    }
}

static void one_that_is_no_match_is_refused(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    for (int32_t i = 0; i < 3; i++) {
        lcrt_fake_params params = drafter_params;
        params.n_vocab = i == 0 ? params.n_vocab + 1 : params.n_vocab;
        params.can_trim = params.can_shift = i != 1;
        params.n_seq_max = i == 2 ? rig->params.n_slots - 1 : params.n_seq_max;
        REQUIRE(lcrt_backend_fake(&params, &drafter) == LCRT_OK);
        rig->params.drafter = &drafter;
        CHECK_INT(lcrt_engine_init(&rig->backend, &rig->params, &rig->engine), LCRT_ERR_UNSUPPORTED);
        drafter.vtable->free(drafter.self);
    }
    rig->backend.vtable->free(rig->backend.self);
}

int main(void) {
    RUN(one_that_knows_the_answer_has_all_its_guesses_taken);
    RUN(one_that_knows_nothing_is_asked_no_more);
    RUN(it_follows_whatever_the_slots_hold);
    RUN(a_long_prompt_is_caught_up_with_in_pieces);
    RUN(a_full_context_is_shifted_as_without);
    RUN(one_with_less_room_guesses_where_it_has_some);
    RUN(sampled_answers_are_the_same_with_their_seeds);
    RUN(a_grammar_cuts_its_guesses);
    RUN(one_that_fails_is_left_and_the_answer_goes_on);
    RUN(one_that_is_no_match_is_refused);
    return test_end();
}
