/* A prompt that the smaller model has not computed: caught up with if that pays, at a bounded price. */
#include "drafter-rig.h"

/* n letters that no other number has. */
static void letters(uint64_t number, int32_t n, char *out) {
    uint64_t random = 1000 + number;
    for (int32_t i = 0; i < n; i++) {
        out[i] = (char)test_between(&random, 'a', 'z');
    }
    out[n] = '\0';
}

static void run_answer(lcrt_rig *rig, uint64_t id, int32_t n_prompt, int32_t n_answer) {
    char prompt[RIG_TOKENS];
    letters(id, n_prompt, prompt);
    lcrt_job job = rig_job_default(id);
    job.max_tokens = n_answer;
    rig_run_job(rig, &job, prompt);
    rig_check_model(rig, &job, prompt, 4096);
}

static void several_streams_wait_for_one_piece_at_a_time(void) {
    lcrt_rig *rig = rig_drafter(-4, 1);
    rig->params.n_slots = 8;
    drafter_params.row_ns = MS / 20;
    open_with_drafter(rig);
    for (uint64_t id = 1; id <= 8; id++) {
        char prompt[RIG_TOKENS];
        letters(id, 450, prompt);
        rig_submit(rig, id, prompt, 60);
    }
    int64_t most_ns = 0, n_taken = 0;
    for (bool worked = true; worked;) {
        int64_t begin_ns = lcrt_fake_clock(drafter.self);
        worked = rig_step(rig);
        int64_t ns = lcrt_fake_clock(drafter.self) - begin_ns;
        most_ns = ns > most_ns ? ns : most_ns;
    }
    for (uint64_t id = 1; id <= 8; id++) {
        n_taken += rig->jobs[id].usage.n_accepted;
    }
    CHECK(n_taken > 100);
    /* A pass takes 11 ms; the guesses for the others come on top. */
    CHECK(most_ns > 5 * MS && most_ns < 25 * MS);
    end_with_drafter(rig);
}

static void it_reads_a_prompt_only_if_the_answer_can_bring_that_in(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    open_with_drafter(rig);
    run_answer(rig, 1, 100, 100); /* what it costs and how right it is */
    CHECK(rig->jobs[1].usage.n_accepted > 50);
    int64_t n_before = n_guessing();
    run_answer(rig, 2, 2000, 3);
    CHECK_INT(n_guessing(), n_before);
    run_answer(rig, 3, 2000, 200);
    CHECK(rig->jobs[3].usage.n_accepted > 100);
    end_with_drafter(rig);
}

/* It may well be right: what it reads first takes more than there is to lose. */
static void it_reads_no_prompt_that_takes_more_than_the_credit(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    drafter_params.row_ns = MS / 10;
    open_with_drafter(rig);
    run_answer(rig, 1, 40, 20);
    rig->engine->gate.credit_ns = 12 * 10 * MS;
    int64_t n_before = n_guessing();
    run_answer(rig, 2, 2000, 120);
    CHECK_INT(n_guessing(), n_before);
    end_with_drafter(rig);
}

static void all_that_it_takes_is_paid_for(void) {
    char prompt[RIG_TOKENS];
    letters(2, 300, prompt);
    lcrt_rig *rig = rig_drafter(8, 2);
    open_with_drafter(rig);
    run_answer(rig, 1, 300, 2); /* a plain pass is known now, and nothing was gained */
    lcrt_engine_stats before, after;
    int64_t n_paid = 0;
    rig_submit(rig, 2, prompt, 40);
    for (bool worked = true; worked;) {
        int64_t begin_ns = lcrt_fake_clock(drafter.self);
        double credit_ns = rig->engine->gate.credit_ns;
        lcrt_engine_stats_get(rig->engine, &before);
        worked = rig_step(rig);
        int64_t ns = lcrt_fake_clock(drafter.self) - begin_ns;
        lcrt_engine_stats_get(rig->engine, &after);
        if (ns > 0 && after.n_accepted == before.n_accepted) {
            /* A pass adds 0.3 % of its time. */
            CHECK(rig->engine->gate.credit_ns < credit_ns - (double)ns + 0.05 * MS);
            n_paid++;
        }
    }
    CHECK(n_paid > 5);
    end_with_drafter(rig);
}

/* Other prompts all the time, and hardly a guess is right. */
static void one_that_is_wrong_takes_no_longer_whatever_it_has_to_read(void) {
    int64_t ns[2];
    for (int32_t with = 0; with < 2; with++) {
        lcrt_rig *rig = rig_drafter(8, 2);
        drafter_params.row_ns = MS / 20;
        if (with) {
            open_with_drafter(rig);
        } else {
            open_alone(rig);
        }
        int64_t begin_ns = both_clocks(rig);
        for (uint64_t id = 1; id <= 30; id++) {
            run_answer(rig, id, 200, 100);
        }
        ns[with] = both_clocks(rig) - begin_ns;
        CHECK(!with || n_guessing() > 0);
        rig_end(rig);
    }
    CHECK((double)ns[1] < 1.01 * (double)ns[0]);
}

/* A try of one that was always wrong goes on over the passes that it needs before it can guess. */
static void it_is_found_again_when_it_has_become_right(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    open_with_drafter(rig);
    rig->engine->gate.rates[LCRT_GATE_MODEL] = 0.05;
    run_answer(rig, 1, 400, 1000);
    CHECK(rig->jobs[1].usage.n_accepted > 100);
    end_with_drafter(rig);
}

static void its_guesses_are_judged_while_one_of_the_history_is_open(void) {
    lcrt_rig *rig = rig_drafter(-4, 1);
    open_with_drafter(rig);
    rig_submit(rig, 1, "hello", 100);
    while (rig->engine->n_running == 0 || rig->engine->running[0]->usage.n_generated < 2) {
        REQUIRE(rig_step(rig));
    }
    lcrt_draft *draft = &rig->engine->running[0]->draft;
    double before = draft->own.rates[LCRT_GATE_MODEL];
    lcrt_draft found = {.n_found = LCRT_DRAFT_MAX, .source = 0};
    lcrt_draft_note(&found);
    draft->guesses[0] = found.guesses[0];
    for (int32_t i = 0; i < 5; i++) {
        draft->guesses[0].n_seen = 0; /* it never comes to its end */
        REQUIRE(rig_step(rig));
    }
    CHECK(draft->own.rates[LCRT_GATE_MODEL] > before + 0.1);
    rig_run(rig);
    end_with_drafter(rig);
}

static void where_it_has_no_room_the_history_guesses(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    rig->fake.n_window = drafter_params.n_window = 2;
    drafter_params.n_ctx = drafter_params.n_ctx_seq = 64;
    open_with_drafter(rig);
    run_answer(rig, 1, 60, 400);
    CHECK(rig->jobs[1].usage.n_accepted > 250);
    end_with_drafter(rig);
}

/* Two prompts for one of which it has cells: it does not read them by turns, each in the other one's place. */
static void streams_do_not_take_each_others_room(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    drafter_params.n_ctx = drafter_params.n_ctx_seq = 256;
    open_with_drafter(rig);
    char prompt[RIG_TOKENS];
    for (uint64_t id = 1; id <= 2; id++) {
        letters(id, 140, prompt);
        rig_submit(rig, id, prompt, 100);
    }
    rig_run(rig);
    lcrt_fake_stats stats;
    lcrt_fake_stats_get(&drafter, &stats);
    CHECK(stats.n_rows < 256 + 3 * 100);
    CHECK(rig->jobs[1].usage.n_accepted + rig->jobs[2].usage.n_accepted > 50);
    end_with_drafter(rig);
}

/* Asked again and again it would take the place of the history each time. */
static void one_that_finds_no_room_is_not_tried_again_at_once(void) {
    lcrt_rig *rig = rig_drafter(8, 1);
    drafter_params.full_at = 1;
    drafter_params.n_full = 1000;
    open_with_drafter(rig);
    rig->engine->gate.rates[LCRT_GATE_MODEL] = 0.05;
    rig->engine->gate.n_declined = 250;
    rig_submit(rig, 1, "hello", 60);
    int32_t n_curious = 0;
    while (rig_step(rig)) {
        n_curious += lcrt_gate_is_curious(&rig->engine->gate);
    }
    CHECK_INT(n_curious, 1);
    end_with_drafter(rig);
}

/* One that is not ready would leave the others no rows for their guesses. */
static void where_all_need_as_many_rows_nobody_is_guessed_for_before_all_can_be(void) {
    lcrt_rig *rig = rig_drafter(-4, 1);
    rig->fake.unified = false;
    rig->fake.consecutive = true;
    rig->fake.n_ctx_seq = 512;
    drafter_params.row_ns = MS / 20;
    open_with_drafter(rig);
    char prompt[RIG_TOKENS];
    letters(2, 400, prompt);
    rig_submit(rig, 1, "hello", 200);
    rig_submit(rig, 2, prompt, 100);
    int32_t n_unready = 0;
    for (bool worked = true; worked;) {
        int64_t n_before = n_guessing();
        lcrt_engine_stats before, after;
        lcrt_engine_stats_get(rig->engine, &before);
        bool both = rig->engine->n_running == 2 && rig->engine->running[1]->started;
        worked = rig_step(rig);
        lcrt_engine_stats_get(rig->engine, &after);
        if (both && n_guessing() > n_before && after.n_drafted == before.n_drafted) {
            CHECK_INT(n_guessing() - n_before, 1); /* the piece */
            n_unready++;
        }
    }
    CHECK(n_unready > 1 && rig->jobs[1].usage.n_accepted > 50 && rig->jobs[2].usage.n_accepted > 50);
    end_with_drafter(rig);
}

/* As slow as the first one, with a credit that sixteen guesses would take more than. */
static void what_a_guess_takes_is_found_out_with_one(void) {
    lcrt_rig *rig = rig_drafter(16, 1);
    drafter_params.step_ns = rig->fake.step_ns;
    open_with_drafter(rig);
    run_answer(rig, 1, 10, 100);
    CHECK_INT(n_guessing(), 1);
    end_with_drafter(rig);
}

int main(void) {
    RUN(several_streams_wait_for_one_piece_at_a_time);
    RUN(it_reads_a_prompt_only_if_the_answer_can_bring_that_in);
    RUN(it_reads_no_prompt_that_takes_more_than_the_credit);
    RUN(all_that_it_takes_is_paid_for);
    RUN(one_that_is_wrong_takes_no_longer_whatever_it_has_to_read);
    RUN(it_is_found_again_when_it_has_become_right);
    RUN(its_guesses_are_judged_while_one_of_the_history_is_open);
    RUN(where_it_has_no_room_the_history_guesses);
    RUN(streams_do_not_take_each_others_room);
    RUN(one_that_finds_no_room_is_not_tried_again_at_once);
    RUN(where_all_need_as_many_rows_nobody_is_guessed_for_before_all_can_be);
    RUN(what_a_guess_takes_is_found_out_with_one);
    return test_end();
}
