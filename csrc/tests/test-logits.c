/* test-logits.c -- log-softmax, the likeliest tokens and the likeliest one. */
#include "lcrt/logits.h"
#include "sampler-cases.h"

#define N_MAX 12000

static float row[N_MAX];

static double expected_logprob(int32_t n_vocab, int32_t token) {
    double top = -INFINITY;
    double total = 0.0;
    for (int32_t i = 0; i < n_vocab; i++) {
        top = (double)row[i] > top ? (double)row[i] : top;
    }
    for (int32_t i = 0; i < n_vocab; i++) {
        total += isnan(row[i]) ? 0.0 : exp((double)row[i] - top);
    }
    return (double)row[token] - top - log(total);
}

/* How many come before a token in the order of likelihood. */
static int32_t expected_place(int32_t n_vocab, int32_t token) {
    int32_t n = 0;
    for (int32_t i = 0; i < n_vocab; i++) {
        n += row[i] > row[token] || (row[i] == row[token] && i < token);
    }
    return n;
}

static void check_row(int32_t n_vocab, int32_t n_top) {
    int32_t tokens[50];
    float logprobs[50];
    lcrt_logits_top(row, n_vocab, n_top, tokens, logprobs);
    for (int32_t i = 0; i < n_top; i++) {
        if (i >= n_vocab) {
            CHECK(tokens[i] == -1 && logprobs[i] == -INFINITY);
            continue;
        }
        CHECK(expected_place(n_vocab, tokens[i]) == i);
        CHECK(fabs((double)logprobs[i] - expected_logprob(n_vocab, tokens[i])) < 2e-5);
        CHECK(logprobs[i] == lcrt_logits_logprob(row, n_vocab, tokens[i]));
    }
    CHECK(expected_place(n_vocab, lcrt_logits_argmax(row, n_vocab)) == 0);
    CHECK(fabs((double)lcrt_logits_logprob(row, n_vocab, n_vocab / 2) - expected_logprob(n_vocab, n_vocab / 2)) < 2e-5);
}

static void random_rows_are_as_computed_in_doubles(void) {
    cases random = {1};
    const int32_t sizes[] = {1, 2, 255, 256, 257, 8192, 8193, N_MAX};
    for (int i = 0; i < 8; i++) {
        for (int repeat = 0; repeat < 20; repeat++) {
            cases_row(&random, sizes[i], row);
            row[cases_below(&random, sizes[i])] = row[cases_below(&random, sizes[i])];
            check_row(sizes[i], 1 + cases_below(&random, 50));
        }
    }
}

static void equals_come_by_token(void) {
    for (int32_t i = 0; i < 1000; i++) {
        row[i] = 4.0f;
    }
    check_row(1000, 20);
    CHECK(lcrt_logits_argmax(row, 1000) == 0);
}

static void a_certain_token_has_logprob_zero(void) {
    for (int32_t i = 0; i < 1000; i++) {
        row[i] = -INFINITY;
    }
    row[600] = 12.5f;
    CHECK(lcrt_logits_logprob(row, 1000, 600) == 0.0f);
    CHECK(lcrt_logits_logprob(row, 1000, 5) == -INFINITY);
    row[600] = 100.0f;
    row[601] = 0.1f;
    CHECK(lcrt_logits_logprob(row, 1000, 600) == 0.0f);
    CHECK(fabsf(lcrt_logits_logprob(row, 1000, 601) + 99.9f) < 1e-4f);
}

static void what_is_no_number_counts_as_never(void) {
    int32_t tokens[3];
    float logprobs[3];
    for (int32_t i = 0; i < 1000; i++) {
        row[i] = NAN;
    }
    CHECK(lcrt_logits_argmax(row, 1000) == 0);
    CHECK(lcrt_logits_logprob(row, 1000, 5) == -INFINITY);
    row[300] = -50.0f;
    lcrt_logits_top(row, 1000, 3, tokens, logprobs);
    CHECK(tokens[0] == 300 && logprobs[0] == 0.0f);
    CHECK(tokens[1] == -1 && logprobs[1] == -INFINITY && tokens[2] == -1);
    CHECK(lcrt_logits_argmax(row, 1000) == 300);
    lcrt_logits_top(row, 1000, 0, tokens, logprobs);
}

int main(void) {
    random_rows_are_as_computed_in_doubles();
    equals_come_by_token();
    a_certain_token_has_logprob_zero();
    what_is_no_number_counts_as_never();
    return 0;
}
