/* What is guessed does not show in what is drawn, however much likelier it is than the rest. */
#include "distribution.h"
#include "drafter-rig.h"

/* How often each token comes behind the same prompt with many seeds. The likeliest ones are guessed, each time. */
static void count_tokens(int32_t n_draft, int32_t *counts) {
    lcrt_rig *rig = rig_drafter(n_draft, 1);
    open_with_drafter(rig);
    memset(counts, 0, LCRT_FAKE_N_VOCAB * sizeof(*counts));
    for (uint64_t i = 0; i < 2000; i++) {
        memset(&rig->jobs[1], 0, sizeof(rig->jobs[1]));
        lcrt_job job = rig_job_default(1);
        job.sampling = lcrt_sampling_default();
        job.sampling.seed = i + (n_draft != 0 ? 1000000 : 0);
        job.sampling.temperature = 0.5f;
        job.sampling.top_k = 4;
        job.max_tokens = 6;
        rig_run_job(rig, &job, "hello");
        for (int32_t k = 0; k < 6; k++) {
            counts[rig->jobs[1].tokens[k]]++;
        }
    }
    lcrt_engine_stats stats;
    lcrt_engine_stats_get(rig->engine, &stats);
    printf("  %lld of %lld drafted ones taken\n", (long long)stats.n_accepted, (long long)stats.n_drafted);
    CHECK(n_draft == 0 || (stats.n_accepted > 1000 && stats.n_drafted > stats.n_accepted + 1000));
    end_with_drafter(rig);
}

static void sampled_tokens_have_the_same_distribution(void) {
    static int32_t with[LCRT_FAKE_N_VOCAB], without[LCRT_FAKE_N_VOCAB];
    count_tokens(-4, with);
    count_tokens(0, without);
    CHECK(same_distribution(with, without, LCRT_FAKE_N_VOCAB));
}

int main(void) {
    RUN(sampled_tokens_have_the_same_distribution);
    return test_end();
}
