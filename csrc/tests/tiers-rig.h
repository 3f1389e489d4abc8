/* tiers-rig.h -- an engine on the fake backend with all tiers, for each kind of memory. */
#ifndef LCRT_TEST_TIERS_RIG_H
#define LCRT_TEST_TIERS_RIG_H

#include "folder.h"
#include "rig.h"

/* What a memory can do. */
typedef enum memory_kind { ANY, RECURRENT, WINDOW, N_KINDS } memory_kind;

static test_folder folder; /* for the files; the test makes and frees it */

/* An engine of n_slots that keeps ram_len bytes in host memory and files when disk is wanted. */
static inline lcrt_rig *open_rig(memory_kind kind, int32_t n_slots, int64_t ram_len, bool disk) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.can_trim = rig->fake.can_shift = kind == ANY;
    rig->fake.n_back = kind == WINDOW ? 8 : 0;
    rig->fake.n_sets = 9;
    rig->params.n_slots = n_slots;
    rig->params.cache =
        (lcrt_cache_params){.ram_len = ram_len, .dir = folder.path, .version = "1", .model = "fake", .setup = "small"};
    rig->params.cache.disk_len = disk ? 1 << 30 : 0;
    rig_open(rig);
    return rig;
}

/* Runs until n jobs in all have ended, whatever they wait for. */
static inline void finish(lcrt_rig *rig, int32_t n_finished) {
    for (;;) {
        unsigned n_rings = lcrt_bell_count(&rig->engine->bell);
        bool worked = rig_step(rig);
        if (rig->n_finished >= n_finished) {
            return;
        }
        if (!worked) {
            lcrt_bell_wait(&rig->engine->bell, n_rings);
        }
    }
}

static inline lcrt_cache_stats cache_of(const lcrt_rig *rig) {
    lcrt_cache_stats stats;
    lcrt_engine_cache_stats_get(rig->engine, &stats);
    return stats;
}

/* A prompt of n letters, other ones for every number. */
static inline void letters(char *out, int32_t n, uint64_t number) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (char)('a' + test_random(&number) % 26);
    }
    out[n] = '\0';
}

/* Asks and checks the answer; returns the usage. */
static inline lcrt_usage ask(lcrt_rig *rig, uint64_t id, const char *prompt, int32_t n_answer) {
    lcrt_job job = rig_job_default(id);
    job.max_tokens = n_answer;
    REQUIRE(rig_submit_job(rig, &job, prompt) == LCRT_OK);
    finish(rig, rig->n_finished + 1);
    rig_check_model(rig, &job, prompt, rig->fake.n_ctx_seq);
    return rig->jobs[id].usage;
}

static inline int32_t store(lcrt_rig *rig) {
    int32_t n_left;
    int32_t n = lcrt_engine_store(rig->engine, 20000000000, &n_left);
    CHECK_INT(n_left, 0);
    return n;
}

#endif
