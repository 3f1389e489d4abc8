/* Passes with guessed tokens: the same answers, sooner. */
#include <math.h>

#include "distribution.h"
#include "rig.h"

#define MS 1000000

/* Rows cost little, so that guesses pay. */
static lcrt_rig *rig_draft(int32_t n_draft) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.step_ns = 10 * MS;
    rig->fake.row_ns = MS / 10;
    rig->fake.n_outputs = 64;
    rig->fake.n_window = 2; /* greedy answers soon repeat themselves */
    rig->params.n_draft = n_draft;
    return rig;
}

/* A prompt that the alphabet goes through several times: "abc..zabc..". */
static lcrt_rig *rig_alphabet(int32_t n_draft) {
    lcrt_rig *rig = rig_draft(n_draft);
    rig->fake.mode = LCRT_FAKE_ALPHABET;
    return rig;
}

static const char *const alphabet = "abcdefghijklmnopqrstuvwxyzabcdefghijk";

static void a_greedy_answer_is_the_same_in_fewer_passes(void) {
    int64_t n_decodes[2];
    for (int32_t i = 0; i < 2; i++) {
        lcrt_rig *rig = rig_draft(i * 12);
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.max_tokens = 400;
        rig_run_job(rig, &job, "hello");
        rig_check_model(rig, &job, "hello", 4096);
        n_decodes[i] = rig_stats(rig).n_decodes;
        CHECK_INT(rig->jobs[1].usage.n_drafted > 0, i);
        CHECK_INT(rig->jobs[1].usage.n_generated, 400);
        rig_end(rig);
    }
    CHECK(3 * n_decodes[1] < n_decodes[0]);
}

static void the_prompt_is_where_guesses_come_from(void) {
    lcrt_rig *rig = rig_alphabet(12);
    rig_open(rig);
    rig_submit(rig, 1, alphabet, -1);
    rig_run(rig);
    rig_check(rig, 1, "lmnopqrstuvwxyz", LCRT_FINISH_STOP);
    CHECK(rig_stats(rig).n_decodes <= 5);
    CHECK(rig->jobs[1].usage.n_accepted >= 11);
    CHECK(rig->jobs[1].usage.n_accepted <= rig->jobs[1].usage.n_drafted);
    CHECK_INT(rig->jobs[1].usage.n_sampled, 16);
    rig_end(rig);
}

static void other_jobs_texts_are_too_but_not_those_of_closed_ones(void) {
    for (int32_t cache = 0; cache < 2; cache++) {
        lcrt_rig *rig = rig_alphabet(12);
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.cache = cache == 1;
        rig_run_job(rig, &job, "abcd");
        CHECK_INT(rig->jobs[1].usage.n_drafted, 0);
        rig_submit(rig, 2, "xxxfgh", -1);
        rig_run(rig);
        rig_check(rig, 2, "ijklmnopqrstuvwxyz", LCRT_FINISH_STOP);
        CHECK_INT(rig->jobs[2].usage.n_drafted > 0, cache);
        rig_end(rig);
    }
}

static void limits_and_stops_hold_within_a_draft(void) {
    static const char *const stops[] = {"qr"};
    lcrt_rig *rig = rig_alphabet(12);
    rig->params.n_slots = 1;
    rig_open(rig);
    rig_submit(rig, 1, alphabet, 8);
    rig_run(rig);
    rig_check(rig, 1, "lmnopqrs", LCRT_FINISH_LENGTH);
    lcrt_job job = rig_job_default(2);
    job.stops = stops;
    job.n_stops = 1;
    rig_run_job(rig, &job, alphabet);
    rig_check(rig, 2, "lmnop", LCRT_FINISH_STOP);
    CHECK(rig->jobs[2].usage.n_accepted > 0);
    job = rig_job_default(3);
    job.n_ctx = 45;
    job.shift = false;
    rig_run_job(rig, &job, alphabet);
    rig_check(rig, 3, "lmnopqrs", LCRT_FINISH_LENGTH);
    CHECK(rig->jobs[3].usage.n_accepted > 0);
    rig_end(rig);
}

/* What a slot holds after a draft is what was computed for it: the next turn finds it. */
static void the_next_turn_finds_the_answer(void) {
    lcrt_rig *rig = rig_draft(12);
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 300;
    rig_run_job(rig, &job, "hello");
    CHECK(rig->jobs[1].usage.n_accepted > 100);
    int32_t tokens[RIG_TOKENS];
    int32_t n = rig_tokens("hello", tokens);
    memcpy(tokens + n, rig->jobs[1].tokens, 300 * sizeof(int32_t));
    lcrt_job next = rig_job_default(2);
    next.tokens = tokens;
    next.n_tokens = n + 300;
    next.max_tokens = 5;
    REQUIRE(lcrt_engine_submit(rig->engine, &next) == LCRT_OK);
    rig_run(rig);
    CHECK_INT(rig->jobs[2].usage.n_cached, n + 299);
    rig_end(rig);
}

static void log_probabilities_are_those_of_each_row(void) {
    lcrt_rig *rig = rig_draft(12);
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 120;
    job.n_logprobs = 0;
    rig_run_job(rig, &job, "hello");
    rig_check_model(rig, &job, "hello", 4096);
    CHECK(rig->jobs[1].usage.n_accepted > 20);
    int32_t tokens[RIG_TOKENS];
    float logits[LCRT_FAKE_N_VOCAB];
    int32_t n = rig_tokens("hello", tokens);
    for (int32_t i = 0; i < 120; i++) {
        lcrt_fake_logits(&rig->fake, 0, tokens, n, logits);
        double sum = 0;
        for (int32_t t = 0; t < LCRT_FAKE_N_VOCAB; t++) {
            sum += exp(logits[t]);
        }
        const lcrt_logprob *got = &rig->jobs[1].logprobs[i];
        CHECK_INT(got->token, rig->jobs[1].tokens[i]);
        CHECK(fabs((double)got->logprob - (logits[got->token] - log(sum))) < 1e-4);
        tokens[n++] = got->token;
    }
    rig_end(rig);
}

/* The same seed gives the same answer: each token is drawn from the same logits with the same
 * random number. */
static void a_sampled_answer_is_the_same_with_its_seed(void) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        lcrt_rig *rig = rig_draft(12);
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        job.sampling = lcrt_sampling_default();
        job.sampling.seed = seed;
        job.sampling.temperature = 0.3f;
        job.sampling.repeat_penalty = 1.1f;
        job.sampling.repeat_last_n = 32;
        job.max_tokens = 200;
        rig_run_job(rig, &job, "hello");
        rig_check_model(rig, &job, "hello", 4096);
        rig_end(rig);
    }
}

/* How often each token comes at place 3 behind the same two, over many seeds. */
static void count_tokens(int32_t n_draft, int32_t n_jobs, int32_t *counts, int64_t *n_drafted, int64_t *n_accepted) {
    lcrt_rig *rig = rig_draft(n_draft);
    rig_open(rig);
    memset(counts, 0, LCRT_FAKE_N_VOCAB * sizeof(*counts));
    for (int32_t i = 0; i < n_jobs; i++) {
        memset(&rig->jobs[1], 0, sizeof(rig->jobs[1]));
        lcrt_job job = rig_job_default(1);
        job.sampling = lcrt_sampling_default();
        job.sampling.seed = (uint64_t)i + (n_draft > 0 ? 1000000 : 0);
        job.sampling.temperature = 1.5f;
        job.sampling.top_k = 8;
        job.max_tokens = 8;
        rig_run_job(rig, &job, "hello");
        for (int32_t k = 0; k < 8; k++) {
            counts[rig->jobs[1].tokens[k]]++;
        }
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    *n_drafted = stats.n_drafted;
    *n_accepted = stats.n_accepted;
    rig_end(rig);
}

/* Two samples with other seeds, one with drafts and one without. */
static void sampled_tokens_have_the_same_distribution(void) {
    static int32_t with[LCRT_FAKE_N_VOCAB], without[LCRT_FAKE_N_VOCAB];
    int64_t n_drafted, n_accepted, n_none;
    count_tokens(12, 6000, with, &n_drafted, &n_accepted);
    count_tokens(0, 6000, without, &n_none, &n_none);
    CHECK(n_drafted > n_accepted && n_accepted > 1000 && n_none == 0);
    CHECK(same_distribution(with, without, LCRT_FAKE_N_VOCAB));
    printf("  %lld of %lld drafted ones taken\n", (long long)n_accepted, (long long)n_drafted);
}

/* Places that leave no choice among places that leave some. */
static void a_grammar_goes_on_within_a_draft(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed, places[80];
        lcrt_fake_grammar_stats stats = {0};
        lcrt_fake_grammar_params params = {.places = places, .n_places = 80, .n_least = 80, .free = seed % 2 == 0};
        for (int32_t i = 0; i < 80; i++) {
            uint64_t some = ((uint64_t)1 << test_between(&random, 3, 28)) | 0xFF0;
            places[i] = i % 7 == 3 ? (uint64_t)1 << test_between(&random, 3, 28) : some;
        }
        lcrt_rig *rig = rig_draft(12);
        rig_open(rig);
        int32_t n_drafted = 0;
        for (uint64_t id = 1; id <= 2; id++) {
            static model_answer answer;
            lcrt_job job = rig_job_default(id);
            params.stats = NULL;
            int32_t tokens[RIG_TOKENS];
            job.n_tokens = rig_tokens("hello", tokens);
            job.tokens = tokens;
            model_run_under(&rig->fake, &job, &params, 4096, &answer);
            params.stats = &stats;
            REQUIRE(lcrt_grammar_fake(&params, &job.grammar) == LCRT_OK);
            rig_run_job(rig, &job, "hello");
            CHECK_INT(rig->jobs[id].n_tokens, answer.n_tokens);
            CHECK(memcmp(rig->jobs[id].tokens, answer.tokens, (size_t)answer.n_tokens * sizeof(int32_t)) == 0);
            CHECK_INT(rig->jobs[id].finish, answer.finish);
            n_drafted += rig->jobs[id].usage.n_accepted;
        }
        CHECK(n_drafted > 10);
        CHECK_INT(stats.n_faults, 0);
        rig_end(rig);
    }
}

static void a_full_context_is_shifted_as_without(void) {
    lcrt_rig *rig = rig_draft(12);
    rig_open(rig);
    rig_check_shifted_guesses(rig);
    rig_end(rig);
}

static int32_t widest, n_uneven;

static void note_rows(void *data, const lcrt_row *rows, int32_t n_rows) {
    (void)data;
    int32_t counts[16] = {0}, first = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        counts[rows[i].seq]++;
        first = counts[rows[0].seq];
    }
    for (int32_t i = 0; i < 16; i++) {
        n_uneven += counts[i] > 0 && counts[i] != first && rows[n_rows - 1].pos > 40;
    }
    widest = n_rows > widest ? n_rows : widest;
}

static void where_streams_are_split_all_have_as_many_rows(void) {
    lcrt_rig *rig = rig_draft(12);
    rig->fake.unified = false;
    rig->fake.consecutive = true;
    rig->fake.n_ctx_seq = 512;
    rig->fake.on_decode = note_rows;
    widest = n_uneven = 0;
    rig_open(rig);
    for (uint64_t id = 1; id <= 2; id++) {
        rig_submit(rig, id, id == 1 ? "hello" : "world", 300);
    }
    rig_run(rig);
    CHECK(widest > 4 && n_uneven == 0);
    for (uint64_t id = 1; id <= 2; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 300;
        rig_check_model(rig, &job, id == 1 ? "hello" : "world", 512);
        CHECK(rig->jobs[id].usage.n_accepted > 50);
    }
    rig_end(rig);
}

static void many_streams_have_no_drafts(void) {
    for (int32_t n_streams = 8; n_streams <= 16; n_streams += 8) {
        lcrt_rig *rig = rig_draft(-12);
        rig->params.n_slots = 16;
        rig->fake.n_seq_max = 16;
        rig_open(rig);
        for (uint64_t id = 1; id <= (uint64_t)n_streams; id++) {
            rig_submit(rig, id, "hello", 100);
        }
        rig_run(rig);
        lcrt_engine_stats stats;
        lcrt_engine_stats_get(rig->engine, &stats);
        CHECK_INT(stats.n_drafted > 100, n_streams == 8);
        CHECK_INT(stats.n_drafted > 0, n_streams == 8);
        rig_end(rig);
    }
}

static void without_room_there_are_none_and_nobody_loses_a_slot(void) {
    lcrt_rig *rig = rig_draft(12);
    rig->fake.full_at = 60; /* of a pass with a draft, as the test sees below */
    rig->fake.on_decode = note_rows;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 900);
    rig_submit(rig, 2, "world", 900);
    widest = 0;
    rig_run(rig);
    CHECK(widest > 2);
    for (uint64_t id = 1; id <= 2; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 900;
        rig_check_model(rig, &job, id == 1 ? "hello" : "world", 4096);
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    /* Nothing was computed twice, as after a preemption it would have been. */
    CHECK_INT(stats.n_rows - (stats.n_drafted - stats.n_accepted), 10 + 2 * 899);
    rig_end(rig);
}

static void a_memory_that_cannot_be_cut_has_none(void) {
    lcrt_rig *rig = rig_draft(12);
    rig->fake.can_trim = rig->fake.can_shift = false;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    job.max_tokens = 200;
    rig_run_job(rig, &job, "hello");
    rig_check_model(rig, &job, "hello", 4096);
    CHECK_INT(rig->jobs[1].usage.n_drafted, 0);
    rig_end(rig);
}

/* Where the answer never repeats, the time is that of passes with one row. */
static void text_that_is_new_takes_no_longer(void) {
    int64_t ns[2];
    for (int32_t i = 0; i < 2; i++) {
        lcrt_rig *rig = rig_draft(12 * i);
        rig->fake.n_window = 0;
        rig->fake.row_ns = 5 * MS;
        rig_open(rig);
        for (uint64_t id = 1; id <= 20; id++) {
            lcrt_job job = rig_job_default(id);
            job.sampling = lcrt_sampling_default();
            job.sampling.seed = id;
            job.max_tokens = 200;
            rig_run_job(rig, &job, "abcabcabcabc");
        }
        ns[i] = lcrt_fake_clock(rig->backend.self);
        rig_end(rig);
    }
    CHECK((double)ns[1] < 1.01 * (double)ns[0]);
}

int main(void) {
    RUN(a_greedy_answer_is_the_same_in_fewer_passes);
    RUN(the_prompt_is_where_guesses_come_from);
    RUN(other_jobs_texts_are_too_but_not_those_of_closed_ones);
    RUN(limits_and_stops_hold_within_a_draft);
    RUN(the_next_turn_finds_the_answer);
    RUN(log_probabilities_are_those_of_each_row);
    RUN(a_sampled_answer_is_the_same_with_its_seed);
    RUN(sampled_tokens_have_the_same_distribution);
    RUN(a_grammar_goes_on_within_a_draft);
    RUN(a_full_context_is_shifted_as_without);
    RUN(where_streams_are_split_all_have_as_many_rows);
    RUN(many_streams_have_no_drafts);
    RUN(without_room_there_are_none_and_nobody_loses_a_slot);
    RUN(a_memory_that_cannot_be_cut_has_none);
    RUN(text_that_is_new_takes_no_longer);
    return test_end();
}
