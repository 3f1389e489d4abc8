/* Drafts that pay are made, others are not, and what they cost in all is bounded. */
#include "../core/gate.h"

#include "test.h"

#define MS 1000000.0

/* A machine: what its passes cost, and how right drafts are. */
typedef struct test_machine {
    double pass_ns, row_ns;
    double chance;  /* a drafted token is right */
    double each_ns; /* drafting costs */
    double back_ns; /* a pass behind one of more rows costs more */
    int32_t n_max;  /* tokens that can be drafted */
    int32_t n_streams;
    double once_ns; /* what each answer of ANSWER passes costs before it can have drafts, a pass's time at a time */
} test_machine;

#define ANSWER 100

typedef struct test_outcome {
    double ns;       /* with drafts, in all */
    double plain_ns; /* what the same tokens had taken without */
    int32_t n_tried; /* passes with drafts */
} test_outcome;

static uint64_t seed;
static double left_ns; /* of once_ns, for the answer under way */

static int32_t draw_right(int32_t n, double chance) {
    int32_t right = 0;
    while (right < n && (double)(test_random(&seed) >> 11) * 0x1p-53 < chance) {
        right++;
    }
    return right;
}

/* A part of what there must be before drafts; whether there can be any now. */
static bool prepare(lcrt_gate *gate, double plain_ns, test_outcome *out) {
    double ns = left_ns < plain_ns ? left_ns : plain_ns;
    lcrt_gate_spend(gate, (int64_t)ns);
    out->ns += ns;
    left_ns -= ns;
    return left_ns <= 0;
}

/* As the engine uses it; each stream's wish is followed with luck of its own. */
static test_outcome run(lcrt_gate *gate, const test_machine *machine, int32_t n_passes) {
    lcrt_gate_own own[LCRT_GATE_ROWS];
    lcrt_gate_wish wishes[LCRT_GATE_ROWS];
    test_outcome out = {.ns = 0};
    int32_t n_streams = machine->n_streams, n_rows_last = 0;
    double plain_ns = machine->pass_ns + machine->row_ns * n_streams;
    for (int32_t i = 0; i < n_streams; i++) {
        lcrt_gate_begin(gate, &own[i]);
    }
    for (int32_t pass = 0; pass < n_passes; pass++) {
        for (int32_t i = 0; i < n_streams; i++) {
            wishes[i] = (lcrt_gate_wish){.n_max = machine->n_max, .rate = own[i].rates[0], .each_ns = machine->each_ns};
        }
        left_ns = pass % ANSWER == 0 ? machine->once_ns : left_ns;
        wishes[0].once_ns = left_ns;
        wishes[0].n_left = ANSWER - pass % ANSWER;
        int32_t n = lcrt_gate_choose(gate, wishes, n_streams, 1000);
        n = n > 0 && !prepare(gate, plain_ns, &out) ? 0 : n;
        int32_t n_drafted = n * n_streams, n_taken = 0;
        for (int32_t i = 0; i < n_streams; i++) {
            /* Without rows of its own a draft is compared with what comes. */
            int32_t n_seen = n > 0 ? n : machine->n_max;
            int32_t n_right = draw_right(n_seen, machine->chance);
            n_taken += n > 0 ? n_right : 0;
            lcrt_gate_observe(gate, &own[i], 0, n_right, n_right < n_seen);
        }
        double noise = (double)test_between(&seed, 90, 110) / 100;
        double ns = noise * (machine->pass_ns + machine->row_ns * (n_streams + n_drafted));
        ns += n_streams + n_drafted < n_rows_last ? machine->back_ns : 0;
        n_rows_last = n_streams + n_drafted;
        double draft_ns = machine->each_ns * n_drafted;
        lcrt_gate_measure(gate, n_streams + n_drafted, (int64_t)ns);
        if (n > 0) {
            lcrt_gate_spend(gate, (int64_t)draft_ns);
            lcrt_gate_settle(gate, n_streams, n_drafted, n_taken);
        }
        out.ns += ns + draft_ns;
        out.plain_ns += plain_ns * (n_streams + n_taken) / n_streams;
        out.n_tried += n > 0;
    }
    return out;
}

static test_outcome run_alone(const test_machine *machine, int32_t n_passes) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    return run(&gate, machine, n_passes);
}

static void drafts_that_are_right_pay_at_once(void) {
    test_machine machine = {.pass_ns = 8 * MS, .row_ns = MS, .chance = 0.97, .n_max = 12, .n_streams = 1};
    test_outcome out = run_alone(&machine, 60);
    CHECK(out.n_tried >= 55);
    CHECK(out.plain_ns > 3 * out.ns);
}

static void drafts_that_are_wrong_cost_nearly_nothing(void) {
    test_machine machine = {.pass_ns = 8 * MS, .row_ns = 3 * MS, .chance = 0.05, .n_max = 12, .n_streams = 1};
    test_outcome out = run_alone(&machine, 4000);
    CHECK(out.ns < 1.006 * out.plain_ns);
    CHECK(out.n_tried > 0 && out.n_tried < 100);
}

static void rows_that_cost_as_much_as_a_pass_are_not_spent(void) {
    test_machine machine = {.pass_ns = 0.1 * MS, .row_ns = 8 * MS, .chance = 0.9, .n_max = 12, .n_streams = 1};
    test_outcome out = run_alone(&machine, 4000);
    CHECK(out.ns < 1.006 * out.plain_ns);
}

static void the_bound_holds_on_any_machine(void) {
    seed = 5;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int32_t round = 0; round < 300; round++) {
        test_machine machine = {.pass_ns = test_between(&seed, 0, 100) * MS / 10,
                                .row_ns = test_between(&seed, 1, 100) * MS / 10,
                                .chance = test_between(&seed, 0, 100) / 100.0,
                                .each_ns = test_between(&seed, 0, 1) * test_between(&seed, 0, 40) * MS / 10,
                                .n_max = test_between(&seed, 1, 16),
                                .n_streams = test_between(&seed, 1, 20),
                                .back_ns = test_between(&seed, 0, 20) * MS / 10};
        test_outcome out = run_alone(&machine, 2000);
        if (!CHECK(out.ns < 1.01 * out.plain_ns)) {
            printf("  round %d: %.4f of plain\n", round, out.ns / out.plain_ns);
        }
    }
}

/* Right often enough to pay, but not for what the pass behind them costs. */
static void what_the_next_pass_pays_is_counted(void) {
    test_machine machine = {
        .pass_ns = 8 * MS, .row_ns = MS, .chance = 0.25, .n_max = 1, .n_streams = 1, .back_ns = 3 * MS};
    test_outcome out = run_alone(&machine, 4000);
    CHECK(out.ns < 1.006 * out.plain_ns);
    machine.back_ns = 0;
    CHECK(run_alone(&machine, 4000).n_tried > 2 * out.n_tried);
}

static void the_bound_holds_for_what_comes_before_drafts_too(void) {
    seed = 6;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int32_t round = 0; round < 300; round++) {
        test_machine machine = {.pass_ns = test_between(&seed, 0, 100) * MS / 10,
                                .row_ns = test_between(&seed, 1, 100) * MS / 10,
                                .chance = test_between(&seed, 0, 100) / 100.0,
                                .each_ns = test_between(&seed, 0, 20) * MS / 10,
                                .once_ns = test_between(&seed, 0, 1000) * MS / 10,
                                .n_max = test_between(&seed, 1, 16),
                                .n_streams = test_between(&seed, 1, 3)};
        lcrt_gate gate;
        lcrt_gate_init(&gate, true);
        test_outcome out = run(&gate, &machine, 4000);
        if (!CHECK(out.ns < 1.01 * out.plain_ns)) {
            printf("  round %d: %.4f of plain\n", round, out.ns / out.plain_ns);
        }
    }
}

static void what_comes_before_drafts_must_come_back_and_not_take_the_credit(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, true);
    lcrt_gate_measure(&gate, 1, (int64_t)(10 * MS));
    lcrt_gate_wish wish = {.n_max = 8, .rate = 0.8, .each_ns = MS, .once_ns = 50 * MS, .n_left = 100};
    CHECK(lcrt_gate_choose(&gate, &wish, 1, 100) > 0);
    wish.n_left = 8;
    CHECK_INT(lcrt_gate_choose(&gate, &wish, 1, 100), 0);
    wish.n_left = 100;
    lcrt_gate_spend(&gate, (int64_t)(30 * MS));
    CHECK_INT(lcrt_gate_choose(&gate, &wish, 1, 100), 0);
    for (int32_t i = 0; i < 20; i++) { /* drafts that all were right */
        lcrt_gate_settle(&gate, 1, 4, 4);
    }
    wish.once_ns = 80 * MS; /* more than half of what plain passes can bring */
    CHECK(lcrt_gate_choose(&gate, &wish, 1, 100) > 0);
}

static void after_many_that_were_declined_it_is_curious_until_one_is_over(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    lcrt_gate_measure(&gate, 1, (int64_t)(10 * MS));
    lcrt_gate_wish wish = {.n_max = 3, .rate = 0.1};
    for (int32_t i = 0; i < 1000; i++) {
        CHECK_INT(lcrt_gate_choose(&gate, &wish, 1, 100), 0);
    }
    wish.rate = LCRT_GATE_RETRY_RATE;
    for (int32_t i = 0; i < 3; i++) {
        CHECK(lcrt_gate_is_curious(&gate) && lcrt_gate_choose(&gate, &wish, 1, 100) > 0);
    }
    lcrt_gate_settle(&gate, 1, 0, 0);
    CHECK(!lcrt_gate_is_curious(&gate));
}

static void what_others_have_learned_is_known_to_a_new_sequence(void) {
    lcrt_gate gate;
    lcrt_gate_own own;
    lcrt_gate_init(&gate, false);
    test_machine machine = {.pass_ns = 8 * MS, .row_ns = MS, .chance = 0.1, .n_max = 12, .n_streams = 1};
    run(&gate, &machine, 300);
    lcrt_gate_begin(&gate, &own);
    CHECK(own.rates[0] < 0.3);
}

static void it_comes_back_when_drafts_become_right(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    test_machine machine = {.pass_ns = 8 * MS, .row_ns = MS, .chance = 0.05, .n_max = 12, .n_streams = 1};
    run(&gate, &machine, 2000);
    machine.chance = 0.97;
    test_outcome out = run(&gate, &machine, 1000);
    CHECK(out.plain_ns > 2.5 * out.ns);
}

/* Rows were dear, and are cheap now: nothing but trying can tell. */
static void it_comes_back_when_rows_become_cheap(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    test_machine machine = {.pass_ns = MS, .row_ns = 20 * MS, .chance = 0.97, .n_max = 12, .n_streams = 1};
    run(&gate, &machine, 500);
    machine.pass_ns = 20 * MS;
    machine.row_ns = MS;
    run(&gate, &machine, 10000);
    test_outcome out = run(&gate, &machine, 500);
    CHECK(out.plain_ns > 2 * out.ns);
}

static void with_many_streams_rows_do_not_pay(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    test_machine machine = {.pass_ns = 8 * MS, .row_ns = 3 * MS, .chance = 0.7, .n_max = 12, .n_streams = 1};
    CHECK(run(&gate, &machine, 500).n_tried > 300);
    machine.n_streams = 16;
    CHECK(run(&gate, &machine, 500).n_tried < 50);
}

static void spare_rows_are_the_limit(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    lcrt_gate_measure(&gate, 1, 8000000);
    lcrt_gate_wish wishes[2] = {{.n_max = 12, .rate = 0.99}, {.n_max = 12, .rate = 0.99}};
    CHECK_INT(lcrt_gate_choose(&gate, wishes, 2, 9), 4);
    CHECK_INT(lcrt_gate_choose(&gate, wishes, 1, 9), 9);
    CHECK_INT(lcrt_gate_choose(&gate, wishes, 1, 0), 0);
    wishes[0].n_max = 5;
    CHECK_INT(lcrt_gate_choose(&gate, wishes, 1, 9), 5);
    wishes[0].n_max = 0;
    CHECK_INT(lcrt_gate_choose(&gate, wishes, 1, 9), 0);
}

static void nothing_is_drafted_before_a_pass_was_measured(void) {
    lcrt_gate gate;
    lcrt_gate_init(&gate, false);
    lcrt_gate_wish wish = {.n_max = 12, .rate = 1};
    CHECK_INT(lcrt_gate_choose(&gate, &wish, 1, 100), 0);
}

int main(void) {
    seed = 1;
    RUN(drafts_that_are_right_pay_at_once);
    RUN(drafts_that_are_wrong_cost_nearly_nothing);
    RUN(rows_that_cost_as_much_as_a_pass_are_not_spent);
    RUN(the_bound_holds_on_any_machine);
    RUN(what_the_next_pass_pays_is_counted);
    RUN(the_bound_holds_for_what_comes_before_drafts_too);
    RUN(what_comes_before_drafts_must_come_back_and_not_take_the_credit);
    RUN(after_many_that_were_declined_it_is_curious_until_one_is_over);
    RUN(what_others_have_learned_is_known_to_a_new_sequence);
    RUN(it_comes_back_when_drafts_become_right);
    RUN(it_comes_back_when_rows_become_cheap);
    RUN(with_many_streams_rows_do_not_pay);
    RUN(spare_rows_are_the_limit);
    RUN(nothing_is_drafted_before_a_pass_was_measured);
    return test_end();
}
