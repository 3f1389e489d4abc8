/* bench-prefix.c -- what the tree of prefixes costs with many stored entries.
 *
 * bench-prefix [ENTRIES [TOKENS]]: for several kinds of content, the time of a look-up and the
 * memory beside the tokens, per entry. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lcrt/prefix.h"

#define N_VOCAB 151936
#define N_LOOKUPS 2000

typedef struct bench_content {
    const char *name;
    int32_t n_common; /* first tokens that all entries have */
    int32_t n_groups; /* conversations; their turns are entries that go on from one another */
} bench_content;

static uint64_t state = 1;

static uint64_t draw(void) {
    uint64_t x = (state += 0x9E3779B97F4A7C15u);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Token number i of a conversation. */
static int32_t token_of(const bench_content *content, int32_t group, int32_t i) {
    uint64_t before = state;
    state = (uint64_t)i * 1000003 + (i < content->n_common ? 0 : (uint64_t)group + 1);
    int32_t token = (int32_t)(draw() % N_VOCAB);
    state = before;
    return token;
}

static double now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Length of a turn: a conversation's last one has all n_tokens. */
static int32_t length_of(const bench_content *content, int32_t n_entries, int32_t i, int32_t n_tokens) {
    int32_t n_turns = (n_entries + content->n_groups - 1) / content->n_groups;
    int64_t n = (int64_t)n_tokens * (i / content->n_groups + 1) / n_turns;
    return n > 0 ? (int32_t)n : 1;
}

static bool store_all(lcrt_prefix *prefix, const bench_content *content, int32_t n_entries, int32_t n_tokens,
                      int32_t *tokens) {
    for (int32_t i = 0; i < n_entries; i++) {
        int32_t entry, n = length_of(content, n_entries, i, n_tokens);
        for (int32_t k = 0; k < n; k++) {
            tokens[k] = token_of(content, i % content->n_groups, k);
        }
        if (lcrt_prefix_store(prefix, tokens, n, NULL, &entry) != LCRT_OK) {
            return false;
        }
    }
    return true;
}

static void look_up(lcrt_prefix *prefix, const bench_content *content, int32_t n_tokens, int32_t *tokens) {
    static double times[N_LOOKUPS];
    int64_t n_found = 0;
    for (int32_t i = 0; i < N_LOOKUPS; i++) {
        int32_t group = (int32_t)(draw() % (uint64_t)content->n_groups), n_shared;
        int32_t n_same = (int32_t)(draw() % (uint64_t)n_tokens);
        for (int32_t k = 0; k < n_tokens; k++) {
            tokens[k] = k < n_same ? token_of(content, group, k) : (int32_t)(draw() % N_VOCAB);
        }
        double begin_us = now_us();
        n_found += lcrt_prefix_find(prefix, tokens, n_tokens, i % 2 == 1, &n_shared) >= 0;
        times[i] = now_us() - begin_us;
    }
    qsort(times, N_LOOKUPS, sizeof(times[0]), compare);
    printf("  look-up: median %.1f us, 99 %% %.1f us, longest %.1f us, %lld of %d found\n", times[N_LOOKUPS / 2],
           times[N_LOOKUPS * 99 / 100], times[N_LOOKUPS - 1], (long long)n_found, N_LOOKUPS);
}

static int run(const bench_content *content, int32_t n_entries, int32_t n_tokens) {
    lcrt_prefix *prefix;
    int32_t *tokens = malloc((size_t)n_tokens * sizeof(*tokens));
    if (tokens == NULL || lcrt_prefix_init(8, &prefix) != LCRT_OK) {
        free(tokens);
        return EXIT_FAILURE;
    }
    double begin_us = now_us();
    bool stored = store_all(prefix, content, n_entries, n_tokens, tokens);
    double store_us = now_us() - begin_us;
    lcrt_prefix_stats stats;
    lcrt_prefix_stats_get(prefix, &stats);
    double beside = (double)(stats.size - (size_t)stats.n_tokens * sizeof(int32_t)) / n_entries;
    printf("%s\n  %d entries, %d nodes, %.1f million tokens; %.0f bytes beside tokens and %.1f us to store, each\n",
           content->name, stats.n_stored, stats.n_nodes, (double)stats.n_tokens / 1e6, beside, store_us / n_entries);
    look_up(prefix, content, n_tokens, tokens);
    lcrt_prefix_free(prefix);
    free(tokens);
    return stored ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    int32_t n_entries = argc > 1 ? atoi(argv[1]) : 10000;
    int32_t n_tokens = argc > 2 ? atoi(argv[2]) : 2000;
    if (n_entries < 1 || n_tokens < 2) {
        return EXIT_FAILURE;
    }
    const bench_content contents[] = {
        {"all different", 0, n_entries},
        {"one system prompt, half of every entry", n_tokens / 2, n_entries},
        {"conversations, ten turns each", n_tokens / 20, n_entries / 10 > 0 ? n_entries / 10 : 1},
        {"turns of one endless conversation", 0, 1},
    };
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]) && status == EXIT_SUCCESS; i++) {
        status = run(&contents[i], n_entries, n_tokens);
    }
    return status;
}
