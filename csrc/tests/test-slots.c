/* Slots and their sequence ids, on the fake backend's cells. */
#include "../core/slots.h"
#include "lcrt/fake.h"
#include "test.h"

static lcrt_slots slots;
static lcrt_backend backend;
static int64_t n_moves;

static void begin(int32_t n) {
    lcrt_fake_params params = lcrt_fake_params_default();
    params.n_seq_max = n;
    params.unified = false;
    REQUIRE(lcrt_backend_fake(&params, &backend) == LCRT_OK);
    REQUIRE(lcrt_slots_init(&slots, n) == LCRT_OK);
    n_moves = 0;
}

static void end(void) {
    lcrt_fake_stats stats;
    lcrt_fake_stats_get(&backend, &stats);
    CHECK_INT(stats.n_faults, 0);
    lcrt_slots_free(&slots);
    backend.vtable->free(backend.self);
}

/* The slot holds n tokens, in the backend too; the tokens tell the slot. */
static void fill(int32_t slot, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        lcrt_row row = {.token = LCRT_FAKE_A + slot, .pos = lcrt_slots_held(&slots, slot), .seq = slots.slots[slot].id};
        REQUIRE(backend.vtable->decode(backend.self, &row, 1) == LCRT_OK);
        REQUIRE(lcrt_slots_add(&slots, slot, &row.token, 1) == LCRT_OK);
    }
}

/* Busy slots still hold their own content: each predicts its own letter's successor. */
static void check_content(int32_t slot) {
    lcrt_row row = {
        .token = LCRT_FAKE_A + slot, .pos = lcrt_slots_held(&slots, slot), .seq = slots.slots[slot].id, .output = true};
    REQUIRE(backend.vtable->decode(backend.self, &row, 1) == LCRT_OK);
    REQUIRE(lcrt_slots_add(&slots, slot, &row.token, 1) == LCRT_OK);
    CHECK(backend.vtable->logits(backend.self, 0)[LCRT_FAKE_A + slot + 1] > 0);
}

static void claim_ids(const int32_t *ids, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        lcrt_slots_claim(&slots, slots.by_id[ids[i]], false);
    }
}

static void close_gaps_of(bool active(int32_t slot)) {
    for (int32_t i = 0; i < slots.n; i++) {
        slots.slots[i].active = active(i);
    }
    REQUIRE(lcrt_slots_close_gaps(&slots, &backend, &n_moves) == LCRT_OK);
    CHECK(lcrt_slots_compact(&slots));
    for (int32_t i = 0; i < slots.n; i++) {
        CHECK_INT(slots.by_id[slots.slots[i].id], i);
        check_content(i);
    }
}

static bool busy(int32_t slot) {
    return slots.slots[slot].busy;
}

/* Every busy slot has rows. */

static void close_gaps(void) {
    close_gaps_of(busy);
}

static void the_least_valuable_slot_is_small_or_long_unused(void) {
    begin(3);
    for (int32_t i = 0; i < 3; i++) {
        fill(i, i == 2 ? 4 : 40);
        lcrt_slots_claim(&slots, i, false);
    }
    CHECK_INT(lcrt_slots_least(&slots, 0), -1);
    lcrt_slots_release(&slots, 1, 0);
    lcrt_slots_release(&slots, 0, 0);
    CHECK_INT(lcrt_slots_least(&slots, 0), 1);
    lcrt_slots_release(&slots, 2, 0);
    CHECK_INT(lcrt_slots_least(&slots, 0), 2);
    lcrt_slots_trim(&slots, 2, 0);
    CHECK_INT(lcrt_slots_least(&slots, 0), 1);
    slots.slots[1].n_uses = 1;
    CHECK_INT(lcrt_slots_least(&slots, 0), 0);
    end();
}

static void content_that_another_slot_has_too_is_worth_nothing(void) {
    begin(3);
    fill(0, 40);
    lcrt_slots_share(&slots, 0, 1, 30, true);
    fill(2, 2);
    CHECK_INT(lcrt_slots_least(&slots, 0), 1);
    CHECK(lcrt_slots_value(&slots, 1, 0, 0) == 0);
    CHECK(lcrt_slots_value(&slots, 0, 0, 0) == lcrt_slots_value(&slots, 0, 30, 0));
    CHECK(lcrt_slots_value(&slots, 0, 35, 0) == lcrt_slots_value(&slots, 0, 30, 0) / 2);
    end();
}

static void the_loosest_slot_frees_cells_that_are_worth_least(void) {
    begin(3);
    fill(0, 40);
    lcrt_slots_share(&slots, 0, 1, 30, true);
    fill(2, 4);
    CHECK_INT(slots.cells.n_used, 44);
    slots.slots[2].used_ns = -100000000000;
    CHECK_INT(lcrt_slots_loosest(&slots, 0), 2);
    lcrt_slots_claim(&slots, 2, false);
    CHECK_INT(lcrt_slots_loosest(&slots, 0), 0);
    lcrt_slots_claim(&slots, 0, false);
    CHECK_INT(lcrt_slots_loosest(&slots, 0), -1); /* slot 1 has no cell of its own */
    end();
}

static void idle_slots_that_share_everything_with_each_other_are_loose_too(void) {
    begin(4);
    fill(0, 40);
    lcrt_slots_claim(&slots, 0, false);
    fill(1, 30);
    lcrt_slots_share(&slots, 1, 2, 30, true);
    slots.slots[1].used = 7;
    slots.slots[2].used = 6;
    CHECK_INT(lcrt_slots_loosest(&slots, 0), 2);
    lcrt_slots_trim(&slots, 2, 0);
    CHECK_INT(lcrt_slots_loosest(&slots, 0), 1);
    lcrt_slots_trim(&slots, 1, 0);
    CHECK_INT(lcrt_slots_loosest(&slots, 0), -1);
    end();
}

static void a_run_of_ids_need_not_begin_at_zero(void) {
    begin(6);
    CHECK(lcrt_slots_compact(&slots));
    slots.slots[3].active = slots.slots[4].active = slots.slots[5].active = true;
    CHECK(lcrt_slots_compact(&slots));
    slots.slots[1].active = true;
    CHECK(!lcrt_slots_compact(&slots));
    end();
}

static void the_cheaper_side_moves(void) {
    begin(6);
    fill(slots.by_id[0], 1);
    for (int32_t id = 3; id < 6; id++) {
        fill(slots.by_id[id], 50);
    }
    claim_ids((int32_t[]){0, 3, 4, 5}, 4);
    close_gaps();
    CHECK_INT(n_moves, 1);
    CHECK_INT(slots.slots[3].id, 3);
    CHECK_INT(slots.slots[0].id, 2);
    end();
}

static void a_newcomer_without_content_takes_the_gap_for_nothing(void) {
    begin(4);
    fill(0, 5);
    fill(2, 5);
    claim_ids((int32_t[]){0, 2, 3}, 3);
    close_gaps();
    CHECK_INT(n_moves, 0);
    CHECK_INT(slots.slots[3].id, 1);
    end();
}

static void idle_content_in_the_way_moves_to_an_empty_place(void) {
    begin(4);
    for (int32_t id = 0; id < 3; id++) {
        fill(id, 5);
    }
    claim_ids((int32_t[]){0, 2}, 2);
    close_gaps();
    CHECK(lcrt_slots_held(&slots, 1) > 5);
    end();
}

static void with_nothing_empty_idle_content_in_the_way_stays(void) {
    begin(4);
    for (int32_t id = 0; id < 4; id++) {
        fill(id, 5);
    }
    claim_ids((int32_t[]){0, 2, 3}, 3);
    slots.slots[0].active = slots.slots[2].active = true;
    CHECK_INT(lcrt_slots_close_gaps(&slots, &backend, &n_moves), LCRT_ERR_FULL);
    for (int32_t i = 0; i < 4; i++) {
        check_content(i);
    }
    end();
}

static bool not_second(int32_t slot) {
    return busy(slot) && slot != 1;
}

static void a_busy_slot_without_rows_makes_way_but_keeps_its_content(void) {
    begin(4);
    for (int32_t id = 0; id < 3; id++) {
        fill(id, 5);
    }
    claim_ids((int32_t[]){0, 1, 2}, 3);
    close_gaps_of(not_second);
    CHECK_INT(lcrt_slots_held(&slots, 1), 6);
    end();
}

static void a_gap_stays_rather_than_a_busy_slot_losing_its_content(void) {
    begin(3);
    for (int32_t id = 0; id < 3; id++) {
        fill(id, 5);
    }
    claim_ids((int32_t[]){0, 1, 2}, 3);
    slots.slots[0].active = slots.slots[2].active = true;
    CHECK_INT(lcrt_slots_close_gaps(&slots, &backend, &n_moves), LCRT_ERR_FULL);
    for (int32_t i = 0; i < 3; i++) {
        check_content(i);
    }
    end();
}

/* As the engine does when a gap cannot be closed otherwise. */
static void drop_if_nothing_is_empty(void) {
    int32_t least = lcrt_slots_least(&slots, 0);
    for (int32_t i = 0; i < slots.n; i++) {
        if (lcrt_slots_held(&slots, i) == 0) {
            return;
        }
    }
    if (least >= 0) {
        backend.vtable->trim(backend.self, slots.slots[least].id, 0, -1);
        lcrt_slots_trim(&slots, least, 0);
    }
}

static void gaps_close_and_nobody_loses_content(uint64_t seed, int32_t n_sets) {
    printf("seed %llu\n", (unsigned long long)seed);
    begin(9);
    for (int32_t round = 0; round < 3000; round++) {
        int32_t slot = test_between(&seed, 0, n_sets == 1 ? 8 : 7); /* of several sets all can only stay */
        if (slots.slots[slot].busy) {
            lcrt_slots_release(&slots, slot, round);
        } else {
            lcrt_slots_claim(&slots, slot, false);
        }
        if (lcrt_slots_held(&slots, slot) > 40) {
            backend.vtable->trim(backend.self, slots.slots[slot].id, 0, -1);
            lcrt_slots_trim(&slots, slot, 0);
        }
        if (lcrt_slots_held(&slots, slot) == 0) {
            REQUIRE(lcrt_slots_adapt(&slots, slot, (uint64_t)test_between(&seed, 1, n_sets)) == LCRT_OK);
        }
        drop_if_nothing_is_empty();
        int32_t held[9];
        for (int32_t i = 0; i < 9; i++) {
            held[i] = lcrt_slots_held(&slots, i);
        }
        close_gaps();
        for (int32_t i = 0; i < 9; i++) {
            CHECK(lcrt_slots_held(&slots, i) == held[i] + 1);
        }
    }
    end();
}

static void random_gaps_close_and_nobody_loses_content(void) {
    for (int32_t n_sets = 1; n_sets <= 9; n_sets += 2) {
        gaps_close_and_nobody_loses_content((uint64_t)n_sets, n_sets);
    }
}

static void adapt(const uint64_t *sets, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        REQUIRE(lcrt_slots_adapt(&slots, i, sets[i]) == LCRT_OK);
    }
}

static void each_set_is_a_run_of_its_own(void) {
    begin(6);
    adapt((uint64_t[]){1, 1, 2, 2, 0, 3}, 6);
    for (int32_t i = 0; i < 6; i++) {
        slots.slots[i].active = i != 4;
    }
    CHECK(lcrt_slots_compact(&slots)); /* what lies between two sets is nobody's gap */
    slots.slots[0].active = false;
    slots.slots[4].active = true;
    CHECK(lcrt_slots_compact(&slots));
    lcrt_slots_swap_ids(&slots, 2, 4);
    CHECK(lcrt_slots_compact(&slots));
    lcrt_slots_swap_ids(&slots, 3, 4);
    CHECK(!lcrt_slots_compact(&slots));
    end();
}

static void sets_that_came_mixed_are_put_apart_by_one_move_for_each_slot_in_a_wrong_place(void) {
    begin(6);
    adapt((uint64_t[]){1, 2, 1, 2, 0, 0}, 6);
    for (int32_t i = 0; i < 4; i++) {
        fill(i, 5);
    }
    claim_ids((int32_t[]){0, 1, 2, 3}, 4);
    close_gaps();
    CHECK_INT(n_moves, 2); /* 1 1 . 2 2 would take three: two that change places, by way of an empty one */
    end();
}

static void a_newcomer_goes_beside_its_set_where_that_is_free(void) {
    begin(6);
    adapt((uint64_t[]){1, 2, 1, 0, 0, 2}, 6);
    lcrt_slots_swap_ids(&slots, 1, 3); /* 1 . . 2 . . */
    fill(0, 5);
    fill(1, 9);
    claim_ids((int32_t[]){0, 2, 3, 5}, 4);
    close_gaps();
    CHECK_INT(n_moves, 0);
    CHECK(slots.slots[2].id == 1 && slots.slots[1].id == 3 && (slots.slots[5].id == 2 || slots.slots[5].id == 4));
    end();
}

static void what_is_worth_least_makes_way_for_a_newcomer(void) {
    begin(5);
    adapt((uint64_t[]){1, 1, 2, 2, 1}, 5);
    for (int32_t i = 0; i < 4; i++) {
        fill(i, i == 2 ? 3 : 30);
    }
    claim_ids((int32_t[]){0, 1, 2, 3, 4}, 5);
    close_gaps();
    CHECK_INT(n_moves, 1);
    CHECK(slots.slots[4].id == 2 && slots.slots[2].id == 4 && slots.slots[3].id == 3);
    end();
}

static void sets_that_came_mixed_stay_when_nothing_is_empty(void) {
    begin(4);
    adapt((uint64_t[]){1, 2, 1, 2}, 4);
    for (int32_t i = 0; i < 4; i++) {
        fill(i, 5);
        slots.slots[i].active = true;
    }
    claim_ids((int32_t[]){0, 1, 2, 3}, 4);
    CHECK_INT(lcrt_slots_close_gaps(&slots, &backend, &n_moves), LCRT_ERR_FULL);
    CHECK_INT(n_moves, 0);
    for (int32_t i = 0; i < 4; i++) {
        check_content(i);
    }
    end();
}

static void slots_of_different_sets_have_nothing_in_common(void) {
    static const int32_t tokens[] = {1, 2, 3, 4};
    begin(3);
    REQUIRE(lcrt_slots_adapt(&slots, 1, 7) == LCRT_OK);
    REQUIRE(lcrt_slots_adapt(&slots, 2, 9) == LCRT_OK);
    CHECK_INT(slots.n_sets, 3);
    for (int32_t i = 0; i < 2; i++) {
        REQUIRE(lcrt_slots_add(&slots, i, tokens, 4) == LCRT_OK);
    }
    CHECK_INT(lcrt_slots_common(&slots, 0), 0);
    lcrt_slots_look_up(&slots, 7, tokens, 3);
    CHECK(slots.n_shared[0] == 0 && slots.n_shared[1] == 3 && slots.n_shared[2] == 0);
    lcrt_slots_look_up(&slots, 8, tokens, 3);
    CHECK(slots.n_shared[0] == 0 && slots.n_shared[1] == 0 && slots.n_shared[2] == 0);
    REQUIRE(lcrt_slots_adapt(&slots, 2, 7) == LCRT_OK);
    CHECK_INT(slots.n_sets, 2);
    lcrt_slots_share(&slots, 1, 2, 2, true);
    CHECK(lcrt_slots_common(&slots, 1) == 2 && lcrt_slots_held(&slots, 2) == 2 && lcrt_slots_held(&slots, 0) == 4);
    lcrt_slots_trim(&slots, 1, 0);
    lcrt_slots_trim(&slots, 2, 0);
    REQUIRE(lcrt_slots_adapt(&slots, 1, 0) == LCRT_OK && lcrt_slots_adapt(&slots, 2, 5) == LCRT_OK);
    CHECK(slots.n_sets == 2 && slots.slots[2].set == 5 && slots.slots[1].tree == slots.slots[0].tree);
    lcrt_slots_look_up(&slots, 0, tokens, 4);
    CHECK(slots.n_shared[0] == 4 && slots.n_shared[1] == 0);
    end();
}

int main(void) {
    RUN(slots_of_different_sets_have_nothing_in_common);
    RUN(the_least_valuable_slot_is_small_or_long_unused);
    RUN(content_that_another_slot_has_too_is_worth_nothing);
    RUN(the_loosest_slot_frees_cells_that_are_worth_least);
    RUN(idle_slots_that_share_everything_with_each_other_are_loose_too);
    RUN(a_run_of_ids_need_not_begin_at_zero);
    RUN(the_cheaper_side_moves);
    RUN(a_newcomer_without_content_takes_the_gap_for_nothing);
    RUN(idle_content_in_the_way_moves_to_an_empty_place);
    RUN(with_nothing_empty_idle_content_in_the_way_stays);
    RUN(a_busy_slot_without_rows_makes_way_but_keeps_its_content);
    RUN(a_gap_stays_rather_than_a_busy_slot_losing_its_content);
    RUN(each_set_is_a_run_of_its_own);
    RUN(sets_that_came_mixed_are_put_apart_by_one_move_for_each_slot_in_a_wrong_place);
    RUN(a_newcomer_goes_beside_its_set_where_that_is_free);
    RUN(what_is_worth_least_makes_way_for_a_newcomer);
    RUN(sets_that_came_mixed_stay_when_nothing_is_empty);
    RUN(random_gaps_close_and_nobody_loses_content);
    return test_end();
}
