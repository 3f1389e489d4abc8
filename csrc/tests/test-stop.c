#include "lcrt/stop.h"
#include "test.h"

static lcrt_stop *make(const char *const *stops, int32_t n) {
    lcrt_stop *stop;
    REQUIRE(lcrt_stop_init(stops, n, &stop) == LCRT_OK);
    return stop;
}

/* Position of the match in a whole text; *n_held as find sets it. */
static int32_t find(const lcrt_stop *stop, const char *text, int32_t *n_held) {
    return lcrt_stop_find(stop, text, (int32_t)strlen(text), 0, n_held);
}

static void the_earliest_position_wins_not_the_first_string(void) {
    lcrt_stop *stop = make((const char *[]){"world", "lo"}, 2);
    int32_t n_held;
    CHECK_INT(find(stop, "hello world", &n_held), 3);
    CHECK_INT(n_held, 0);
    lcrt_stop_free(stop);
}

static void the_longest_possible_beginning_is_held(void) {
    lcrt_stop *stop = make((const char *[]){"STOP", "ST-ST-"}, 2);
    int32_t n_held;
    CHECK_INT(find(stop, "abcST", &n_held), -1);
    CHECK_INT(n_held, 2);
    CHECK_INT(find(stop, "abcST-ST", &n_held), -1);
    CHECK_INT(n_held, 5);
    CHECK_INT(find(stop, "abcSTx", &n_held), -1);
    CHECK_INT(n_held, 0);
    lcrt_stop_free(stop);
}

static void a_match_that_overlaps_a_failed_one_is_found(void) {
    lcrt_stop *stop = make((const char *[]){"aab"}, 1);
    int32_t n_held;
    CHECK_INT(find(stop, "aaab", &n_held), 1);
    lcrt_stop_free(stop);
}

static void empty_strings_are_left_out(void) {
    lcrt_stop *stop = make((const char *[]){"", "x", ""}, 3);
    int32_t n_held;
    CHECK_INT(find(stop, "abc", &n_held), -1);
    CHECK_INT(find(stop, "abx", &n_held), 2);
    lcrt_stop_free(stop);
    stop = make(NULL, 0);
    CHECK_INT(find(stop, "abc", &n_held), -1);
    CHECK_INT(n_held, 0);
    lcrt_stop_free(stop);
}

static void a_match_may_begin_before_what_was_seen(void) {
    lcrt_stop *stop = make((const char *[]){"STOP"}, 1);
    int32_t n_held;
    CHECK_INT(lcrt_stop_find(stop, "xxSTOPyy", 8, 5, &n_held), 2);
    lcrt_stop_free(stop);
}

/* The obvious way: try every position and every string. */
static int32_t find_slowly(const char *const *stops, int32_t n, const char *text, int32_t len, int32_t *n_held) {
    *n_held = 0;
    for (int32_t at = 0; at < len; at++) {
        for (int32_t s = 0; s < n; s++) {
            int32_t stop_len = (int32_t)strlen(stops[s]);
            int32_t left = len - at;
            if (left >= stop_len && memcmp(text + at, stops[s], (size_t)stop_len) == 0) {
                *n_held = 0;
                return at;
            }
            if (left < stop_len && memcmp(text + at, stops[s], (size_t)left) == 0 && left > *n_held) {
                *n_held = left;
            }
        }
    }
    return -1;
}

static void random_letters(uint64_t *seed, char *out, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (char)('a' + test_between(seed, 0, 1));
    }
    out[n] = '\0';
}

static void text_in_pieces_matches_like_the_whole_looked_at_slowly(void) {
    uint64_t seed = 11;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int32_t round = 0; round < 20000; round++) {
        char one[8], two[8], text[17];
        random_letters(&seed, one, test_between(&seed, 2, 7));
        random_letters(&seed, two, test_between(&seed, 2, 7));
        random_letters(&seed, text, 16);
        const char *stops[] = {one, two};
        lcrt_stop *stop = make(stops, 2);
        int32_t n_seen = 0;
        while (n_seen < 16) {
            int32_t len = test_between(&seed, n_seen + 1, 16);
            int32_t n_held, n_held_slowly;
            int32_t at = lcrt_stop_find(stop, text, len, n_seen, &n_held);
            CHECK_INT(at, find_slowly(stops, 2, text, len, &n_held_slowly));
            CHECK_INT(n_held, n_held_slowly);
            if (at >= 0) {
                break;
            }
            n_seen = len;
        }
        lcrt_stop_free(stop);
    }
}

int main(void) {
    RUN(the_earliest_position_wins_not_the_first_string);
    RUN(the_longest_possible_beginning_is_held);
    RUN(a_match_that_overlaps_a_failed_one_is_found);
    RUN(empty_strings_are_left_out);
    RUN(a_match_may_begin_before_what_was_seen);
    RUN(text_in_pieces_matches_like_the_whole_looked_at_slowly);
    return test_end();
}
