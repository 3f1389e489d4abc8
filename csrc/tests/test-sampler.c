/* test-sampler.c -- what the sampler promises, by hand. test-sampler-model.c has the
 * random cases. */
#include <string.h>

#include "lcrt/sampling.h"
#include "sampler-cases.h"

#define N 1000

static lcrt_sampling open_sampling(void) {
    lcrt_sampling sampling = lcrt_sampling_default();
    sampling.temperature = 1.0f;
    sampling.top_k = 0;
    sampling.top_p = 1.0f;
    return sampling;
}

static lcrt_sampler *make(const lcrt_sampling *sampling, int32_t n_vocab) {
    lcrt_sampler *sampler;
    CHECK(lcrt_sampler_init(sampling, n_vocab, &sampler) == LCRT_OK);
    return sampler;
}

static int32_t sample_once(const lcrt_sampling *sampling, const float *row, int32_t n_vocab, const uint32_t *mask) {
    lcrt_sampler *sampler = make(sampling, n_vocab);
    int32_t token = lcrt_sampler_sample(sampler, row, mask);
    lcrt_sampler_free(sampler);
    return token;
}

static void fill(float *row, int32_t n, float value) {
    for (int32_t i = 0; i < n; i++) {
        row[i] = value;
    }
}

static void defaults_are_those_of_the_options(void) {
    lcrt_sampling s = lcrt_sampling_default();
    CHECK(s.seed == 0 && s.temperature == 0.8f && s.top_k == 40 && s.top_p == 0.9f && s.min_p == 0.0f);
    CHECK(s.typical_p == 1.0f && s.repeat_penalty == 1.0f && s.frequency_penalty == 0.0f);
    CHECK(s.presence_penalty == 0.0f && s.repeat_last_n == 64 && s.n_bias == 0 && s.bias == NULL);
}

static void check_refused(const lcrt_sampling *sampling, int32_t n_vocab) {
    lcrt_sampler *sampler = NULL;
    CHECK(lcrt_sampler_init(sampling, n_vocab, &sampler) == LCRT_ERR_INVALID);
    CHECK(sampler == NULL);
}

static void a_value_out_of_range_is_refused(void) {
    const lcrt_sampling good = lcrt_sampling_default();
    const lcrt_logit_bias outside = {N, 1.0f};
    const lcrt_logit_bias negative = {-1, 1.0f};
    const lcrt_logit_bias no_number = {0, NAN};
    const lcrt_logit_bias infinite = {0, INFINITY};
    const lcrt_logit_bias *biases[] = {&outside, &negative, &no_number, &infinite, NULL};
    for (int i = 0; i < 5; i++) {
        lcrt_sampling bad = good;
        bad.n_bias = 1;
        bad.bias = biases[i];
        check_refused(&bad, N);
    }
    lcrt_sampling bad = good;
    float *fields[] = {&bad.temperature,       &bad.top_p,           &bad.min_p, &bad.typical_p, &bad.repeat_penalty,
                       &bad.frequency_penalty, &bad.presence_penalty};
    for (int i = 0; i < 7; i++) {
        bad = good;
        *fields[i] = NAN;
        check_refused(&bad, N);
    }
    bad = good;
    bad.repeat_penalty = 0.0f;
    check_refused(&bad, N);
    bad = good;
    bad.repeat_last_n = -1;
    check_refused(&bad, N);
    bad = good;
    bad.n_bias = -1;
    check_refused(&bad, N);
    check_refused(&good, 0);
    check_refused(&good, -5);
    lcrt_sampler_free(NULL);
}

static void temperature_zero_takes_the_first_of_the_largest(void) {
    float row[N];
    lcrt_sampling greedy = lcrt_sampling_default();
    greedy.temperature = 0.0f;
    for (int32_t first = 0; first < N; first += 37) {
        fill(row, N, -1.0f);
        row[first] = 2.0f;
        row[N - 1] = 2.0f;
        CHECK(sample_once(&greedy, row, N, NULL) == first);
    }
    fill(row, N, -0.0f);
    row[500] = 0.0f;
    CHECK(sample_once(&greedy, row, N, NULL) == 0);
    fill(row, N, -3e38f);
    row[999] = -2e38f;
    CHECK(sample_once(&greedy, row, N, NULL) == 999);
}

static void a_bias_adds_to_the_logit_and_biases_add_up(void) {
    float row[N];
    fill(row, N, 0.0f);
    row[3] = 5.0f;
    const lcrt_logit_bias bias[] = {{700, 3.0f}, {3, -INFINITY}, {700, 3.0f}, {701, 5.5f}};
    lcrt_sampling sampling = open_sampling();
    sampling.temperature = -1.0f;
    sampling.n_bias = 4;
    sampling.bias = bias;
    CHECK(sample_once(&sampling, row, N, NULL) == 700);
    sampling.n_bias = 1;
    CHECK(sample_once(&sampling, row, N, NULL) == 3);
    sampling.n_bias = 2;
    sampling.temperature = 100.0f;
    for (sampling.seed = 0; sampling.seed < 2000; sampling.seed++) {
        CHECK(sample_once(&sampling, row, N, NULL) != 3);
    }
}

/* Two tokens: the difference of their logits follows from their probabilities. */
static float difference(lcrt_sampler *sampler, const float *row) {
    lcrt_candidate found[2];
    CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, 2) == 2);
    float p0 = found[0].token == 0 ? found[0].p : found[1].p;
    float p1 = found[0].token == 0 ? found[1].p : found[0].p;
    return logf(p0 / p1);
}

static void penalties_follow_the_count_in_the_window(void) {
    const float above[] = {3.0f, 1.0f};
    const float below[] = {-3.0f, 1.0f};
    lcrt_sampling sampling = open_sampling();
    sampling.repeat_penalty = 1.5f;
    sampling.frequency_penalty = 0.25f;
    sampling.presence_penalty = 0.5f;
    sampling.repeat_last_n = 3;
    lcrt_sampler *sampler = make(&sampling, 2);
    CHECK(fabsf(difference(sampler, above) - 2.0f) < 1e-5f);
    lcrt_sampler_accept(sampler, 0);
    CHECK(fabsf(difference(sampler, above) - (3.0f / 1.5f - 0.75f - 1.0f)) < 1e-5f);
    CHECK(fabsf(difference(sampler, below) - (-3.0f * 1.5f - 0.75f - 1.0f)) < 1e-5f);
    lcrt_sampler_accept(sampler, 0);
    CHECK(fabsf(difference(sampler, above) - (3.0f / 1.5f - 1.0f - 1.0f)) < 1e-5f);
    for (int i = 0; i < 3; i++) {
        lcrt_sampler_accept(sampler, 1);
    }
    CHECK(fabsf(difference(sampler, above) - (3.0f - (1.0f / 1.5f - 1.25f))) < 1e-5f);
    lcrt_sampler_accept(sampler, -1);
    lcrt_sampler_accept(sampler, 2);
    CHECK(fabsf(difference(sampler, above) - (3.0f - (1.0f / 1.5f - 1.25f))) < 1e-5f);
    lcrt_sampler_free(sampler);
}

static void a_window_of_nothing_penalises_nothing(void) {
    const float row[] = {3.0f, 1.0f};
    lcrt_sampling sampling = open_sampling();
    sampling.repeat_penalty = 2.0f;
    sampling.repeat_last_n = 0;
    lcrt_sampler *sampler = make(&sampling, 2);
    lcrt_sampler_accept(sampler, 0);
    CHECK(fabsf(difference(sampler, row) - 2.0f) < 1e-5f);
    lcrt_sampler_free(sampler);
}

static void draw_many(uint64_t seed, const float *row, int32_t *tokens, int32_t n) {
    lcrt_sampling sampling = open_sampling();
    sampling.seed = seed;
    lcrt_sampler *sampler = make(&sampling, N);
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = lcrt_sampler_sample(sampler, row, NULL);
    }
    lcrt_sampler_free(sampler);
}

static void the_seed_decides_with_all_its_bits(void) {
    float row[N];
    int32_t a[32];
    int32_t b[32];
    fill(row, N, 1.0f);
    draw_many(7, row, a, 32);
    draw_many(7, row, b, 32);
    CHECK(memcmp(a, b, sizeof a) == 0);
    for (int bit = 0; bit < 64; bit++) {
        draw_many(7 ^ (1ULL << bit), row, b, 32);
        CHECK(memcmp(a, b, sizeof a) != 0);
    }
}

static void looking_at_candidates_draws_nothing(void) {
    float row[N];
    int32_t tokens[32];
    lcrt_candidate found[N];
    fill(row, N, 1.0f);
    draw_many(7, row, tokens, 32);
    lcrt_sampling sampling = open_sampling();
    sampling.seed = 7;
    lcrt_sampler *sampler = make(&sampling, N);
    for (int i = 0; i < 32; i++) {
        CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, N) == N);
        CHECK(lcrt_sampler_sample(sampler, row, NULL) == tokens[i]);
    }
    CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, 10) == 10);
    CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, 0) == 0);
    lcrt_sampler_free(sampler);
}

static void forbid_all_but(uint32_t *mask, const int32_t *allowed, int n_allowed) {
    memset(mask, 0, (N + 31) / 32 * sizeof *mask);
    for (int i = 0; i < n_allowed; i++) {
        mask[allowed[i] / 32] |= 1U << (allowed[i] % 32);
    }
}

static void what_the_mask_forbids_never_comes_out(void) {
    float row[N];
    uint32_t mask[(N + 31) / 32];
    const int32_t allowed[] = {5, 300, 999};
    fill(row, N, 50.0f);
    row[5] = -20.0f;
    row[300] = -20.0f;
    row[999] = -INFINITY;
    forbid_all_but(mask, allowed, 3);
    lcrt_sampling sampling = open_sampling();
    int32_t n_five = 0;
    for (sampling.seed = 0; sampling.seed < 500; sampling.seed++) {
        int32_t token = sample_once(&sampling, row, N, mask);
        CHECK(token == 5 || token == 300);
        n_five += token == 5;
    }
    CHECK(n_five > 150 && n_five < 350);
    sampling.temperature = 0.0f;
    CHECK(sample_once(&sampling, row, N, mask) == 5);
    forbid_all_but(mask, allowed, 0);
    CHECK(sample_once(&sampling, row, N, mask) == -1);
    lcrt_sampler *sampler = make(&sampling, N);
    lcrt_candidate found;
    CHECK(lcrt_sampler_candidates(sampler, row, mask, &found, 1) == 0);
    lcrt_sampler_free(sampler);
}

static void rows_without_numbers_give_an_allowed_token(void) {
    float row[N];
    uint32_t mask[(N + 31) / 32];
    const int32_t allowed[] = {300, 301};
    forbid_all_but(mask, allowed, 2);
    const float odd[] = {NAN, -INFINITY};
    for (int i = 0; i < 2; i++) {
        fill(row, N, odd[i]);
        for (int temperature = 0; temperature < 2; temperature++) {
            lcrt_sampling sampling = open_sampling();
            sampling.temperature = (float)temperature;
            CHECK(sample_once(&sampling, row, N, NULL) == 0);
            CHECK(sample_once(&sampling, row, N, mask) == 300);
            row[7] = -1e30f;
            CHECK(sample_once(&sampling, row, N, NULL) == 7);
            CHECK(sample_once(&sampling, row, N, mask) == 300);
            row[7] = INFINITY;
            CHECK(sample_once(&sampling, row, N, NULL) == 7);
            row[7] = odd[i];
        }
    }
}

/* Ascending logits fill the set again and again before the largest come. */
static void top_k_keeps_the_largest_of_any_order(void) {
    static float row[50000];
    static lcrt_candidate found[20000];
    const int32_t ks[] = {1, 3, 40, 600, 5000};
    for (int i = 0; i < 5; i++) {
        for (int falling = 0; falling < 2; falling++) {
            for (int32_t t = 0; t < 50000; t++) {
                row[t] = 1e-3f * (float)(falling ? 50000 - t : t);
            }
            lcrt_sampling sampling = open_sampling();
            sampling.top_k = ks[i];
            lcrt_sampler *sampler = make(&sampling, 50000);
            CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, 20000) == ks[i]);
            for (int32_t t = 0; t < ks[i]; t++) {
                CHECK(found[t].token == (falling ? t : 49999 - t));
            }
            lcrt_sampler_free(sampler);
        }
    }
}

static void equal_logits_survive_by_token(void) {
    float row[N];
    lcrt_candidate found[N];
    fill(row, N, -2.5f);
    lcrt_sampling sampling = open_sampling();
    sampling.top_p = 0.25f;
    lcrt_sampler *sampler = make(&sampling, N);
    CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, N) == N / 4);
    for (int32_t i = 0; i < N / 4; i++) {
        CHECK(found[i].token == i && fabsf(found[i].p - 4.0f / N) < 1e-7f);
    }
    lcrt_sampler_free(sampler);
}

/* Half of four equals is two, but the sum must pass the half. */
static void typical_p_must_be_passed(void) {
    const float row[] = {1.0f, 1.0f, 1.0f, 1.0f};
    lcrt_candidate found[4];
    lcrt_sampling sampling = open_sampling();
    sampling.typical_p = 0.5f;
    lcrt_sampler *sampler = make(&sampling, 4);
    CHECK(lcrt_sampler_candidates(sampler, row, NULL, found, 4) == 3);
    lcrt_sampler_free(sampler);
}

static void extreme_temperatures_are_the_extremes(void) {
    float row[N];
    fill(row, N, -INFINITY);
    row[10] = 30.0f;
    row[20] = 29.999f;
    lcrt_sampling sampling = open_sampling();
    sampling.temperature = 1e-38f;
    CHECK(sample_once(&sampling, row, N, NULL) == 10);
    int32_t n_ten = 0;
    row[20] = -1e30f;
    sampling.temperature = 3e38f;
    for (sampling.seed = 0; sampling.seed < 400; sampling.seed++) {
        int32_t token = sample_once(&sampling, row, N, NULL);
        CHECK(token == 10 || token == 20);
        n_ten += token == 10;
    }
    CHECK(n_ten > 120 && n_ten < 280);
}

int main(void) {
    defaults_are_those_of_the_options();
    a_value_out_of_range_is_refused();
    temperature_zero_takes_the_first_of_the_largest();
    a_bias_adds_to_the_logit_and_biases_add_up();
    penalties_follow_the_count_in_the_window();
    a_window_of_nothing_penalises_nothing();
    the_seed_decides_with_all_its_bits();
    looking_at_candidates_draws_nothing();
    what_the_mask_forbids_never_comes_out();
    rows_without_numbers_give_an_allowed_token();
    top_k_keeps_the_largest_of_any_order();
    equal_logits_survive_by_token();
    typical_p_must_be_passed();
    extreme_temperatures_are_the_extremes();
    return 0;
}
