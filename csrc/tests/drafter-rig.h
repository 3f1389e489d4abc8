/* drafter-rig.h -- a rig with a smaller model that guesses, and the time that both take. */
#ifndef LCRT_TEST_DRAFTER_RIG_H
#define LCRT_TEST_DRAFTER_RIG_H

#include "rig.h"

#define MS 1000000

static lcrt_backend drafter;
static lcrt_fake_params drafter_params;

static int64_t both_clocks(void *data) {
    const lcrt_rig *rig = data;
    return lcrt_fake_clock(rig->backend.self) + (drafter.self != NULL ? lcrt_fake_clock(drafter.self) : 0);
}

/* The answers depend on all that came before, so that the history is of no use; the smaller model gives the same ones
 * if its seed is 1. */
static inline lcrt_rig *rig_drafter(int32_t n_draft, uint64_t seed) {
    lcrt_rig *rig = rig_new_hash();
    rig->fake.step_ns = 10 * MS;
    rig->fake.row_ns = MS / 10;
    rig->fake.n_outputs = 64;
    rig->fake.seed = 1;
    rig->params.n_draft = n_draft;
    drafter_params = rig->fake;
    drafter_params.seed = seed;
    drafter_params.step_ns = MS;
    drafter_params.row_ns = MS / 100;
    drafter = (lcrt_backend){.self = NULL};
    return rig;
}

/* Without the smaller model, but with its clock. */
static inline void open_alone(lcrt_rig *rig) {
    REQUIRE(lcrt_backend_fake(&rig->fake, &rig->backend) == LCRT_OK);
    REQUIRE(lcrt_engine_open(&rig->backend, &rig->params, both_clocks, rig, &rig->engine) == LCRT_OK);
}

static inline void open_with_drafter(lcrt_rig *rig) {
    REQUIRE(lcrt_backend_fake(&drafter_params, &drafter) == LCRT_OK);
    rig->params.drafter = &drafter;
    open_alone(rig);
}

/* Passes of the smaller model so far. */
static inline int64_t n_guessing(void) {
    lcrt_fake_stats stats;
    lcrt_fake_stats_get(&drafter, &stats);
    return stats.n_decodes;
}

/* Nothing was done to the drafter that may not be done. */
static inline void end_with_drafter(lcrt_rig *rig) {
    lcrt_fake_stats stats;
    lcrt_fake_stats_get(&drafter, &stats);
    CHECK_INT(stats.n_faults, 0);
    rig_end(rig);
}

#endif
