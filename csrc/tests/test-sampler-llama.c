/* test-sampler-llama.c -- the same tokens survive with the same probabilities as in
 * llama.cpp's own samplers, and draws follow those probabilities.
 *
 * Usage: test-sampler-llama [seed]. */
#include "llama.h"
#include "sampler-cases.h"

#define N_BIAS 8
#define N_VOCAB_MAX 152064
#define N_ROWS 240

typedef struct fixture {
    cases random;
    float *row;
    llama_token_data *theirs;
    size_t n_theirs;
    lcrt_candidate *ours;
    int32_t n_ours;
    lcrt_logit_bias bias[N_BIAS];
    double *p_ours; /* by token */
    int32_t n_close;
    int32_t n_compared;
} fixture;

static void add(struct llama_sampler *chain, struct llama_sampler *sampler) {
    llama_sampler_chain_add(chain, sampler);
}

static struct llama_sampler *make_chain(const lcrt_sampling *s, int32_t n_vocab) {
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_logit_bias bias[N_BIAS];
    for (int32_t i = 0; i < s->n_bias; i++) {
        bias[i] = (llama_logit_bias){s->bias[i].token, s->bias[i].bias};
    }
    add(chain, llama_sampler_init_logit_bias(n_vocab, s->n_bias, bias));
    add(chain, llama_sampler_init_penalties(n_vocab, s->repeat_last_n, s->repeat_penalty, s->frequency_penalty,
                                            s->presence_penalty));
    if (s->temperature <= 0.0f) {
        add(chain, llama_sampler_init_greedy());
        return chain;
    }
    add(chain, llama_sampler_init_top_k(s->top_k));
    add(chain, llama_sampler_init_typical(s->typical_p, 1));
    add(chain, llama_sampler_init_top_p(s->top_p, 1));
    add(chain, llama_sampler_init_min_p(s->min_p, 1));
    add(chain, llama_sampler_init_temp(s->temperature));
    add(chain, llama_sampler_init_dist(1));
    return chain;
}

/* Applies their chain; returns the token it selects. */
static int32_t apply_theirs(fixture *f, struct llama_sampler *chain, int32_t n_vocab) {
    for (int32_t i = 0; i < n_vocab; i++) {
        f->theirs[i] = (llama_token_data){i, f->row[i], 0.0f};
    }
    llama_token_data_array array = {f->theirs, (size_t)n_vocab, -1, false};
    llama_sampler_apply(chain, &array);
    f->n_theirs = array.size;
    return f->theirs[array.selected].id;
}

static void random_window(fixture *f, lcrt_sampler *ours, struct llama_sampler *theirs, int32_t n_vocab) {
    int32_t n = cases_below(&f->random, 150);
    for (int32_t i = 0; i < n; i++) {
        int32_t spread = cases_below(&f->random, 3) ? n_vocab : 20;
        int32_t token = cases_below(&f->random, spread);
        lcrt_sampler_accept(ours, token);
        llama_sampler_accept(theirs, token);
    }
}

/* With typical_p no token is forbidden: their mean is NaN where a probability is 0. Over a
 * large vocabulary their sums round, so there no rule follows typical_p, because a token
 * more or less at its upper end moves them, and no temperature spreads the difference. */
static lcrt_sampling random_sampling(fixture *f, int32_t n_vocab) {
    lcrt_sampling sampling = cases_sampling(&f->random);
    int rounds = sampling.top_k == 0 && n_vocab > 1000;
    if (rounds && sampling.typical_p < 1.0f) {
        sampling.top_p = 1.0f;
        sampling.min_p = 0.0f;
    }
    if (rounds && (sampling.typical_p < 1.0f || sampling.top_p < 1.0f)) {
        sampling.temperature = 1.0f;
    }
    sampling.n_bias = cases_below(&f->random, 2) ? cases_below(&f->random, N_BIAS + 1) : 0;
    sampling.bias = f->bias;
    for (int32_t i = 0; i < sampling.n_bias; i++) {
        f->bias[i].token = cases_below(&f->random, n_vocab);
        int forbids = sampling.typical_p >= 1.0f && cases_below(&f->random, 4) == 0;
        f->bias[i].bias = forbids ? -INFINITY : 5.0f * cases_gaussian(&f->random);
    }
    return sampling;
}

typedef struct comparison {
    double worst; /* difference of the probabilities of a token that both have */
    int32_t n_missing;
    double missing; /* probability of the tokens that only one has */
} comparison;

static comparison compare(fixture *f) {
    comparison c = {0};
    double p_common = 0.0;
    int32_t n_common = 0;
    for (int32_t i = 0; i < f->n_ours; i++) {
        f->p_ours[f->ours[i].token] = (double)f->ours[i].p;
    }
    for (size_t i = 0; i < f->n_theirs; i++) {
        double theirs = (double)f->theirs[i].p;
        double ours = f->p_ours[f->theirs[i].id];
        if (ours >= 0.0) {
            n_common++;
            p_common += ours;
            c.worst = fmax(c.worst, fabs(ours - theirs));
        } else if (f->theirs[i].logit > -INFINITY) {
            c.n_missing++;
            c.missing += theirs;
        }
    }
    c.n_missing += f->n_ours - n_common;
    c.missing += f->n_ours > n_common ? 1.0 - p_common : 0.0;
    for (int32_t i = 0; i < f->n_ours; i++) {
        f->p_ours[f->ours[i].token] = -1.0;
    }
    return c;
}

/* Their sums run in floats over whatever top_k leaves, and the bound of their error is
 * their length times the last bit. Where that decides what top_p or typical_p cuts, the
 * tokens concerned weigh no more than it, or it is a single one, or one at either end. */
static int is_rounding(const lcrt_sampling *s, int32_t n_vocab, const comparison *c) {
    int32_t n_summed = s->top_k > 0 && s->top_k < n_vocab ? s->top_k : n_vocab;
    double bound = n_summed * 0x1p-24;
    int32_t n_ends = s->typical_p < 1.0f ? 2 : 1;
    return (s->top_p < 1.0f || s->typical_p < 1.0f) && (c->n_missing <= n_ends || c->missing < bound);
}

static void compare_survivors(fixture *f, int32_t n_vocab) {
    lcrt_sampling sampling = random_sampling(f, n_vocab);
    lcrt_sampler *ours;
    CHECK(lcrt_sampler_init(&sampling, n_vocab, &ours) == LCRT_OK);
    struct llama_sampler *theirs = make_chain(&sampling, n_vocab);
    random_window(f, ours, theirs, n_vocab);
    cases_row(&f->random, n_vocab, f->row);
    apply_theirs(f, theirs, n_vocab);
    f->n_ours = lcrt_sampler_candidates(ours, f->row, NULL, f->ours, n_vocab);
    comparison c = compare(f);
    f->n_compared++;
    if (c.n_missing > 0 && is_rounding(&sampling, n_vocab, &c)) {
        f->n_close++;
    } else if (c.n_missing > 0 || c.worst >= 1e-5) {
        cases_print(&sampling, n_vocab);
        fprintf(stderr, "%d survive here, %zu there; %d of them, weighing %g, not in both; else %g apart\n", f->n_ours,
                f->n_theirs, c.n_missing, c.missing, c.worst);
        abort();
    }
    llama_sampler_free(theirs);
    lcrt_sampler_free(ours);
}

static void compare_greedy(fixture *f, int32_t n_vocab) {
    lcrt_sampling sampling = random_sampling(f, n_vocab);
    sampling.temperature = 0.0f;
    lcrt_sampler *ours;
    CHECK(lcrt_sampler_init(&sampling, n_vocab, &ours) == LCRT_OK);
    struct llama_sampler *theirs = make_chain(&sampling, n_vocab);
    random_window(f, ours, theirs, n_vocab);
    cases_row(&f->random, n_vocab, f->row);
    int32_t likeliest = lcrt_sampler_sample(ours, f->row, NULL);
    f->row[cases_below(&f->random, n_vocab)] = f->row[likeliest];
    CHECK(lcrt_sampler_sample(ours, f->row, NULL) == apply_theirs(f, theirs, n_vocab));
    llama_sampler_free(theirs);
    lcrt_sampler_free(ours);
}

/* The statistic over what their chain leaves, tokens with few expected draws pooled. For
 * n degrees of freedom it is above n + 5 sqrt(2 n) + 10 less than once in 10^5. */
static void check_draws(fixture *f, const lcrt_sampling *sampling, int32_t n_vocab, int32_t n_draws) {
    lcrt_sampler *ours;
    CHECK(lcrt_sampler_init(sampling, n_vocab, &ours) == LCRT_OK);
    struct llama_sampler *theirs = make_chain(sampling, n_vocab);
    apply_theirs(f, theirs, n_vocab);
    int32_t *counts = calloc((size_t)n_vocab, sizeof *counts);
    for (int32_t i = 0; i < n_draws; i++) {
        counts[lcrt_sampler_sample(ours, f->row, NULL)]++;
    }
    double statistic = 0.0;
    double pooled_expected = 0.0;
    double pooled = 0.0;
    int32_t n_free = 0;
    int32_t n_seen = 0;
    for (size_t i = 0; i < f->n_theirs; i++) {
        double expected = (double)f->theirs[i].p * n_draws;
        int32_t count = counts[f->theirs[i].id];
        n_seen += count;
        if (expected < 8.0) {
            pooled_expected += expected;
            pooled += count;
            continue;
        }
        statistic += (count - expected) * (count - expected) / expected;
        n_free++;
    }
    if (pooled_expected > 8.0) {
        statistic += (pooled - pooled_expected) * (pooled - pooled_expected) / pooled_expected;
        n_free++;
    }
    n_free = n_free > 1 ? n_free - 1 : 1;
    printf("chi-square, vocabulary %d, seed %llu, top_k %d: %.1f with %d degrees of freedom\n", n_vocab,
           (unsigned long long)sampling->seed, sampling->top_k, statistic, n_free);
    CHECK(n_seen == n_draws);
    CHECK(statistic < n_free + 5.0 * sqrt(2.0 * n_free) + 10.0);
    free(counts);
    llama_sampler_free(theirs);
    lcrt_sampler_free(ours);
}

static void compare_draws(fixture *f) {
    lcrt_sampling usual = lcrt_sampling_default();
    lcrt_sampling all = usual;
    all.top_k = 0;
    all.top_p = 1.0f;
    lcrt_sampling cut = all;
    cut.top_p = 0.95f;
    cut.min_p = 0.001f;
    lcrt_sampling typical = all;
    typical.typical_p = 0.6f;
    const lcrt_sampling *settings[] = {&usual, &all, &cut, &typical};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (int i = 0; i < 4; i++) {
            lcrt_sampling sampling = *settings[i];
            sampling.seed = seed << 40;
            cases_row(&f->random, 1000, f->row);
            check_draws(f, &sampling, 1000, 30000);
        }
    }
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)seed);
    fixture f = {.random = {seed}};
    f.row = malloc(N_VOCAB_MAX * sizeof *f.row);
    f.theirs = malloc(N_VOCAB_MAX * sizeof *f.theirs);
    f.ours = malloc(N_VOCAB_MAX * sizeof *f.ours);
    f.p_ours = malloc(N_VOCAB_MAX * sizeof *f.p_ours);
    CHECK(f.row != NULL && f.theirs != NULL && f.ours != NULL && f.p_ours != NULL);
    for (int32_t i = 0; i < N_VOCAB_MAX; i++) {
        f.p_ours[i] = -1.0;
    }
    const int32_t vocabs[] = {1000, 1000, 1000, 49152, 49152, 152064};
    for (int i = 0; i < N_ROWS; i++) {
        compare_survivors(&f, vocabs[i % 6]);
        compare_greedy(&f, vocabs[i % 6]);
    }
    printf("%d sets compared, %d differ where sums round\n", f.n_compared, f.n_close);
    CHECK(f.n_close * 20 <= f.n_compared);
    compare_draws(&f);
    free(f.row);
    free(f.theirs);
    free(f.ours);
    free(f.p_ours);
    return 0;
}
