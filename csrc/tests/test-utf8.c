#include "lcrt/utf8.h"
#include "test.h"

#define FFFD "\xEF\xBF\xBD"

static void check_repair(const char *text, const char *want) {
    char out[256];
    int32_t n = lcrt_utf8_repair(text, (int32_t)strlen(text), out);
    CHECK_TEXT(out, n, want);
}

static void valid_text_is_copied(void) {
    check_repair("plain", "plain");
    check_repair("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF",
                 "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF");
    check_repair("", "");
}

/* The examples of the Unicode standard, tables 3-8 to 3-11. */
static void every_maximal_invalid_part_becomes_one_replacement(void) {
    check_repair("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                 "A",
                 FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
    check_repair("\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
                 "A",
                 FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
    check_repair("\xF4\x91\x92\x93\xFF"
                 "A\x80\xBF"
                 "B",
                 FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B");
    check_repair("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                 "A",
                 FFFD FFFD FFFD FFFD "A");
}

static void a_cut_character_at_the_end_is_one_replacement(void) {
    check_repair("a\xF0\x9F\x98", "a" FFFD);
    check_repair("a\xE2\x82", "a" FFFD);
}

static void check_incomplete(const char *text, int32_t want) {
    CHECK_INT(lcrt_utf8_incomplete(text, (int32_t)strlen(text)), want);
}

static void the_beginning_of_a_character_is_held_back(void) {
    check_incomplete("a\xC3", 1);
    check_incomplete("a\xE2", 1);
    check_incomplete("a\xE2\x82", 2);
    check_incomplete("a\xF0\x9F\x98", 3);
    check_incomplete("\xF0", 1);
}

static void what_can_never_become_a_character_is_not_held_back(void) {
    check_incomplete("", 0);
    check_incomplete("a", 0);
    check_incomplete("\xC3\xA9", 0);
    check_incomplete("\xFF", 0);
    check_incomplete("\xC0", 0);
    check_incomplete("\x80\x80\x80", 0);
    check_incomplete("\xED\xA0", 0);
    check_incomplete("\xF4\x90", 0);
    check_incomplete("\xE0\x80", 0);
    check_incomplete("\xE2\x82\xAC\x80", 0);
}

/* Bytes from which both good and bad characters arise often. */
static int32_t random_bytes(uint64_t *seed, char *out, int32_t n_max) {
    static const char bytes[] = "aZ\x80\x8F\x90\x9F\xA0\xA9\xBF\xC0\xC3\xDF\xE0\xE2\xED\xEF\xF0\xF4\xF5\xFF";
    int32_t n = test_between(seed, 0, n_max);
    for (int32_t i = 0; i < n; i++) {
        out[i] = bytes[test_between(seed, 0, (int32_t)sizeof(bytes) - 2)];
    }
    return n;
}

static void text_in_pieces_is_repaired_like_the_whole(void) {
    uint64_t seed = 7;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int32_t round = 0; round < 20000; round++) {
        char text[24], whole[72], pieces[72];
        int32_t n = random_bytes(&seed, text, 24);
        int32_t n_whole = lcrt_utf8_repair(text, n, whole);
        int32_t n_pieces = 0;
        for (int32_t begin = 0, end = 0; end < n;) {
            end = test_between(&seed, end + 1, n);
            int32_t n_held = end < n ? lcrt_utf8_incomplete(text + begin, end - begin) : 0;
            n_pieces += lcrt_utf8_repair(text + begin, end - begin - n_held, pieces + n_pieces);
            begin = end - n_held;
        }
        if (!CHECK(n_pieces == n_whole && memcmp(whole, pieces, (size_t)n_whole) == 0)) {
            return;
        }
    }
}

int main(void) {
    RUN(valid_text_is_copied);
    RUN(every_maximal_invalid_part_becomes_one_replacement);
    RUN(a_cut_character_at_the_end_is_one_replacement);
    RUN(the_beginning_of_a_character_is_held_back);
    RUN(what_can_never_become_a_character_is_not_held_back);
    RUN(text_in_pieces_is_repaired_like_the_whole);
    return test_end();
}
