#include "../core/value.h"
#include "test.h"

#define SECOND 1000000000ll

static double value(int32_t n_saved, int32_t n_uses, int64_t age_ns) {
    lcrt_worth worth = {.n_saved = n_saved, .n_uses = n_uses, .age_ns = age_ns};
    return lcrt_value(&worth);
}

static void nothing_saved_is_worth_nothing(void) {
    CHECK(value(0, 10, 0) == 0);
}

static void twice_the_tokens_are_worth_twice_as_much(void) {
    CHECK(value(200, 3, SECOND) == 2 * value(100, 3, SECOND));
}

static void what_was_found_before_is_worth_more_up_to_a_bound(void) {
    CHECK(value(100, 1, SECOND) == 2 * value(100, 0, SECOND));
    CHECK(value(100, 15, SECOND) > value(100, 14, SECOND));
    CHECK(value(100, 1000, SECOND) == value(100, 15, SECOND));
}

static void the_older_the_less_and_seconds_do_not_count(void) {
    CHECK(value(100, 0, 600 * SECOND) < value(100, 0, 300 * SECOND) / 1.5);
    CHECK(value(100, 0, SECOND) > 0.95 * value(100, 0, 0));
    CHECK(value(100, 0, 365 * 86400 * SECOND) > 0);
    CHECK(value(100, 0, -SECOND) == value(100, 0, 0));
}

static void a_long_conversation_outlives_a_short_one_that_is_younger(void) {
    CHECK(value(4000, 0, 600 * SECOND) > value(50, 0, 60 * SECOND));
    CHECK(value(4000, 0, 86400 * SECOND) < value(50, 0, 60 * SECOND));
}

int main(void) {
    RUN(nothing_saved_is_worth_nothing);
    RUN(twice_the_tokens_are_worth_twice_as_much);
    RUN(what_was_found_before_is_worth_more_up_to_a_bound);
    RUN(the_older_the_less_and_seconds_do_not_count);
    RUN(a_long_conversation_outlives_a_short_one_that_is_younger);
    return test_end();
}
