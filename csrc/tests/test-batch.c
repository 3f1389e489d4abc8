/* Who gets rows, and how many the clock allows. */
#include "../core/batch.h"
#include "../core/pace.h"
#include "../core/shift.h"
#include "test.h"

#define MS 1000000

static lcrt_batch_limits wide(void) {
    return (lcrt_batch_limits){
        .n_batch = 512, .n_chunk = 32, .n_decode = INT32_MAX, .n_prompt = INT32_MAX, .n_free = INT32_MAX};
}

static void check_rows(const lcrt_share *shares, const int32_t *want, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        CHECK_INT(shares[i].n_rows, want[i]);
    }
}

static void every_decoding_sequence_gets_its_row_and_the_oldest_prompt_the_chunk(void) {
    lcrt_share shares[] = {
        {.n_wanted = 100}, {.n_wanted = 1, .decoding = true}, {.n_wanted = 50}, {.n_wanted = 1, .decoding = true}};
    lcrt_batch_limits limits = wide();
    lcrt_batch_divide(shares, 4, &limits);
    check_rows(shares, (int32_t[]){32, 1, 0, 1}, 4);
}

static void what_the_oldest_prompt_leaves_goes_to_the_next(void) {
    lcrt_share shares[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 10}, {.n_wanted = 15}, {.n_wanted = 90}};
    lcrt_batch_limits limits = wide();
    lcrt_batch_divide(shares, 4, &limits);
    check_rows(shares, (int32_t[]){1, 10, 15, 7}, 4);
}

static void known_tokens_of_streams_have_a_bound_of_their_own(void) {
    lcrt_share shares[] = {{.n_wanted = 9, .decoding = true}, {.n_wanted = 90}, {.n_wanted = 9, .decoding = true}};
    lcrt_batch_limits limits = wide();
    limits.n_chunk = 4;
    limits.n_known = 16;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){9, 4, 9}, 3);
    limits.n_known = 0;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){5, 4, 1}, 3);
}

static void with_nothing_decoding_prompts_go_at_full_width(void) {
    lcrt_share shares[] = {{.n_wanted = 2000}, {.n_wanted = 2000}};
    lcrt_batch_limits limits = wide();
    lcrt_batch_divide(shares, 2, &limits);
    check_rows(shares, (int32_t[]){512, 0}, 2);
}

static void short_prompts_of_one_kind_share_a_wide_batch(void) {
    lcrt_share shares[] = {{.n_wanted = 60}, {.n_wanted = 60}, {.n_wanted = 60}};
    lcrt_batch_limits limits = wide();
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){60, 60, 60}, 3);
}

static void a_short_prompt_is_not_held_up_by_a_long_one_behind_it(void) {
    lcrt_share shares[] = {{.n_wanted = 20}, {.n_wanted = 400}, {.n_wanted = 20}};
    lcrt_batch_limits limits = wide();
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){20, 32, 0}, 3);
}

static void decoding_comes_first_when_cells_are_few(void) {
    lcrt_share shares[] = {{.n_wanted = 100}, {.n_wanted = 1, .decoding = true}, {.n_wanted = 1, .decoding = true}};
    lcrt_batch_limits limits = wide();
    limits.n_free = 5;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){3, 1, 1}, 3);
    limits.n_free = 1;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){0, 1, 0}, 3);
    limits.n_free = 0;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){0, 0, 0}, 3);
}

static void an_even_pass_ends_one_prompt_more_and_cuts_none_for_a_small_rest(void) {
    lcrt_batch_limits limits = wide();
    limits.even = true;
    limits.n_chunk = 100;
    static const int32_t third[] = {40, 45, 46, 200}, want[] = {40, 45, 0, 0};
    for (int32_t i = 0; i < 4; i++) {
        lcrt_share shares[] = {
            {.n_wanted = 1, .decoding = true}, {.n_wanted = 40}, {.n_wanted = 40}, {.n_wanted = third[i]}};
        lcrt_batch_divide(shares, 4, &limits);
        check_rows(shares, (int32_t[]){1, 40, 40, want[i]}, 4);
    }
    lcrt_share early[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 40}, {.n_wanted = 200}};
    lcrt_batch_divide(early, 3, &limits);
    check_rows(early, (int32_t[]){1, 40, 60}, 3);
    lcrt_share alone[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 110}};
    lcrt_batch_divide(alone, 2, &limits);
    check_rows(alone, (int32_t[]){1, 100}, 2);
}

/* Few rows of each of many sequences are dearer than as many of one. */
static void a_chunk_of_several_prompts_has_its_own_bound_beside_streams(void) {
    lcrt_batch_limits limits = wide();
    limits.n_chunk = 64;
    limits.n_more = 40;
    for (int32_t even = 0; even < 2; even++) {
        limits.even = even;
        lcrt_share shares[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 25}, {.n_wanted = 25}};
        lcrt_batch_divide(shares, 3, &limits);
        check_rows(shares, (int32_t[]){1, 25, even ? 0 : 15}, 3);
        lcrt_share one[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 60}, {.n_wanted = 4}};
        lcrt_batch_divide(one, 3, &limits);
        check_rows(one, (int32_t[]){1, 60, 0}, 3);
        lcrt_share alone[] = {{.n_wanted = 25}, {.n_wanted = 25}, {.n_wanted = 25}};
        lcrt_batch_divide(alone, 3, &limits);
        check_rows(alone, (int32_t[]){25, 25, 25}, 3);
    }
}

static void a_stream_that_knows_more_tokens_gets_rows_for_them(void) {
    lcrt_batch_limits limits = wide();
    lcrt_share shares[] = {{.n_wanted = 9, .decoding = true}, {.n_wanted = 1, .decoding = true}, {.n_wanted = 100}};
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){9, 1, 32}, 3);
    limits.n_free = 5;
    lcrt_batch_divide(shares, 3, &limits);
    check_rows(shares, (int32_t[]){4, 1, 0}, 3);
}

static void what_is_left_of_a_prompt_is_a_multiple_of_n_round(void) {
    lcrt_batch_limits limits = wide();
    limits.n_round = 64;
    limits.n_chunk = 128;
    static const int32_t wanted[] = {200, 256, 129, 128, 40, 300}, want[] = {72, 128, 65, 128, 40, 108};
    for (int32_t i = 0; i < 6; i++) {
        lcrt_share shares[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = wanted[i]}};
        lcrt_batch_divide(shares, 2, &limits);
        CHECK_INT(shares[1].n_rows, want[i]);
    }
    limits.n_chunk = 20; /* too small to round, but the prompt goes on */
    lcrt_share shares[] = {{.n_wanted = 1, .decoding = true}, {.n_wanted = 128}};
    lcrt_batch_divide(shares, 2, &limits);
    CHECK_INT(shares[1].n_rows, 20);
}

static void streams_can_wait_for_a_chunk(void) {
    lcrt_share shares[] = {{.n_wanted = 100}, {.n_wanted = 1, .decoding = true}};
    lcrt_batch_limits limits = wide();
    limits.n_decode = 0;
    lcrt_batch_divide(shares, 2, &limits);
    check_rows(shares, (int32_t[]){32, 0}, 2);
}

static void prompt_rows_can_be_forbidden(void) {
    lcrt_share shares[] = {{.n_wanted = 100}, {.n_wanted = 1, .decoding = true}};
    lcrt_batch_limits limits = wide();
    limits.n_prompt = 0;
    lcrt_batch_divide(shares, 2, &limits);
    check_rows(shares, (int32_t[]){0, 1}, 2);
}

static void the_pace_begins_carefully(void) {
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 16, 2048);
    CHECK_INT(lcrt_pace_chunk(&pace, 1), 16);
    lcrt_pace_measure(&pace, 1, 0, 5 * MS);
    lcrt_pace_measure(&pace, 1, 16, 6 * MS);
    CHECK_INT(lcrt_pace_chunk(&pace, 1), 32);
}

/* A machine: what a step costs. */
typedef struct test_machine {
    double pass_ns, decode_ns, row_ns;
} test_machine;

static int64_t cost(const test_machine *machine, int32_t n_decode, int32_t n_prompt) {
    double ns = machine->pass_ns + machine->decode_ns * n_decode + machine->row_ns * n_prompt;
    return (int64_t)(n_decode > 0 && n_prompt > 0 ? ns + machine->pass_ns : ns);
}

/* Steps of a stream while a prompt is computed; returns the last chunk and checks that no
 * step from the n-th on is longer than the target by more than a quarter: sizes have to
 * be tried. */
static int32_t run_machine(lcrt_pace *pace, const test_machine *machine, int32_t n_decode, int32_t n_settle) {
    int32_t n_chunk = 0;
    for (int32_t step = 0; step < 60; step++) {
        n_chunk = lcrt_pace_chunk(pace, n_decode);
        int64_t ns = cost(machine, n_decode, n_chunk);
        CHECK(step < n_settle || n_chunk == pace->n_min || ns <= pace->target_ns + pace->target_ns / 4);
        lcrt_pace_measure(pace, n_decode, n_chunk, ns);
    }
    return n_chunk;
}

static void the_pace_finds_the_largest_chunk_under_the_target(void) {
    static const test_machine machines[] = {
        {5e6, 1e6, 1.2e6}, {2e6, 0.1e6, 0.01e6}, {50e6, 1e6, 5e6}, {1e6, 1e6, 0.3e6}};
    static const int32_t want_least[] = {48, 2048, 16, 192}, want_most[] = {96, 2048, 16, 384};
    for (int32_t i = 0; i < 4; i++) {
        lcrt_pace pace;
        lcrt_pace_init(&pace, 100 * MS, 16, 2048);
        lcrt_pace_measure(&pace, 1, 0, cost(&machines[i], 1, 0));
        int32_t n = run_machine(&pace, &machines[i], 1, 0);
        CHECK(n >= want_least[i] && n <= want_most[i]);
    }
}

static void the_pace_follows_a_machine_that_becomes_slower_and_faster_again(void) {
    static const test_machine fast = {5e6, 1e6, 0.6e6}, slow = {10e6, 2e6, 2.4e6};
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 16, 2048);
    lcrt_pace_measure(&pace, 1, 0, cost(&fast, 1, 0));
    int32_t n_fast = run_machine(&pace, &fast, 1, 0);
    int32_t n_slow = run_machine(&pace, &slow, 1, 4);
    int32_t n_again = run_machine(&pace, &fast, 1, 4);
    CHECK(n_slow <= 32);
    CHECK(n_fast >= 96 && n_again >= 96);
}

static void no_least_number_makes_several_prompts_worth_a_pass(void) {
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 64, 2048);
    CHECK_INT(lcrt_pace_more(&pace, 1), 64);
    for (int32_t i = 0; i < 20; i++) {
        lcrt_pace_measure(&pace, 1, 0, 10 * MS);
        lcrt_pace_measure(&pace, 1, 25, (10 + 25 * 3) * MS);
    }
    CHECK_INT(lcrt_pace_chunk(&pace, 1), 64);
    CHECK(lcrt_pace_more(&pace, 1) >= 16 && lcrt_pace_more(&pace, 1) <= 32);
}

static void a_least_chunk_that_is_long_is_doubted_in_time(void) {
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 64, 2048);
    CHECK(!lcrt_pace_least_is_long(&pace, 1));
    for (int32_t i = 0; i < 20; i++) {
        lcrt_pace_measure(&pace, 1, 0, 10 * MS);
        lcrt_pace_measure(&pace, 1, 64, (10 + 64 * 4) * MS);
    }
    CHECK_INT(lcrt_pace_chunk(&pace, 1), 64);
    CHECK(lcrt_pace_below(&pace, 1, 64) < 64);
    for (int32_t i = 0; i < 100; i++) {
        CHECK(lcrt_pace_least_is_long(&pace, 1));
        lcrt_pace_doubt(&pace);
    }
    for (int32_t i = 0; i < 400; i++) {
        lcrt_pace_doubt(&pace);
    }
    CHECK(!lcrt_pace_least_is_long(&pace, 1));
    CHECK_INT(lcrt_pace_chunk(&pace, 1), 64);
}

static void one_slow_step_does_not_spoil_the_pace(void) {
    static const test_machine machine = {5e6, 1e6, 0.6e6};
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 16, 2048);
    lcrt_pace_measure(&pace, 1, 0, cost(&machine, 1, 0));
    int32_t n = run_machine(&pace, &machine, 1, 0);
    lcrt_pace_measure(&pace, 1, n, 5000 * (int64_t)MS);
    CHECK(lcrt_pace_chunk(&pace, 1) >= 16);
    CHECK_INT(run_machine(&pace, &machine, 1, 4), n);
}

static void where_decoding_alone_is_over_the_target_prompts_still_move(void) {
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 16, 2048);
    lcrt_pace_measure(&pace, 32, 0, 400 * MS);
    lcrt_pace_measure(&pace, 0, 256, 256 * MS);
    CHECK(lcrt_pace_chunk(&pace, 32) >= 128);
    CHECK(lcrt_pace_chunk(&pace, 32) <= 192);
}

static void the_chunk_stays_within_its_bounds(void) {
    lcrt_pace pace;
    lcrt_pace_init(&pace, 100 * MS, 24, 100);
    CHECK_INT(lcrt_pace_chunk(&pace, 4), 24);
    for (int32_t i = 0; i < 10; i++) {
        lcrt_pace_measure(&pace, 4, lcrt_pace_chunk(&pace, 4), 1000);
    }
    CHECK_INT(lcrt_pace_chunk(&pace, 4), 96);
}

static void the_older_half_behind_the_kept_tokens_is_dropped(void) {
    int32_t n_kept, n_dropped;
    lcrt_shift_plan(99, 100, 4, &n_kept, &n_dropped);
    CHECK_INT(n_kept, 4);
    CHECK_INT(n_dropped, 47);
    lcrt_shift_plan(99, 100, 1000, &n_kept, &n_dropped);
    CHECK_INT(n_kept, 96);
    CHECK_INT(n_dropped, 1);
    lcrt_shift_plan(1, 2, 4, &n_kept, &n_dropped);
    CHECK_INT(n_kept, 0);
    CHECK_INT(n_dropped, 1);
    lcrt_shift_plan(5, 100, 10, &n_kept, &n_dropped);
    CHECK_INT(n_kept, 5);
    CHECK_INT(n_dropped, 0);
}

int main(void) {
    RUN(every_decoding_sequence_gets_its_row_and_the_oldest_prompt_the_chunk);
    RUN(what_the_oldest_prompt_leaves_goes_to_the_next);
    RUN(known_tokens_of_streams_have_a_bound_of_their_own);
    RUN(with_nothing_decoding_prompts_go_at_full_width);
    RUN(short_prompts_of_one_kind_share_a_wide_batch);
    RUN(a_short_prompt_is_not_held_up_by_a_long_one_behind_it);
    RUN(decoding_comes_first_when_cells_are_few);
    RUN(an_even_pass_ends_one_prompt_more_and_cuts_none_for_a_small_rest);
    RUN(a_chunk_of_several_prompts_has_its_own_bound_beside_streams);
    RUN(a_stream_that_knows_more_tokens_gets_rows_for_them);
    RUN(what_is_left_of_a_prompt_is_a_multiple_of_n_round);
    RUN(streams_can_wait_for_a_chunk);
    RUN(prompt_rows_can_be_forbidden);
    RUN(the_pace_begins_carefully);
    RUN(the_pace_finds_the_largest_chunk_under_the_target);
    RUN(the_pace_follows_a_machine_that_becomes_slower_and_faster_again);
    RUN(no_least_number_makes_several_prompts_worth_a_pass);
    RUN(a_least_chunk_that_is_long_is_doubted_in_time);
    RUN(one_slow_step_does_not_spoil_the_pace);
    RUN(where_decoding_alone_is_over_the_target_prompts_still_move);
    RUN(the_chunk_stays_within_its_bounds);
    RUN(the_older_half_behind_the_kept_tokens_is_dropped);
    return test_end();
}
