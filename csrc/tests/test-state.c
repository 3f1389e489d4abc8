#include "../core/state.h"
#include "test.h"

/* A checkpoint whose bytes name its length. */
static lcrt_checkpoint *checkpoint(int32_t n, size_t len) {
    lcrt_checkpoint *made = lcrt_checkpoint_new(n, len);
    REQUIRE(made != NULL);
    memset(made->data, n, len);
    return made;
}

static void put(lcrt_checkpoints *list, int32_t n) {
    REQUIRE(lcrt_checkpoints_put(list, checkpoint(n, 10)) == LCRT_OK);
}

static void checkpoints_are_kept_in_order(void) {
    lcrt_checkpoints list = {0};
    put(&list, 30);
    put(&list, 10);
    put(&list, 20);
    put(&list, 20);
    REQUIRE(list.n == 3);
    for (int32_t i = 0; i < 3; i++) {
        CHECK_INT(list.items[i]->n_tokens, 10 * (i + 1));
    }
    CHECK_INT(lcrt_checkpoints_len(&list), 30);
    lcrt_checkpoints_free(&list);
}

static void the_longest_that_fits_is_found(void) {
    lcrt_checkpoints list = {0};
    CHECK(lcrt_checkpoints_find(&list, 100) == NULL);
    put(&list, 10);
    put(&list, 20);
    CHECK(lcrt_checkpoints_find(&list, 9) == NULL);
    CHECK_INT(lcrt_checkpoints_find(&list, 19)->n_tokens, 10);
    CHECK_INT(lcrt_checkpoints_find(&list, 20)->n_tokens, 20);
    CHECK_INT(lcrt_checkpoints_find(&list, 99)->n_tokens, 20);
    lcrt_checkpoints_free(&list);
}

static void a_cut_forgets_what_is_longer(void) {
    lcrt_checkpoints list = {0};
    for (int32_t n = 1; n <= 5; n++) {
        put(&list, n);
    }
    lcrt_checkpoints_cut(&list, 3);
    CHECK_INT(list.n, 3);
    CHECK_INT(list.items[2]->n_tokens, 3);
    lcrt_checkpoints_free(&list);
}

static void a_copy_outlives_its_source(void) {
    lcrt_checkpoints list = {0}, copy = {0};
    put(&list, 10);
    put(&list, 20);
    put(&list, 30);
    REQUIRE(lcrt_checkpoints_copy(&copy, &list, 20) == LCRT_OK);
    lcrt_checkpoints_free(&list);
    REQUIRE(copy.n == 2);
    CHECK_INT(copy.items[1]->data[9], 20);
    lcrt_checkpoints_free(&copy);
}

static void thinning_keeps_the_gaps_small_and_the_longest(void) {
    lcrt_checkpoints list = {0};
    const int32_t lengths[] = {100, 200, 210, 300, 400};
    for (int32_t i = 0; i < 5; i++) {
        put(&list, lengths[i]);
    }
    lcrt_checkpoints_thin(&list, 4);
    REQUIRE(list.n == 4);
    CHECK_INT(list.items[1]->n_tokens, 200); /* 210 went: from 200 to 300 is the smallest gap to leave */
    lcrt_checkpoints_thin(&list, 1);
    REQUIRE(list.n == 1);
    CHECK_INT(list.items[0]->n_tokens, 400);
    lcrt_checkpoints_free(&list);
}

static void a_state_counts_all_its_bytes(void) {
    const int32_t tokens[] = {1, 2, 3};
    lcrt_state *state;
    REQUIRE(lcrt_state_init(tokens, 3, 1000, &state) == LCRT_OK);
    put(&state->checkpoints, 2);
    CHECK_INT(lcrt_state_len(state), sizeof(*state) + 12 + 1000 + 10);
    CHECK(memcmp(state->tokens, tokens, sizeof(tokens)) == 0);
    lcrt_state_free(state);
    lcrt_state_free(NULL);
}

int main(void) {
    RUN(checkpoints_are_kept_in_order);
    RUN(the_longest_that_fits_is_found);
    RUN(a_cut_forgets_what_is_longer);
    RUN(a_copy_outlives_its_source);
    RUN(thinning_keeps_the_gaps_small_and_the_longest);
    RUN(a_state_counts_all_its_bytes);
    return test_end();
}
