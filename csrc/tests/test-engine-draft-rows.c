/* Rows that drafts may have: not more than the gate knows, never fewer than none, and none once there is no room. */
#include "drafter-rig.h"

static int32_t widest;

static void note_rows(void *data, const lcrt_row *rows, int32_t n_rows) {
    (void)data;
    (void)rows;
    widest = n_rows > widest ? n_rows : widest;
}

/* Always drafts. */
static lcrt_rig *rig_always(int32_t n_draft) {
    lcrt_rig *rig = rig_drafter(-n_draft, 1);
    rig->fake.on_decode = note_rows;
    widest = 0;
    return rig;
}

static void eight_streams_have_no_more_rows_than_the_gate_knows(void) {
    lcrt_rig *rig = rig_always(32);
    rig->fake.n_outputs = 8 + 4 * 32;
    rig->fake.n_window = 2;
    rig->params.n_slots = 8;
    rig->params.n_chunk = 512;
    rig_open(rig);
    for (uint64_t id = 1; id <= 8; id++) {
        rig_submit(rig, id, "hello", 200);
    }
    rig_run(rig);
    CHECK(widest > LCRT_GATE_ROWS / 2 && widest <= LCRT_GATE_ROWS);
    for (uint64_t id = 1; id <= 8; id++) {
        lcrt_job job = rig_job_default(id);
        job.max_tokens = 200;
        rig_check_model(rig, &job, "hello", 4096);
    }
    rig_end(rig);
}

/* Prompts and guesses do not share a pass. */
static void beside_a_prompt_nothing_is_guessed(void) {
    lcrt_rig *rig = rig_always(4);
    rig->fake.n_window = 2;
    rig->params.n_chunk = 16;
    rig_open(rig);
    rig_submit(rig, 1, "hello", 200);
    int32_t n_beside = 0;
    for (bool worked = true; worked;) {
        lcrt_engine_stats before, after;
        lcrt_engine_stats_get(rig->engine, &before);
        worked = rig_step(rig);
        lcrt_engine_stats_get(rig->engine, &after);
        if (after.n_drafted > 20 && rig->jobs[2].n_finish == 0 && n_beside == 0 && rig->engine->n_running == 1) {
            rig_submit_long(rig, 2, 200, 4);
        }
        bool beside = after.n_prefill_rows > before.n_prefill_rows && rig->engine->n_streams > 0;
        CHECK(!beside || after.n_drafted == before.n_drafted);
        n_beside += beside;
    }
    CHECK(n_beside > 5 && rig->jobs[1].usage.n_accepted > 50);
    rig_end(rig);
}

/* More tokens are known than a pass may have: no rows are left, and none are taken away. */
static void a_long_forced_text_leaves_none(void) {
    static model_answer answer;
    uint64_t places[100];
    for (int32_t i = 0; i < 100; i++) {
        places[i] = i < 4 ? 0xFFFF0 : (uint64_t)1 << (4 + i % 20);
    }
    lcrt_fake_grammar_params params = {.places = places, .n_places = 100, .n_least = 100};
    lcrt_rig *rig = rig_always(4);
    rig->params.n_chunk = 16;
    rig_open(rig);
    lcrt_job job = rig_job_default(1);
    int32_t tokens[RIG_TOKENS];
    job.n_tokens = rig_tokens("hello", tokens);
    job.tokens = tokens;
    model_run_under(&rig->fake, &job, &params, 4096, &answer);
    REQUIRE(lcrt_grammar_fake(&params, &job.grammar) == LCRT_OK);
    REQUIRE(rig_submit_job(rig, &job, "hello") == LCRT_OK);
    for (int32_t i = 0; i < 200 && rig_step(rig); i++) {
        CHECK(rig->engine->n_running == 0 || rig->engine->running[0]->draft.n >= 0);
    }
    CHECK_INT(rig->jobs[1].n_finish, 1);
    CHECK_INT(rig->jobs[1].n_tokens, answer.n_tokens);
    CHECK(memcmp(rig->jobs[1].tokens, answer.tokens, (size_t)answer.n_tokens * sizeof(int32_t)) == 0);
    rig_end(rig);
}

/* Whether its guesses are of use or not, the smaller model runs once for a step that finds no room at first, and what
 * it took is paid for. */
static void a_step_without_room_asks_the_smaller_model_once(void) {
    for (int32_t useful = 0; useful < 2; useful++) {
        lcrt_rig *rig = rig_always(4);
        drafter_params.eog_bias = useful == 0 ? 100 : drafter_params.eog_bias; /* the end is never a guess */
        rig->fake.full_at = 12;
        open_with_drafter(rig);
        rig_submit(rig, 1, "hello", 80);
        rig_submit(rig, 2, "world", 80);
        bool worked = true;
        while (worked) {
            int64_t n_before = n_guessing();
            int64_t n_decodes = rig_stats(rig).n_decodes;
            double credit_ns = rig->engine->gate.credit_ns;
            bool full = n_decodes == rig->fake.full_at - 1;
            worked = rig_step(rig);
            CHECK(n_guessing() - n_before <= 4);
            if (full) {
                CHECK_INT(n_guessing() - n_before, 4);
                CHECK(rig->engine->gate.credit_ns < credit_ns - 3 * MS);
            }
        }
        for (uint64_t id = 1; id <= 2; id++) {
            lcrt_job job = rig_job_default(id);
            job.max_tokens = 80;
            rig_check_model(rig, &job, id == 1 ? "hello" : "world", 4096);
            CHECK_INT(rig->jobs[id].usage.n_accepted > 0, useful);
        }
        rig_end(rig);
    }
}

int main(void) {
    RUN(eight_streams_have_no_more_rows_than_the_gate_knows);
    RUN(beside_a_prompt_nothing_is_guessed);
    RUN(a_long_forced_text_leaves_none);
    RUN(a_step_without_room_asks_the_smaller_model_once);
    return test_end();
}
