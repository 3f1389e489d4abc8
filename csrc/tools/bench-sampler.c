/* bench-sampler.c -- microseconds per token of this sampler and of llama.cpp's chain.
 *
 * Usage: bench-sampler [repeats]. Prints, for each vocabulary and setting, the median
 * of llama.cpp's chain, of ours with each instruction set, and how many times faster
 * the best of ours is. Rows are warm in the cache, as right after a forward pass. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../core/sampler-internal.h"
#include "lcrt/logits.h"
#include "llama.h"

#define N_ROWS 2
#define N_TIMES_MAX 2000

typedef struct setting {
    const char *name;
    lcrt_sampling sampling;
} setting;

typedef struct bench {
    int32_t n_vocab;
    int n_times;
    float *rows[N_ROWS];
    llama_token_data *candidates;
    double times[N_TIMES_MAX];
} bench;

static uint64_t random_state = 1;

static double uniform(void) {
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (double)((random_state >> 11) + 1) * 0x1p-53;
}

static float gaussian(void) {
    return (float)(sqrt(-2.0 * log(uniform())) * cos(6.283185307179586 * uniform()));
}

/* A gaussian bulk and 60 high values. */
static void fill_row(float *row, int32_t n_vocab) {
    for (int32_t i = 0; i < n_vocab; i++) {
        row[i] = 2.0f * gaussian() - 2.0f;
    }
    for (int i = 0; i < 60; i++) {
        row[(int32_t)(uniform() * (n_vocab - 1))] = 8.0f + 3.0f * gaussian();
    }
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(bench *b) {
    qsort(b->times, (size_t)b->n_times, sizeof b->times[0], by_value);
    return b->times[b->n_times / 2];
}

static int32_t window_token(int i, int32_t n_vocab) {
    return (int32_t)(((int64_t)i * 7919 + 13) % n_vocab);
}

static struct llama_sampler *make_chain(const lcrt_sampling *s, int32_t n_vocab) {
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (s->temperature <= 0.0f) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return chain;
    }
    if (s->repeat_penalty != 1.0f) {
        llama_sampler_chain_add(chain, llama_sampler_init_penalties(n_vocab, s->repeat_last_n, s->repeat_penalty,
                                                                    s->frequency_penalty, s->presence_penalty));
    }
    if (s->top_k > 0) {
        llama_sampler_chain_add(chain, llama_sampler_init_top_k(s->top_k));
    }
    if (s->top_p < 1.0f) {
        llama_sampler_chain_add(chain, llama_sampler_init_top_p(s->top_p, 1));
    }
    if (s->min_p > 0.0f) {
        llama_sampler_chain_add(chain, llama_sampler_init_min_p(s->min_p, 1));
    }
    llama_sampler_chain_add(chain, llama_sampler_init_temp(s->temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(1));
    return chain;
}

/* What llama_sampler_sample does: fill an array of candidates, apply the chain. */
static double time_theirs(bench *b, const lcrt_sampling *sampling) {
    struct llama_sampler *chain = make_chain(sampling, b->n_vocab);
    for (int i = 0; i < 64; i++) {
        llama_sampler_accept(chain, window_token(i, b->n_vocab));
    }
    for (int t = 0; t < b->n_times; t++) {
        const float *row = b->rows[t % N_ROWS];
        double start = now_us();
        for (int32_t i = 0; i < b->n_vocab; i++) {
            b->candidates[i] = (llama_token_data){i, row[i], 0.0f};
        }
        llama_token_data_array array = {b->candidates, (size_t)b->n_vocab, -1, false};
        llama_sampler_apply(chain, &array);
        llama_sampler_accept(chain, b->candidates[array.selected].id);
        b->times[t] = now_us() - start;
    }
    llama_sampler_free(chain);
    return median(b);
}

static double time_ours(bench *b, const lcrt_sampling *sampling, lcrt_simd simd) {
    lcrt_sampler *sampler;
    if (lcrt_sampler_init_with(sampling, b->n_vocab, lcrt_kernels_get(simd), &sampler) != LCRT_OK) {
        return NAN;
    }
    for (int i = 0; i < 64; i++) {
        lcrt_sampler_accept(sampler, window_token(i, b->n_vocab));
    }
    for (int t = 0; t < b->n_times; t++) {
        double start = now_us();
        int32_t token = lcrt_sampler_sample(sampler, b->rows[t % N_ROWS], NULL);
        lcrt_sampler_accept(sampler, token);
        b->times[t] = now_us() - start;
    }
    lcrt_sampler_free(sampler);
    return median(b);
}

static double time_logprobs(bench *b) {
    int32_t tokens[20];
    float logprobs[20];
    for (int t = 0; t < b->n_times; t++) {
        double start = now_us();
        lcrt_logits_top(b->rows[t % N_ROWS], b->n_vocab, 20, tokens, logprobs);
        b->times[t] = now_us() - start;
    }
    return median(b);
}

static void run_setting(bench *b, const setting *s) {
    double theirs = time_theirs(b, &s->sampling);
    double ours[LCRT_N_SIMD];
    double best = INFINITY;
    for (int simd = 0; simd < LCRT_N_SIMD; simd++) {
        ours[simd] = time_ours(b, &s->sampling, (lcrt_simd)simd);
        best = fmin(best, ours[simd]);
    }
    printf("%7d  %-34s %9.1f %8.1f %8.1f %8.1f %7.1fx\n", b->n_vocab, s->name, theirs, ours[LCRT_SIMD_NONE],
           ours[LCRT_SIMD_AVX2], ours[LCRT_SIMD_AVX512], theirs / best);
    fflush(stdout);
}

static void run_vocab(int32_t n_vocab, int n_times, const setting *settings, int n_settings) {
    bench b = {.n_vocab = n_vocab, .n_times = n_times};
    b.candidates = malloc((size_t)n_vocab * sizeof *b.candidates);
    for (int i = 0; i < N_ROWS; i++) {
        b.rows[i] = malloc((size_t)n_vocab * sizeof(float));
        fill_row(b.rows[i], n_vocab);
    }
    for (int i = 0; i < n_settings; i++) {
        run_setting(&b, &settings[i]);
    }
    printf("%7d  %-34s %36.1f\n", n_vocab, "20 logprobs", time_logprobs(&b));
    for (int i = 0; i < N_ROWS; i++) {
        free(b.rows[i]);
    }
    free(b.candidates);
}

int main(int argc, char **argv) {
    long asked = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    int n_times = asked < 1 ? 1 : asked > N_TIMES_MAX ? N_TIMES_MAX : (int)asked;
    lcrt_sampling usual = lcrt_sampling_default();
    usual.min_p = 0.05f;
    lcrt_sampling greedy = usual;
    greedy.temperature = 0.0f;
    lcrt_sampling repeat = usual;
    repeat.repeat_penalty = 1.1f;
    lcrt_sampling no_k = usual;
    no_k.top_k = 0;
    lcrt_sampling only_p = no_k;
    only_p.min_p = 0.0f;
    lcrt_sampling only_temperature = only_p;
    only_temperature.top_p = 1.0f;
    const setting settings[] = {
        {"greedy", greedy},
        {"top_k 40, top_p .9, min_p .05", usual},
        {"same, repeat 1.1 over 64", repeat},
        {"top_p .9, min_p .05, no top_k", no_k},
        {"top_p .9 alone", only_p},
        {"temperature alone", only_temperature},
    };
    const int32_t vocabs[] = {49152, 152064, 262144};
    printf("%7s  %-34s %9s %8s %8s %8s %8s\n", "vocab", "setting, us", "llama.cpp", "scalar", "avx2", "avx512",
           "times");
    for (int i = 0; i < 3; i++) {
        run_vocab(vocabs[i], n_times, settings, (int)(sizeof settings / sizeof settings[0]));
    }
    return 0;
}
