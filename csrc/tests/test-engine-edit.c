/* Drafts of a text that is much like one in the prompt: they go on behind small changes. */
#include "rig.h"

#define MS 1000000

/* Rows cost little, so that guesses pay; the answer is the alphabet. */
static lcrt_rig *rig_edit(int32_t n_draft) {
    lcrt_rig *rig = rig_new();
    rig->fake.step_ns = 10 * MS;
    rig->fake.row_ns = MS / 10;
    rig->fake.n_outputs = 64;
    rig->params.n_draft = n_draft;
    return rig;
}

static int64_t decodes_behind(const char *prompt, int32_t n_draft) {
    lcrt_rig *rig = rig_edit(n_draft);
    rig_open(rig);
    rig_submit(rig, 1, prompt, -1);
    rig_run(rig);
    rig_check(rig, 1, "bcdefghijklmnopqrstuvwxyz", LCRT_FINISH_STOP);
    int64_t n = rig_stats(rig).n_decodes;
    rig_end(rig);
    return n;
}

static void one_letter_is_enough_to_find_the_way_again(void) {
    CHECK_INT(decodes_behind("abcdefghijklmnopqrstuvwxyza", 0), 26);
    int64_t n_same = decodes_behind("abcdefghijklmnopqrstuvwxyza", 16);
    int64_t n_other = decodes_behind("abcdefghijkxmnopqrstuvwxyza", 16);
    int64_t n_less = decodes_behind("abcdefghijkopqrstuvwxyza", 16);
    int64_t n_more = decodes_behind("abcdefghijkxxlmnopqrstuvwxyza", 16);
    CHECK(n_same <= 7);
    /* The pass that ends with the change, and one for the draft behind it. */
    CHECK(n_other <= n_same + 2);
    CHECK(n_less <= n_same + 5);
    CHECK(n_more <= n_same + 2);
}

/* Made whether they pay or not. */
static void a_negative_number_drafts_always(void) {
    for (int32_t n_draft = -12; n_draft <= 12; n_draft += 24) {
        lcrt_rig *rig = rig_edit(n_draft);
        rig->fake.row_ns = 1000 * MS;
        rig_open(rig);
        for (uint64_t id = 1; id <= 3; id++) {
            rig_submit(rig, id, "abcdefghijklmnopqrstuvwxyzabcdef", -1);
            rig_run(rig);
            rig_check(rig, id, "ghijklmnopqrstuvwxyz", LCRT_FINISH_STOP);
        }
        CHECK_INT(rig->jobs[3].usage.n_drafted > 15, n_draft < 0);
        rig_end(rig);
    }
}

static void more_tokens_than_there_is_room_for_are_refused(void) {
    lcrt_rig *rig = rig_edit(LCRT_DRAFT_MAX + 1);
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    for (int32_t sign = -1; sign <= 1; sign += 2) {
        rig->params.n_draft = sign * (LCRT_DRAFT_MAX + 1);
        CHECK_INT(lcrt_engine_init(&rig->backend, &rig->params, &rig->engine), LCRT_ERR_INVALID);
    }
    rig->backend.vtable->free(rig->backend.self);
}

/* Masks take memory by the size of the vocabulary: one for the next token, one for each guess. */
static void masks_have_the_room_that_drafts_need(void) {
    for (int32_t n_draft = 0; n_draft <= 12; n_draft += 12) {
        uint64_t places[8] = {0xFF0, 0xFF0, 0xFF0, 0xFF0, 0xFF0, 0xFF0, 0xFF0, 0xFF0};
        lcrt_fake_grammar_params params = {.places = places, .n_places = 8, .n_least = 8};
        lcrt_rig *rig = rig_edit(n_draft);
        rig_open(rig);
        lcrt_job job = rig_job_default(1);
        REQUIRE(lcrt_grammar_fake(&params, &job.grammar) == LCRT_OK);
        REQUIRE(rig_submit_job(rig, &job, "ab") == LCRT_OK);
        rig_step(rig);
        REQUIRE(rig->engine->n_running == 1);
        CHECK_INT(rig->engine->running[0]->guided.n_room, n_draft);
        rig_run(rig);
        rig_end(rig);
    }
}

int main(void) {
    RUN(one_letter_is_enough_to_find_the_way_again);
    RUN(a_negative_number_drafts_always);
    RUN(more_tokens_than_there_is_room_for_are_refused);
    RUN(masks_have_the_room_that_drafts_need);
    return test_end();
}
