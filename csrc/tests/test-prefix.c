#include "lcrt/prefix.h"
#include "test.h"

static lcrt_prefix *prefix;

static void begin(void) {
    lcrt_prefix_free(prefix);
    REQUIRE(lcrt_prefix_init(2, &prefix) == LCRT_OK);
}

static void check_tokens(int32_t slot, const int32_t *want, int32_t n_want) {
    int32_t n;
    const int32_t *tokens = lcrt_prefix_tokens(prefix, slot, &n);
    CHECK_INT(n, n_want);
    CHECK(n == 0 || memcmp(tokens, want, (size_t)n * sizeof(*tokens)) == 0);
}

static void a_new_slot_shares_nothing(void) {
    begin();
    CHECK_INT(lcrt_prefix_shared(prefix, 1, (int32_t[]){1, 2}, 2), 0);
    check_tokens(1, NULL, 0);
}

static void shared_ends_at_the_first_difference(void) {
    begin();
    lcrt_prefix_put(prefix, 0, (int32_t[]){1, 2, 3, 4}, 4);
    CHECK_INT(lcrt_prefix_shared(prefix, 0, (int32_t[]){1, 2, 9, 4}, 4), 2);
    CHECK_INT(lcrt_prefix_shared(prefix, 0, (int32_t[]){1, 2, 3, 4, 5}, 5), 4);
    CHECK_INT(lcrt_prefix_shared(prefix, 0, (int32_t[]){1, 2}, 2), 2);
    CHECK_INT(lcrt_prefix_shared(prefix, 1, (int32_t[]){1, 2}, 2), 0);
}

static void put_replaces_and_append_adds(void) {
    begin();
    lcrt_prefix_put(prefix, 0, (int32_t[]){1, 2, 3}, 3);
    lcrt_prefix_put(prefix, 0, (int32_t[]){7, 8}, 2);
    lcrt_prefix_append(prefix, 0, 9);
    lcrt_prefix_add(prefix, 0, (int32_t[]){10, 11}, 2);
    check_tokens(0, (int32_t[]){7, 8, 9, 10, 11}, 5);
}

static void trim_forgets_the_end_and_cut_the_middle(void) {
    begin();
    lcrt_prefix_put(prefix, 0, (int32_t[]){1, 2, 3, 4, 5, 6}, 6);
    lcrt_prefix_cut(prefix, 0, 1, 3);
    check_tokens(0, (int32_t[]){1, 4, 5, 6}, 4);
    lcrt_prefix_trim(prefix, 0, 2);
    check_tokens(0, (int32_t[]){1, 4}, 2);
    lcrt_prefix_trim(prefix, 0, 5);
    check_tokens(0, (int32_t[]){1, 4}, 2);
    lcrt_prefix_cut(prefix, 0, 1, 1);
    check_tokens(0, (int32_t[]){1, 4}, 2);
}

static void many_tokens_grow_the_slot(void) {
    begin();
    for (int32_t i = 0; i < 10000; i++) {
        REQUIRE(lcrt_prefix_append(prefix, 1, i) == LCRT_OK);
    }
    int32_t n;
    const int32_t *tokens = lcrt_prefix_tokens(prefix, 1, &n);
    CHECK_INT(n, 10000);
    CHECK_INT(tokens[9999], 9999);
}

int main(void) {
    RUN(a_new_slot_shares_nothing);
    RUN(shared_ends_at_the_first_difference);
    RUN(put_replaces_and_append_adds);
    RUN(trim_forgets_the_end_and_cut_the_middle);
    RUN(many_tokens_grow_the_slot);
    lcrt_prefix_free(prefix);
    return test_end();
}
