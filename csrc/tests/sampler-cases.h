/* sampler-cases.h -- random rows, parameters and masks for the tests of the sampler. */
#ifndef LCRT_SAMPLER_CASES_H
#define LCRT_SAMPLER_CASES_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lcrt/sampling.h"

static inline void cases_check(int holds, const char *what, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
        abort();
    }
}

#define CHECK(what) cases_check((what), #what, __FILE__, __LINE__)

typedef struct cases {
    uint64_t state;
} cases;

static inline uint64_t cases_bits(cases *c) {
    c->state = c->state * 6364136223846793005U + 1442695040888963407U;
    return c->state >> 16;
}

/* In (0, 1]. */
static inline float cases_uniform(cases *c) {
    return (float)((cases_bits(c) & 0xFFFFFF) + 1) * 0x1p-24f;
}

/* In 0 .. n - 1. */
static inline int32_t cases_below(cases *c, int32_t n) {
    return (int32_t)(cases_bits(c) % (uint64_t)n);
}

static inline float cases_gaussian(cases *c) {
    float radius = sqrtf(-2.0f * logf(cases_uniform(c)));
    return radius * cosf(6.2831853f * cases_uniform(c));
}

static inline float cases_pick(cases *c, const float *choices, int32_t n_choices) {
    return choices[cases_below(c, n_choices)];
}

/* A gaussian bulk and some high values, as models make them; wide or flat ones too. */
static inline void cases_row(cases *c, int32_t n_vocab, float *row) {
    static const float spreads[] = {0.5f, 1.5f, 3.0f};
    float spread = cases_pick(c, spreads, 3);
    float height = 10.0f * cases_uniform(c);
    for (int32_t i = 0; i < n_vocab; i++) {
        row[i] = spread * cases_gaussian(c) - 2.0f;
    }
    int32_t n_high = cases_below(c, 60);
    for (int32_t i = 0; i < n_high; i++) {
        row[cases_below(c, n_vocab)] = height + 3.0f * cases_gaussian(c);
    }
}

static inline lcrt_sampling cases_sampling(cases *c) {
    static const int32_t top_k[] = {0, 0, 1, 2, 40, 40, 100, 300};
    static const float top_p[] = {1.0f, 1.0f, 0.0f, 0.5f, 0.9f, 0.95f, 0.999f};
    static const float min_p[] = {0.0f, 0.0f, 0.01f, 0.05f, 0.3f, 1.0f};
    static const float typical_p[] = {1.0f, 1.0f, 1.0f, 0.3f, 0.9f};
    static const float temperature[] = {0.2f, 0.8f, 1.0f, 1.7f};
    static const float repeat[] = {1.0f, 1.0f, 1.1f, 1.5f, 0.8f};
    static const float other[] = {0.0f, 0.0f, 0.3f, -0.5f};
    return (lcrt_sampling){.seed = cases_bits(c),
                           .temperature = cases_pick(c, temperature, 4),
                           .top_k = top_k[cases_below(c, 8)],
                           .top_p = cases_pick(c, top_p, 7),
                           .min_p = cases_pick(c, min_p, 6),
                           .typical_p = cases_pick(c, typical_p, 5),
                           .repeat_penalty = cases_pick(c, repeat, 5),
                           .frequency_penalty = cases_pick(c, other, 4),
                           .presence_penalty = cases_pick(c, other, 4),
                           .repeat_last_n = cases_below(c, 100)};
}

static inline void cases_print(const lcrt_sampling *s, int32_t n_vocab) {
    fprintf(stderr,
            "vocabulary %d, temperature %g, top_k %d, top_p %g, min_p %g, typical_p %g, repeat %g, frequency %g, "
            "presence %g, last_n %d, %d biases\n",
            n_vocab, (double)s->temperature, s->top_k, (double)s->top_p, (double)s->min_p, (double)s->typical_p,
            (double)s->repeat_penalty, (double)s->frequency_penalty, (double)s->presence_penalty, s->repeat_last_n,
            s->n_bias);
}

#endif
