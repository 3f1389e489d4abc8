/* test-sampler-model.c -- the sampler against a plain model of its rules: everything
 * sorted, everything in doubles. And every instruction set against the others.
 *
 * Usage: test-sampler-model [seed]. */
#include <float.h>
#include <string.h>

#include "../core/sampler-internal.h"
#include "sampler-cases.h"

#define N_VOCAB_MAX 4000
#define N_CASES 3000
#define N_WINDOW_MAX 300
#define N_BIAS 6

typedef struct token {
    int32_t id;
    double logit;
    double p;
    double rank;
} token;

typedef struct model {
    token tokens[N_VOCAB_MAX];
    int32_t n_tokens;
    int is_close; /* a rule decided by less than rounding may move */
} model;

typedef struct fixture {
    cases random;
    int32_t n_vocab;
    float row[N_VOCAB_MAX];
    uint32_t words[N_VOCAB_MAX / 32 + 1];
    const uint32_t *mask;
    lcrt_sampling sampling;
    lcrt_logit_bias bias[N_BIAS];
    int32_t window[N_WINDOW_MAX];
    int32_t n_window;
    model model;
    lcrt_candidate found[N_VOCAB_MAX];
} fixture;

static void random_row(fixture *f) {
    cases_row(&f->random, f->n_vocab, f->row);
    for (int32_t n = cases_below(&f->random, 4) ? 0 : cases_below(&f->random, f->n_vocab); n > 0; n--) {
        static const float odd[] = {-INFINITY, NAN, 0.0f, 3.0f, -3.0f};
        f->row[cases_below(&f->random, f->n_vocab)] = cases_pick(&f->random, odd, 5);
    }
}

/* None, a dense one, a sparse one, or stretches. */
static void random_mask(fixture *f) {
    int32_t kind = cases_below(&f->random, 6);
    for (int32_t i = 0; i <= N_VOCAB_MAX / 32; i++) {
        uint32_t word = (uint32_t)cases_bits(&f->random);
        uint32_t other = (uint32_t)cases_bits(&f->random);
        uint32_t stretch = i / 12 % 2 ? UINT32_MAX : 0;
        f->words[i] = kind == 0 ? word | other : kind == 1 ? word & other & (word >> 7) : stretch;
    }
    f->words[0] |= 1;
    f->mask = kind < 3 ? f->words : NULL;
}

static void random_case(fixture *f) {
    f->n_vocab = 1 + cases_below(&f->random, cases_below(&f->random, 3) ? 700 : N_VOCAB_MAX);
    random_row(f);
    random_mask(f);
    f->sampling = cases_sampling(&f->random);
    f->sampling.n_bias = cases_below(&f->random, 3) ? 0 : cases_below(&f->random, N_BIAS + 1);
    f->sampling.bias = f->bias;
    for (int32_t i = 0; i < f->sampling.n_bias; i++) {
        f->bias[i].token = cases_below(&f->random, i % 2 ? f->n_vocab : (f->n_vocab + 99) / 100);
        f->bias[i].bias = cases_below(&f->random, 5) ? 4.0f * cases_gaussian(&f->random) : -INFINITY;
    }
    f->n_window = cases_below(&f->random, N_WINDOW_MAX);
    int32_t spread = cases_below(&f->random, 2) ? f->n_vocab : (f->n_vocab + 19) / 20;
    for (int32_t i = 0; i < f->n_window; i++) {
        f->window[i] = cases_below(&f->random, spread);
    }
}

static float expected_logit(const fixture *f, int32_t id) {
    const lcrt_sampling *s = &f->sampling;
    float logit = f->row[id];
    float bias = 0.0f;
    for (int32_t i = 0; i < s->n_bias; i++) {
        bias += s->bias[i].token == id ? s->bias[i].bias : 0.0f;
    }
    logit += bias;
    int32_t count = 0;
    for (int32_t i = f->n_window > s->repeat_last_n ? f->n_window - s->repeat_last_n : 0; i < f->n_window; i++) {
        count += f->window[i] == id;
    }
    if (count > 0) {
        logit = logit <= 0.0f ? logit * s->repeat_penalty : logit / s->repeat_penalty;
        logit -= (float)count * s->frequency_penalty + s->presence_penalty;
    }
    return logit;
}

static int by_rank(const void *a, const void *b) {
    const token *x = a;
    const token *y = b;
    if (x->rank != y->rank) {
        return x->rank > y->rank ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static void sort_by_logit(model *m) {
    for (int32_t i = 0; i < m->n_tokens; i++) {
        m->tokens[i].rank = m->tokens[i].logit;
    }
    qsort(m->tokens, (size_t)m->n_tokens, sizeof m->tokens[0], by_rank);
}

static void softmax(model *m, double temperature) {
    double total = 0.0;
    for (int32_t i = 0; i < m->n_tokens; i++) {
        m->tokens[i].p = exp((m->tokens[i].logit - m->tokens[0].logit) / temperature);
        total += m->tokens[i].p;
    }
    for (int32_t i = 0; i < m->n_tokens; i++) {
        m->tokens[i].p /= total;
    }
}

/* Keeps the beginning that passes (or only reaches) the share p. */
static void keep_share(model *m, double p, int must_pass) {
    double sum = 0.0;
    for (int32_t i = 0; i < m->n_tokens; i++) {
        sum += m->tokens[i].p;
        m->is_close |= p > 0.0 && fabs(sum - p) < 2e-6;
        if (must_pass ? sum > p : sum >= p) {
            m->n_tokens = i + 1;
        }
    }
}

static void apply_typical(model *m, double p) {
    softmax(m, 1.0);
    double entropy = 0.0;
    for (int32_t i = 0; i < m->n_tokens; i++) {
        entropy -= m->tokens[i].p > 0.0 ? m->tokens[i].p * log(m->tokens[i].p) : 0.0;
    }
    for (int32_t i = 0; i < m->n_tokens; i++) {
        m->tokens[i].rank = -fabs(-log(m->tokens[i].p) - entropy);
    }
    qsort(m->tokens, (size_t)m->n_tokens, sizeof m->tokens[0], by_rank);
    int32_t n_all = m->n_tokens;
    keep_share(m, p, 1);
    m->is_close |= m->n_tokens < n_all && m->tokens[m->n_tokens - 1].rank - m->tokens[m->n_tokens].rank < 1e-5;
    sort_by_logit(m);
}

static void apply_rules(model *m, const lcrt_sampling *s) {
    if (s->top_k > 0 && m->n_tokens > s->top_k) {
        m->n_tokens = s->top_k;
    }
    if (s->typical_p < 1.0f) {
        apply_typical(m, (double)s->typical_p);
    }
    if (s->top_p < 1.0f) {
        softmax(m, 1.0);
        keep_share(m, (double)s->top_p, 0);
    }
    if (s->min_p > 0.0f) {
        float least = (float)m->tokens[0].logit + logf(s->min_p);
        int32_t n = 1;
        while (n < m->n_tokens && (float)m->tokens[n].logit >= least) {
            n++;
        }
        m->n_tokens = n;
    }
    softmax(m, (double)s->temperature);
}

static void expect(fixture *f) {
    model *m = &f->model;
    m->n_tokens = 0;
    m->is_close = 0;
    for (int32_t id = 0; id < f->n_vocab; id++) {
        int allowed = f->mask == NULL || (f->mask[id / 32] >> (id % 32) & 1U);
        float logit = expected_logit(f, id);
        if (allowed && logit > -INFINITY) {
            m->tokens[m->n_tokens++] = (token){.id = id, .logit = (double)logit};
        }
    }
    if (m->n_tokens == 0) {
        m->tokens[m->n_tokens++] = (token){.id = 0, .p = 1.0};
        return;
    }
    sort_by_logit(m);
    apply_rules(m, &f->sampling);
}

static lcrt_sampler *make(const fixture *f, lcrt_simd simd) {
    lcrt_sampler *sampler;
    CHECK(lcrt_sampler_init_with(&f->sampling, f->n_vocab, lcrt_kernels_get(simd), &sampler) == LCRT_OK);
    for (int32_t i = 0; i < f->n_window; i++) {
        lcrt_sampler_accept(sampler, f->window[i]);
    }
    return sampler;
}

static int agrees(const fixture *f, int32_t n_found) {
    const model *m = &f->model;
    if (n_found != m->n_tokens) {
        return 0;
    }
    for (int32_t i = 0; i < n_found; i++) {
        if (f->found[i].token != m->tokens[i].id || fabs((double)f->found[i].p - m->tokens[i].p) > 2e-6) {
            return 0;
        }
    }
    return 1;
}

/* Returns whether rounding could have decided. */
static int check_model(fixture *f) {
    expect(f);
    lcrt_sampler *sampler = make(f, LCRT_SIMD_NONE);
    int32_t n = lcrt_sampler_candidates(sampler, f->row, f->mask, f->found, N_VOCAB_MAX);
    if (!f->model.is_close && !agrees(f, n)) {
        cases_print(&f->sampling, f->n_vocab);
        fprintf(stderr, "%d survive, expected %d\n", n, f->model.n_tokens);
        abort();
    }
    lcrt_sampler_free(sampler);
    return f->model.is_close;
}

static void check_levels(fixture *f) {
    static lcrt_candidate others[N_VOCAB_MAX];
    lcrt_sampler *plain = make(f, LCRT_SIMD_NONE);
    int32_t n = lcrt_sampler_candidates(plain, f->row, f->mask, f->found, N_VOCAB_MAX);
    int32_t tokens[4];
    for (int i = 0; i < 4; i++) {
        tokens[i] = lcrt_sampler_sample(plain, f->row, f->mask);
    }
    lcrt_sampler_free(plain);
    for (int simd = LCRT_SIMD_NONE + 1; simd < LCRT_N_SIMD; simd++) {
        if (lcrt_kernels_get((lcrt_simd)simd) == NULL) {
            continue;
        }
        lcrt_sampler *other = make(f, (lcrt_simd)simd);
        CHECK(lcrt_sampler_candidates(other, f->row, f->mask, others, N_VOCAB_MAX) == n);
        CHECK(memcmp(others, f->found, (size_t)n * sizeof others[0]) == 0);
        for (int i = 0; i < 4; i++) {
            CHECK(lcrt_sampler_sample(other, f->row, f->mask) == tokens[i]);
        }
        lcrt_sampler_free(other);
    }
}

int main(int argc, char **argv) {
    static fixture f;
    f.random.state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)f.random.state);
    int32_t n_close = 0;
    for (int32_t i = 0; i < N_CASES; i++) {
        random_case(&f);
        n_close += check_model(&f);
        check_levels(&f);
    }
    printf("%d cases, %d too close to compare\n", N_CASES, n_close);
    CHECK(n_close * 10 < N_CASES);
    return 0;
}
