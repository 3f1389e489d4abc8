/* test.h -- the little a C test needs: checks that name their line, and a runner.
 *
 * A test is a static void function without arguments whose name is a sentence. A failed
 * check is printed and counted; the test goes on unless REQUIRE was used. */
#ifndef LCRT_TEST_H
#define LCRT_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_n_failed;
static int test_n_run;

static inline bool test_check(bool good, const char *what, const char *file, int line) {
    if (!good) {
        test_n_failed++;
        printf("  %s:%d: failed: %s\n", file, line, what);
    }
    return good;
}

static inline bool test_check_int(int64_t got, int64_t want, const char *what, const char *file, int line) {
    if (got != want) {
        test_n_failed++;
        printf("  %s:%d: %s is %lld, not %lld\n", file, line, what, (long long)got, (long long)want);
    }
    return got == want;
}

static inline bool test_check_text(const char *got, size_t got_len, const char *want, const char *what,
                                   const char *file, int line) {
    bool good = got_len == strlen(want) && memcmp(got, want, got_len) == 0;
    if (!good) {
        test_n_failed++;
        printf("  %s:%d: %s is \"%.*s\", not \"%s\"\n", file, line, what, (int)got_len, got, want);
    }
    return good;
}

#define CHECK(good) test_check((good), #good, __FILE__, __LINE__)
#define CHECK_INT(got, want) test_check_int((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, got_len, want) test_check_text((got), (size_t)(got_len), (want), #got, __FILE__, __LINE__)

/* For what a test cannot go on without. */
#define REQUIRE(good)           \
    do {                        \
        if (!CHECK(good)) {     \
            exit(EXIT_FAILURE); \
        }                       \
    } while (0)

#define RUN(test)                         \
    do {                                  \
        int n_before = test_n_failed;     \
        test_n_run++;                     \
        test();                           \
        if (test_n_failed != n_before) {  \
            printf("FAILED %s\n", #test); \
        }                                 \
        fflush(stdout);                   \
    } while (0)

/* What main returns. */
static inline int test_end(void) {
    printf("%d tests, %d failed checks\n", test_n_run, test_n_failed);
    return test_n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Random numbers for tests, the same on every machine. */
static inline uint64_t test_random(uint64_t *state) {
    uint64_t x = (*state += 0x9E3779B97F4A7C15u);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* From least to most, both included. */
static inline int32_t test_between(uint64_t *state, int32_t least, int32_t most) {
    return least + (int32_t)(test_random(state) % (uint64_t)(most - least + 1));
}

#endif
