/* The engine with its own thread: waiting, waking, interrupting, ending. */
#include <pthread.h>
#include <poll.h>

#include "rig.h"

static void jobs_run_without_anybody_stepping(void) {
    lcrt_rig *rig = rig_new();
    rig_start(rig);
    rig_submit(rig, 1, "abc", -1);
    rig_submit(rig, 2, "xy", -1);
    rig_wait(rig, 2);
    rig_check(rig, 1, "defghijklmnopqrstuvwxyz", LCRT_FINISH_STOP);
    rig_check(rig, 2, "z", LCRT_FINISH_STOP);
    rig_end(rig);
}

static bool readable(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, 0) == 1;
}

static void the_descriptor_is_readable_while_events_wait(void) {
    lcrt_rig *rig = rig_new();
    rig->params.wake_interval_ns = 0;
    rig_open(rig);
    int fd = lcrt_engine_fd(rig->engine);
    CHECK(!readable(fd));
    rig_submit(rig, 1, "abc", 5);
    lcrt_engine_step(rig->engine);
    CHECK(readable(fd));
    lcrt_event event;
    CHECK_INT(lcrt_engine_events(rig->engine, &event, 1), 1);
    CHECK_INT(event.kind, LCRT_EVENT_START);
    CHECK(readable(fd));
    CHECK_INT(lcrt_engine_events(rig->engine, &event, 1), 1);
    CHECK(!readable(fd));
    lcrt_engine_release(rig->engine);
    CHECK(!lcrt_engine_wait(rig->engine, 0));
    lcrt_engine_step(rig->engine);
    CHECK(readable(fd));
    CHECK(lcrt_engine_wait(rig->engine, -1));
    rig_end(rig);
}

/* Reads what there is; true when that was something the reader was woken for. */
static bool take_told(lcrt_rig *rig) {
    bool told = readable(lcrt_engine_fd(rig->engine));
    lcrt_event events[16];
    (void)lcrt_engine_events(rig->engine, events, 16);
    lcrt_engine_release(rig->engine);
    return told;
}

static void text_within_the_interval_wakes_nobody_until_something_begins_or_ends(void) {
    lcrt_rig *rig = rig_new();
    rig->params.wake_interval_ns = INT64_MAX / 2;
    rig->params.n_chunk = 2;
    rig->params.n_chunk_min = 1;
    rig_open(rig);
    rig_submit(rig, 1, "abc", 6);
    lcrt_engine_step(rig->engine);
    CHECK(take_told(rig)); /* it has begun */
    lcrt_engine_step(rig->engine);
    CHECK(!take_told(rig));
    lcrt_engine_step(rig->engine);
    rig_submit(rig, 2, "abcdefgh", 1);
    CHECK(!readable(lcrt_engine_fd(rig->engine)));
    lcrt_engine_step(rig->engine);
    CHECK(take_told(rig)); /* a prompt takes its time, so it is told before */
    lcrt_engine_step(rig->engine);
    lcrt_engine_step(rig->engine);
    CHECK(take_told(rig)); /* one has ended */
    rig_end(rig);
}

static void a_reader_is_woken_when_the_engine_has_nothing_more_to_do(void) {
    lcrt_rig *rig = rig_new();
    rig->params.wake_interval_ns = INT64_MAX / 2;
    rig->params.events_len = 4096;
    rig_open(rig);
    rig_submit(rig, 1, "abc", -1);
    lcrt_engine_step(rig->engine);
    CHECK(take_told(rig));
    while (lcrt_engine_step(rig->engine)) { /* until the ring is full */
    }
    CHECK(take_told(rig));
    rig_end(rig);
}

static void waiting_for_nothing_ends_with_the_time(void) {
    lcrt_rig *rig = rig_new();
    rig_start(rig);
    CHECK(!lcrt_engine_wait(rig->engine, 1000000));
    rig_end(rig);
}

static void a_cancel_interrupts_a_pass_of_that_job_alone(void) {
    lcrt_rig *rig = rig_new();
    rig_start(rig);
    lcrt_fake_hold(&rig->backend, true);
    rig_submit(rig, 1, "abc", -1);
    lcrt_fake_wait_held(&rig->backend);
    lcrt_engine_cancel(rig->engine, 1);
    rig_wait(rig, 1);
    rig_check(rig, 1, "", LCRT_FINISH_CANCEL);
    CHECK_INT(rig_stats(rig).n_decodes, 0);
    lcrt_fake_hold(&rig->backend, false);
    rig_submit(rig, 2, "xy", -1);
    rig_wait(rig, 2);
    rig_check(rig, 2, "z", LCRT_FINISH_STOP);
    rig_end(rig);
}

static void a_cancel_is_one_even_where_the_memory_cannot_go_back(void) {
    lcrt_rig *rig = rig_new();
    rig->fake.can_trim = rig->fake.can_shift = false;
    rig_start(rig);
    lcrt_fake_hold(&rig->backend, true);
    rig_submit(rig, 1, "abc", -1);
    lcrt_fake_wait_held(&rig->backend);
    lcrt_engine_cancel(rig->engine, 1);
    rig_wait(rig, 1);
    rig_check(rig, 1, "", LCRT_FINISH_CANCEL);
    lcrt_fake_hold(&rig->backend, false);
    rig_submit(rig, 2, "abc", 3); /* does not begin with what was left */
    rig_wait(rig, 2);
    rig_check(rig, 2, "def", LCRT_FINISH_LENGTH);
    CHECK_INT(rig_stats(rig).n_faults, 0);
    rig_end(rig);
}

/* Counts passes, and holds the first one of two sequences. */
typedef struct pass_watch {
    lcrt_rig *rig;
    atomic_int n_begun;
    bool held;
} pass_watch;

static void watch_pass(void *data, const lcrt_row *rows, int32_t n_rows) {
    pass_watch *watch = data;
    atomic_fetch_add(&watch->n_begun, 1);
    if (!watch->held && rows[0].seq != rows[n_rows - 1].seq) {
        watch->held = true;
        lcrt_fake_hold(&watch->rig->backend, true);
    }
}

static void a_cancel_leaves_a_pass_of_several_jobs_alone(void) {
    lcrt_rig *rig = rig_new();
    pass_watch watch = {.rig = rig};
    rig->fake.on_decode = watch_pass;
    rig->fake.on_decode_data = &watch;
    rig_start(rig);
    lcrt_fake_hold(&rig->backend, true);
    rig_submit(rig, 1, "abc", -1);
    lcrt_fake_wait_held(&rig->backend);
    rig_submit(rig, 2, "vw", -1);
    lcrt_fake_hold(&rig->backend, false);
    lcrt_fake_wait_held(&rig->backend);
    lcrt_engine_cancel(rig->engine, 1);
    lcrt_engine_cancel(rig->engine, 2);
    lcrt_fake_hold(&rig->backend, false);
    rig_wait(rig, 2);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_CANCEL);
    CHECK_INT(rig->jobs[2].finish, LCRT_FINISH_CANCEL);
    CHECK_INT(rig_stats(rig).n_decodes, atomic_load(&watch.n_begun));
    rig_end(rig);
}

static void an_engine_is_freed_during_a_pass_and_with_jobs_waiting(void) {
    lcrt_rig *rig = rig_new();
    rig->params.n_slots = 1;
    rig_start(rig);
    lcrt_fake_hold(&rig->backend, true);
    for (uint64_t id = 1; id < 20; id++) {
        rig_submit(rig, id, "abc", -1);
    }
    lcrt_fake_wait_held(&rig->backend);
    rig_end(rig);
}

static void an_engine_is_freed_while_its_reader_does_not_read(void) {
    lcrt_rig *rig = rig_new();
    rig->params.events_len = 4096;
    rig_start(rig);
    lcrt_job job = rig_job_default(1);
    job.ignore_eog = job.special = true;
    CHECK_INT(rig_submit_job(rig, &job, "z"), LCRT_OK);
    REQUIRE(lcrt_engine_wait(rig->engine, -1));
    rig_end(rig);
}

static void a_reader_that_falls_asleep_and_returns_gets_everything(void) {
    lcrt_rig *rig = rig_new();
    rig->params.events_len = 4096;
    rig_start(rig);
    lcrt_job job = rig_job_default(0);
    job.ignore_eog = job.special = true;
    job.max_tokens = 1500;
    for (job.id = 1; job.id <= 3; job.id++) {
        CHECK_INT(rig_submit_job(rig, &job, "z"), LCRT_OK);
    }
    rig_wait(rig, 3);
    for (int32_t id = 1; id <= 3; id++) {
        CHECK_INT(rig->jobs[id].n_tokens, 1500);
    }
    rig_end(rig);
}

/* Submits and cancels from one thread while another reads. */
static void *submit_many(void *data) {
    lcrt_rig *rig = data;
    uint64_t seed = 5;
    for (uint64_t id = 0; id < RIG_JOBS; id++) {
        lcrt_job job = rig_job_default(id);
        while (rig_submit_job(rig, &job, "mno") == LCRT_ERR_FULL) {
            sched_yield();
        }
        if (test_between(&seed, 0, 2) == 0) {
            lcrt_engine_cancel(rig->engine, (uint64_t)test_between(&seed, 0, (int32_t)id));
        }
    }
    return NULL;
}

static void submitting_and_reading_are_two_threads(void) {
    lcrt_rig *rig = rig_new();
    rig->params.max_queue = 8;
    rig->params.n_sampler_threads = 3;
    rig_start(rig);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, submit_many, rig) == 0);
    rig_wait(rig, RIG_JOBS);
    pthread_join(thread, NULL);
    for (int32_t id = 0; id < RIG_JOBS; id++) {
        bool whole = rig->jobs[id].finish == LCRT_FINISH_STOP && rig->jobs[id].text_len == 11;
        CHECK(whole || rig->jobs[id].finish == LCRT_FINISH_CANCEL);
    }
    rig_end(rig);
}

static void add_one(void *data, int32_t i) {
    int32_t *numbers = data;
    numbers[i]++;
}

static void a_crew_does_every_piece_once(void) {
    lcrt_crew *crew;
    REQUIRE(lcrt_crew_init(4, &crew) == LCRT_OK);
    int32_t numbers[40] = {0};
    for (int32_t round = 0; round < 300; round++) {
        lcrt_crew_run(crew, add_one, numbers, round % 40);
    }
    int32_t n = 0;
    for (int32_t i = 0; i < 40; i++) {
        CHECK(i == 0 || numbers[i] <= numbers[i - 1]);
        n += numbers[i];
    }
    CHECK_INT(n, 7 * 780 + 190);
    lcrt_crew_free(crew);
}

static void answers_do_not_depend_on_the_number_of_sampler_threads(void) {
    static rig_job first[8];
    for (int32_t n_threads = 1; n_threads <= 4; n_threads += 3) {
        lcrt_rig *rig = rig_new();
        rig->fake.mode = LCRT_FAKE_HASH;
        rig->fake.eog_bias = -100;
        rig->fake.n_vocab = 20000;
        rig->params.n_slots = 8;
        rig->params.n_sampler_threads = n_threads;
        rig_start(rig);
        lcrt_job job = rig_job_default(0);
        job.sampling = lcrt_sampling_default();
        job.max_tokens = 20;
        job.n_logprobs = 2;
        for (job.id = 0; job.id < 8; job.id++) {
            job.sampling.seed = job.id;
            CHECK_INT(rig_submit_job(rig, &job, "abc"), LCRT_OK);
        }
        rig_wait(rig, 8);
        for (int32_t id = 0; id < 8; id++) {
            size_t len = 20 * sizeof(int32_t);
            CHECK(n_threads == 1 || memcmp(first[id].tokens, rig->jobs[id].tokens, len) == 0);
            first[id] = rig->jobs[id];
        }
        rig_end(rig);
    }
}

int main(void) {
    RUN(jobs_run_without_anybody_stepping);
    RUN(the_descriptor_is_readable_while_events_wait);
    RUN(text_within_the_interval_wakes_nobody_until_something_begins_or_ends);
    RUN(a_reader_is_woken_when_the_engine_has_nothing_more_to_do);
    RUN(waiting_for_nothing_ends_with_the_time);
    RUN(a_cancel_interrupts_a_pass_of_that_job_alone);
    RUN(a_cancel_is_one_even_where_the_memory_cannot_go_back);
    RUN(a_cancel_leaves_a_pass_of_several_jobs_alone);
    RUN(an_engine_is_freed_during_a_pass_and_with_jobs_waiting);
    RUN(an_engine_is_freed_while_its_reader_does_not_read);
    RUN(a_reader_that_falls_asleep_and_returns_gets_everything);
    RUN(submitting_and_reading_are_two_threads);
    RUN(a_crew_does_every_piece_once);
    RUN(answers_do_not_depend_on_the_number_of_sampler_threads);
    return test_end();
}
