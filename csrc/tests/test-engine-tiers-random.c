#include "tiers-rig.h"

/* Conversations of random turns on few slots with little memory, again and again with another engine. */
static void answers_are_the_same_with_every_tier_in_play(void) {
    static char talks[6][3000];
    uint64_t random = 2024;
    int64_t n_host = 0, n_disk = 0, n_checkpoints = 0;
    printf("seed %llu\n", (unsigned long long)random);
    for (int32_t round = 0; round < 12; round++) {
        memory_kind kind = (memory_kind)(round % N_KINDS);
        bool disk = round % 4 != 0;
        int64_t ram = test_between(&random, 0, 3) * 6000;
        lcrt_rig *rig = open_rig(kind, test_between(&random, 1, 3), ram, disk);
        rig->fake.n_ctx = 4096;
        if (round < N_KINDS) {
            memset(talks, 0, sizeof(talks));
        }
        for (uint64_t id = 1; id < RIG_JOBS; id++) {
            char *talk = talks[test_between(&random, 0, 5)];
            size_t len = strlen(talk);
            if (len > 2000 || len == 0) {
                letters(talk, test_between(&random, 100, 400), (uint64_t)test_between(&random, 1, 3));
                len = strlen(talk);
            } else if (test_between(&random, 0, 3) == 0) {
                len -= (size_t)test_between(&random, 0, (int32_t)len / 2); /* an earlier place, other words */
            }
            letters(talk + len, test_between(&random, 1, 150), test_random(&random));
            (void)ask(rig, id, talk, test_between(&random, 1, 12));
        }
        lcrt_cache_stats stats = cache_of(rig);
        n_host += stats.host.n_jobs;
        n_disk += stats.disk.n_jobs;
        n_checkpoints += stats.n_checkpoints;
        (void)store(rig);
        rig_end(rig);
    }
    printf("%lld jobs from host memory, %lld from disk, %lld checkpoints\n", (long long)n_host, (long long)n_disk,
           (long long)n_checkpoints);
    CHECK(n_host > 0 && n_disk > 0 && n_host + n_disk > 150 && n_checkpoints > 50);
    (void)folder_walk(folder.fd, true);
}

/* What was asked, for comparing. */
typedef struct asked {
    lcrt_job job;
    char prompt[700];
    bool cancelled;
} asked;

/* Any kind of memory, a pool that is too small for all slots, much or little of each tier. */
static lcrt_rig *open_any(uint64_t *random, int32_t round) {
    memory_kind kind = (memory_kind)(round % N_KINDS);
    lcrt_rig *rig = rig_new_hash();
    rig->fake.n_ctx = test_between(random, 700, 1500);
    rig->fake.n_ctx_seq = 700;
    rig->fake.unified = round % 4 != 3;
    rig->fake.consecutive = !rig->fake.unified;
    rig->fake.can_trim = rig->fake.can_shift = kind == ANY;
    rig->fake.n_back = kind == WINDOW ? 8 : 0;
    rig->fake.n_sets = 1;
    rig->fake.n_window = test_between(random, 0, 2);
    rig->fake.n_outputs = 32;
    rig->params.n_slots = test_between(random, 1, 5);
    rig->params.n_draft = -test_between(random, 0, 4);
    rig->params.cache = (lcrt_cache_params){.ram_len = test_between(random, 0, 2) * 8000,
                                            .disk_len = round % 2 == 0 ? 1 << 30 : 0,
                                            .dir = folder.path,
                                            .version = "1",
                                            .model = "fake",
                                            .setup = "side by side"};
    rig_open(rig);
    return rig;
}

static void submit_any(lcrt_rig *rig, uint64_t *random, uint64_t id, asked *one) {
    one->job = rig_job_default(id);
    one->job.max_tokens = test_between(random, 1, 20);
    one->job.set = test_between(random, 0, 3) == 0;
    one->cancelled = test_between(random, 0, 9) == 0;
    int32_t n = test_between(random, 0, 4) * 70;
    letters(one->prompt, n, (uint64_t)test_between(random, 1, 2));
    letters(one->prompt + n, test_between(random, 1, 300), (uint64_t)test_between(random, 3, 9));
    REQUIRE(rig_submit_job(rig, &one->job, one->prompt) == LCRT_OK);
}

/* Submits, steps and cancels until all have ended. */
static void run_all(lcrt_rig *rig, uint64_t *random, asked *jobs) {
    uint64_t n_asked = 0;
    while (rig->n_finished < RIG_JOBS - 1) {
        if (n_asked < RIG_JOBS - 1 && test_between(random, 0, 5) == 0) {
            n_asked++;
            submit_any(rig, random, n_asked, &jobs[n_asked]);
        }
        unsigned n_rings = lcrt_bell_count(&rig->engine->bell);
        bool worked = rig_step(rig);
        uint64_t victim = n_asked > 0 ? 1 + test_random(random) % n_asked : 0;
        if (victim > 0 && jobs[victim].cancelled) {
            REQUIRE(lcrt_engine_cancel(rig->engine, victim) == LCRT_OK);
        } else if (!worked && n_asked == RIG_JOBS - 1 && rig->n_finished < RIG_JOBS - 1) {
            lcrt_bell_wait(&rig->engine->bell, n_rings);
        }
    }
}

static void jobs_side_by_side_get_their_answers(void) {
    static asked jobs[RIG_JOBS];
    uint64_t random = 4711;
    int64_t n_found = 0, n_accepted = 0;
    printf("seed %llu\n", (unsigned long long)random);
    for (int32_t round = 0; round < 24; round++) {
        lcrt_rig *rig = open_any(&random, round);
        run_all(rig, &random, jobs);
        for (uint64_t id = 1; id < RIG_JOBS; id++) {
            if (rig->jobs[id].finish != LCRT_FINISH_CANCEL) {
                rig_check_model(rig, &jobs[id].job, jobs[id].prompt, rig->fake.n_ctx_seq);
            }
        }
        n_found += cache_of(rig).host.n_jobs + cache_of(rig).disk.n_jobs;
        lcrt_engine_stats stats;
        lcrt_engine_stats_get(rig->engine, &stats);
        n_accepted += stats.n_accepted;
        (void)store(rig);
        rig_end(rig);
    }
    printf("%lld jobs found something stored, %lld guesses were right\n", (long long)n_found, (long long)n_accepted);
    CHECK(n_found > 100 && n_accepted > 20);
    (void)folder_walk(folder.fd, true);
}

int main(void) {
    folder = folder_new();
    RUN(answers_are_the_same_with_every_tier_in_play);
    RUN(jobs_side_by_side_get_their_answers);
    folder_free(&folder);
    return test_end();
}
