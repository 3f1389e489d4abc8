/* What slots hold behind passes with guesses is stored and found again like anything else. */
#include "tiers-rig.h"

#define N_ANSWER 120
#define TURN 70 /* new tokens of each */

/* A conversation, by its tokens. */
typedef struct talk {
    int32_t tokens[RIG_TOKENS];
    int32_t n;
    int32_t n_known; /* of these, those whose cells some slot has had */
} talk;

static void say(talk *one, int32_t n, uint64_t number) {
    char text[RIG_TOKENS];
    letters(text, n, number);
    one->n += rig_tokens(text, one->tokens + one->n);
}

/* Always drafts; the last two tokens decide, so that guesses are right now and then. */
static lcrt_rig *open_drafting(int64_t ram_len, bool disk) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_window = 2;
    rig->fake.n_outputs = 32;
    rig->params.n_slots = 1;
    rig->params.n_draft = -6;
    rig->params.cache = (lcrt_cache_params){.ram_len = ram_len,
                                            .disk_len = disk ? 1 << 30 : 0,
                                            .dir = folder.path,
                                            .version = "1",
                                            .model = "fake",
                                            .setup = "drafts"};
    rig_open(rig);
    return rig;
}

/* A turn's answer, checked and said. */
static lcrt_usage answer(lcrt_rig *rig, uint64_t id, talk *one) {
    static model_answer want;
    lcrt_job job = rig_job_default(id);
    job.max_tokens = N_ANSWER;
    job.tokens = one->tokens;
    job.n_tokens = one->n;
    REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
    finish(rig, rig->n_finished + 1);
    const rig_job *got = &rig->jobs[id];
    model_run(&rig->fake, &job, 4096, &want);
    CHECK_INT(got->n_tokens, want.n_tokens);
    CHECK(memcmp(got->tokens, want.tokens, (size_t)want.n_tokens * sizeof(int32_t)) == 0);
    memcpy(one->tokens + one->n, want.tokens, (size_t)want.n_tokens * sizeof(int32_t));
    one->n += want.n_tokens;
    one->n_known = one->n - 1; /* the last token was drawn and not computed */
    return got->usage;
}

static void a_conversation_goes_on_from_disk_in_engine_after_engine(void) {
    static talk one;
    int32_t n_accepted = 0, n_rejected = 0;
    one.n = 0;
    for (uint64_t turn = 1; turn <= 6; turn++) {
        lcrt_rig *rig = open_drafting(0, true);
        say(&one, TURN, turn);
        lcrt_usage usage = answer(rig, 1, &one);
        CHECK_INT(usage.n_disk, turn == 1 ? 0 : usage.n_prompt - TURN - 1);
        n_accepted += usage.n_accepted;
        n_rejected += usage.n_drafted - usage.n_accepted;
        CHECK_INT(store(rig), 1);
        rig_end(rig);
    }
    CHECK(n_rejected > 0 && n_accepted > 100);
    (void)folder_walk(folder.fd, true);
}

static void conversations_take_turns_in_one_slot(void) {
    static talk talks[3];
    lcrt_rig *rig = open_drafting(1 << 20, false);
    for (uint64_t id = 1; id <= 15; id++) {
        talk *one = &talks[id % 3];
        int32_t n_known = one->n_known;
        say(one, TURN, id);
        CHECK_INT(answer(rig, id, one).n_host, n_known);
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    CHECK(stats.n_accepted > 100 && stats.n_drafted > stats.n_accepted);
    rig_end(rig);
}

int main(void) {
    folder = folder_new();
    RUN(a_conversation_goes_on_from_disk_in_engine_after_engine);
    RUN(conversations_take_turns_in_one_slot);
    folder_free(&folder);
    return test_end();
}
