/* Drafts from the history, also against a search that looks at everything. */
#include "../core/lookup.h"

#include "test.h"

#define N_TEXTS 12
#define TEXT_MAX 400
#define DRAFT_MAX 16

static const int32_t lengths[LCRT_LOOKUP_LEVELS] = LCRT_LOOKUP_LENGTHS;

static lcrt_lookup *new_lookup(int32_t n_tokens) {
    lcrt_lookup *lookup;
    REQUIRE(lcrt_lookup_init(n_tokens, &lookup) == LCRT_OK);
    return lookup;
}

/* What is guessed behind the end of tokens. */
static int32_t guess(const lcrt_lookup *lookup, const int32_t *tokens, int32_t n_tokens, int32_t *out, int32_t max,
                     int32_t *level) {
    lcrt_place place = lcrt_lookup_find(lookup, tokens, n_tokens, level);
    return lcrt_lookup_read(lookup, place, tokens, n_tokens, out, max);
}

/* n tokens that follow each other, as one text. */
static void put_run(lcrt_lookup *lookup, lcrt_trail *trail, int32_t first, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        int32_t token = first + i;
        lcrt_lookup_put(lookup, trail, &token, 1);
    }
}

static void what_followed_once_is_guessed_again(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_trail trail = {0};
    put_run(lookup, &trail, 100, 50);
    int32_t tokens[] = {7, 110, 111, 112}, out[5], level;
    CHECK_INT(guess(lookup, tokens, 4, out, 5, &level), 5);
    CHECK_INT(level, 2);
    for (int32_t i = 0; i < 5; i++) {
        CHECK_INT(out[i], 113 + i);
    }
    lcrt_lookup_free(lookup);
}

static void less_than_the_least_length_is_no_match(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_trail trail = {0};
    put_run(lookup, &trail, 100, 50);
    int32_t tokens[] = {7, 111, 112}, out[5], level;
    CHECK_INT(guess(lookup, tokens, 3, out, 5, &level), 0);
    CHECK_INT(guess(lookup, tokens + 1, 2, out, 5, &level), 0);
    CHECK_INT(guess(lookup, tokens, 0, out, 5, &level), 0);
    lcrt_lookup_free(lookup);
}

static void the_longest_match_is_better_than_the_newest(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_trail first = {0}, second = {0};
    int32_t long_one[] = {1, 2, 3, 4, 5, 6, 70, 71, 72}, short_one[] = {9, 9, 9, 4, 5, 6, 80, 81, 82};
    lcrt_lookup_put(lookup, &first, long_one, 9);
    lcrt_lookup_put(lookup, &second, short_one, 9);
    int32_t tokens[] = {1, 2, 3, 4, 5, 6}, out[3], level;
    CHECK_INT(guess(lookup, tokens, 6, out, 3, &level), 3);
    CHECK_INT(level, 1);
    CHECK_INT(out[0], 70);
    CHECK_INT(guess(lookup, tokens + 3, 3, out, 3, &level), 3);
    CHECK_INT(level, 2);
    CHECK_INT(out[0], 80);
    lcrt_lookup_free(lookup);
}

static void the_end_of_a_text_goes_on_like_its_beginning(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_trail trail = {0};
    int32_t tokens[30], out[10], level;
    for (int32_t i = 0; i < 30; i++) {
        tokens[i] = i % 4;
    }
    lcrt_lookup_put(lookup, &trail, tokens, 30);
    CHECK_INT(guess(lookup, tokens, 30, out, 10, &level), 10);
    CHECK_INT(level, 0);
    for (int32_t i = 0; i < 10; i++) {
        CHECK_INT(out[i], (30 + i) % 4);
    }
    lcrt_lookup_free(lookup);
}

/* Two texts that are written by turns stay apart. */
static void texts_that_grow_together_do_not_mix(void) {
    lcrt_lookup *lookup = new_lookup(2000);
    lcrt_trail a = {0}, b = {0};
    for (int32_t i = 0; i < 300; i++) {
        put_run(lookup, &a, 1000 + i, 1);
        put_run(lookup, &b, 5000 + i, 1);
    }
    int32_t out[12], level;
    for (int32_t i = 10; i < 280; i++) {
        int32_t tokens[] = {1000 + i, 1001 + i, 1002 + i};
        CHECK_INT(guess(lookup, tokens, 3, out, 12, &level), 12);
        CHECK(out[0] == 1003 + i && out[11] == 1014 + i);
    }
    lcrt_lookup_free(lookup);
}

static void what_is_oldest_is_forgotten_first(void) {
    lcrt_lookup *lookup = new_lookup(640);
    int32_t out[1], level, tokens[3], n_lost = 0;
    for (int32_t text = 0; text < 50; text++) {
        lcrt_trail trail = {0};
        put_run(lookup, &trail, 1000 * text, 64);
        for (int32_t i = 0; i <= text; i++) {
            for (int32_t k = 0; k < 3; k++) {
                tokens[k] = 1000 * i + 5 + k;
            }
            int32_t n = guess(lookup, tokens, 3, out, 1, &level);
            CHECK(n == 0 || (text - i < 11 && out[0] == 1000 * i + 8));
            n_lost += text - i < 9 && n == 0;
        }
    }
    CHECK(n_lost <= 4); /* of about 400: the index is no place for all */
    lcrt_lookup_free(lookup);
}

/* A text whose own block was taken away in the meantime begins anew, without its past. */
static void a_text_that_has_lost_its_place_goes_on(void) {
    lcrt_lookup *lookup = new_lookup(128);
    lcrt_trail a = {0}, b = {0};
    put_run(lookup, &a, 100, 5);
    put_run(lookup, &b, 1000, 640);
    put_run(lookup, &a, 105, 5);
    int32_t out[4], level, lost[] = {103, 104, 105}, kept[] = {105, 106, 107};
    CHECK_INT(guess(lookup, lost, 3, out, 4, &level), 0);
    CHECK_INT(guess(lookup, kept, 3, out, 4, &level), 2);
    CHECK_INT(out[0], 108);
    lcrt_lookup_free(lookup);
}

static struct {
    int32_t tokens[TEXT_MAX];
    int32_t n;
    lcrt_trail trail;
} texts[N_TEXTS];
static int32_t times[N_TEXTS][TEXT_MAX]; /* when each token was put */

/* The newest place behind the last tokens, of the longest length first. */
static int32_t naive_level(const int32_t *tokens, int32_t n_tokens, int32_t *next) {
    for (int32_t level = 0; level < LCRT_LOOKUP_LEVELS; level++) {
        int32_t len = lengths[level], newest = -1;
        for (int32_t t = 0; t < N_TEXTS && len <= n_tokens; t++) {
            for (int32_t at = len; at < texts[t].n; at++) {
                size_t size = (size_t)len * sizeof(int32_t);
                if (memcmp(texts[t].tokens + at - len, tokens + n_tokens - len, size) == 0 && times[t][at] > newest) {
                    newest = times[t][at];
                    *next = texts[t].tokens[at];
                }
            }
        }
        if (newest >= 0) {
            return level;
        }
    }
    return -1;
}

/* Few different tokens, so that everything comes again; enough room, so that nothing is lost. */
static void it_finds_what_a_naive_search_finds(void) {
    uint64_t seed = 3;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int32_t round = 0; round < 20; round++) {
        lcrt_lookup *lookup = new_lookup(1 << 15);
        memset(texts, 0, sizeof(texts));
        int32_t n_tokens = test_between(&seed, 2, 9), time = 0, n_found = 0;
        for (int32_t step = 0; step < 800; step++) {
            int32_t t = test_between(&seed, 0, N_TEXTS - 1), n = test_between(&seed, 1, 9);
            for (int32_t i = 0; i < n && texts[t].n < TEXT_MAX; i++, time++) {
                times[t][texts[t].n] = time;
                texts[t].tokens[texts[t].n] = test_between(&seed, 0, n_tokens);
                lcrt_lookup_put(lookup, &texts[t].trail, &texts[t].tokens[texts[t].n++], 1);
            }
            int32_t out[DRAFT_MAX], level = -1, next = -1;
            int32_t n_out = guess(lookup, texts[t].tokens, texts[t].n, out, DRAFT_MAX, &level);
            int32_t want = naive_level(texts[t].tokens, texts[t].n, &next);
            CHECK_INT(n_out > 0 ? level : -1, want);
            CHECK(n_out == 0 || out[0] == next);
            n_found += n_out > 0;
        }
        CHECK(n_found > 100);
        lcrt_lookup_free(lookup);
    }
}

/* With little room things are lost, but a guess is always something that did follow. */
static void in_little_room_it_guesses_only_what_was_there(void) {
    uint64_t seed = 9;
    printf("seed %llu\n", (unsigned long long)seed);
    lcrt_lookup *lookup = new_lookup(300);
    static int32_t written[4][20000];
    int32_t n_written[4] = {0}, n_found = 0;
    lcrt_trail trails[4] = {{0}};
    for (int32_t step = 0; step < 4000; step++) {
        int32_t t = test_between(&seed, 0, 3), n = test_between(&seed, 1, 4), out[DRAFT_MAX], level;
        for (int32_t i = 0; i < n; i++) {
            /* Each text counts in steps of its own: after a token always the same one. */
            int32_t token = (n_written[t] * (t + 1)) % 97 + 1000 * t;
            written[t][n_written[t]++] = token;
            lcrt_lookup_put(lookup, &trails[t], &token, 1);
        }
        int32_t n_out = guess(lookup, written[t], n_written[t], out, DRAFT_MAX, &level);
        for (int32_t i = 0; i < n_out; i++) {
            CHECK_INT(out[i], ((n_written[t] + i) * (t + 1)) % 97 + 1000 * t);
        }
        n_found += n_out > 0;
    }
    CHECK(n_found > 100);
    lcrt_lookup_free(lookup);
}

/* A text of 100 tokens in the history, and a way along it from token from on. */
static lcrt_way way_along(lcrt_lookup *lookup, int32_t from) {
    lcrt_trail trail = {0};
    put_run(lookup, &trail, 100, 100);
    int32_t tokens[] = {from - 3, from - 2, from - 1}, level;
    return lcrt_lookup_follow(lcrt_lookup_find(lookup, tokens, 3, &level));
}

static int32_t next_token(const lcrt_lookup *lookup, const lcrt_way *way, bool skip) {
    int32_t out = -1;
    lcrt_lookup_read(lookup, lcrt_lookup_next(lookup, way, skip), NULL, 0, &out, 1);
    return out;
}

static void walk(const lcrt_lookup *lookup, lcrt_way *way, const int32_t *tokens, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        lcrt_lookup_walk(lookup, way, tokens[i]);
    }
}

static void a_way_goes_on_behind_small_changes(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_way way = way_along(lookup, 110);
    const lcrt_way before = way;
    CHECK_INT(next_token(lookup, &way, false), 110);
    walk(lookup, &way, (int32_t[]){110, 111, 112}, 3);
    CHECK_INT(next_token(lookup, &way, false), 113);
    walk(lookup, &way, (int32_t[]){7}, 1); /* instead of 113 */
    CHECK_INT(way.n_lost, 1);
    CHECK_INT(next_token(lookup, &way, true), 114);
    walk(lookup, &way, (int32_t[]){114}, 1);
    CHECK(way.n_lost == 0 && next_token(lookup, &way, false) == 115);
    walk(lookup, &way, (int32_t[]){115, 116, 7, 8, 117}, 5); /* two more */
    CHECK(way.n_lost == 0 && next_token(lookup, &way, false) == 118);
    walk(lookup, &way, (int32_t[]){118, 119, 123}, 3); /* three less */
    CHECK(way.n_lost == 0 && next_token(lookup, &way, false) == 124);
    way = before;
    walk(lookup, &way, (int32_t[]){110, 111, 112, 115, 113, 114}, 6); /* 115 was no step ahead but something new */
    CHECK(way.n_lost == 0 && next_token(lookup, &way, false) == 115);
    lcrt_lookup_free(lookup);
}

static void a_way_ends_where_texts_do_not_meet_again(void) {
    lcrt_lookup *lookup = new_lookup(1000);
    lcrt_way way = way_along(lookup, 110);
    for (int32_t i = 0; i < 20; i++) {
        lcrt_lookup_walk(lookup, &way, 500 + i);
    }
    CHECK_INT(next_token(lookup, &way, false), -1);
    walk(lookup, &way, (int32_t[]){110}, 1);
    CHECK_INT(next_token(lookup, &way, false), -1);
    way = way_along(lookup, 199);
    walk(lookup, &way, (int32_t[]){199}, 1);
    CHECK_INT(next_token(lookup, &way, false), -1);
    lcrt_lookup_free(lookup);
}

/* Its text was forgotten. */
static void a_way_that_others_have_taken_leads_nowhere(void) {
    lcrt_lookup *lookup = new_lookup(200);
    lcrt_way way = way_along(lookup, 110);
    lcrt_trail trail = {0};
    put_run(lookup, &trail, 1000, 1000);
    CHECK_INT(next_token(lookup, &way, false), -1);
    CHECK_INT(next_token(lookup, &way, true), -1);
    walk(lookup, &way, (int32_t[]){110, 1500}, 2);
    CHECK_INT(next_token(lookup, &way, false), -1);
    lcrt_lookup_free(lookup);
}

static void a_size_that_makes_no_sense_is_refused(void) {
    lcrt_lookup *lookup;
    CHECK_INT(lcrt_lookup_init(0, &lookup), LCRT_ERR_INVALID);
    lcrt_lookup_free(NULL);
}

int main(void) {
    RUN(what_followed_once_is_guessed_again);
    RUN(less_than_the_least_length_is_no_match);
    RUN(the_longest_match_is_better_than_the_newest);
    RUN(the_end_of_a_text_goes_on_like_its_beginning);
    RUN(texts_that_grow_together_do_not_mix);
    RUN(what_is_oldest_is_forgotten_first);
    RUN(a_text_that_has_lost_its_place_goes_on);
    RUN(it_finds_what_a_naive_search_finds);
    RUN(in_little_room_it_guesses_only_what_was_there);
    RUN(a_way_goes_on_behind_small_changes);
    RUN(a_way_ends_where_texts_do_not_meet_again);
    RUN(a_way_that_others_have_taken_leads_nowhere);
    RUN(a_size_that_makes_no_sense_is_refused);
    return test_end();
}
