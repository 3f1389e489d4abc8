#include "tiers-rig.h"

static void a_conversation_comes_back_from_host_memory(void) {
    char first[400], second[400], again[500];
    for (memory_kind kind = ANY; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 1, 1 << 20, false);
        letters(first, 300, 1);
        letters(second, 300, 2);
        CHECK_INT(ask(rig, 1, first, 4).n_cached, 0);
        CHECK_INT(ask(rig, 2, second, 4).n_cached, 0);
        lcrt_usage usage = ask(rig, 3, first, 4);
        CHECK_INT(usage.n_cached, 299);
        CHECK_INT(usage.n_host, 299);
        CHECK_INT(usage.n_disk, 0);
        CHECK_INT(cache_of(rig).host.n_jobs, 1);
        CHECK_INT(cache_of(rig).host.n_tokens, 299);
        snprintf(again, sizeof(again), "%sxyz", second);
        usage = ask(rig, 4, again, 4);
        CHECK_INT(usage.n_host, kind == ANY ? 300 : 299);
        rig_end(rig);
    }
}

static void nothing_is_kept_when_it_is_off(void) {
    char first[400], second[400];
    lcrt_rig *rig = open_rig(ANY, 1, 0, false);
    letters(first, 300, 1);
    letters(second, 300, 2);
    (void)ask(rig, 1, first, 4);
    (void)ask(rig, 2, second, 4);
    CHECK_INT(ask(rig, 3, first, 4).n_cached, 0);
    CHECK_INT(store(rig), 0);
    CHECK_INT(folder_files(&folder), 0);
    rig_end(rig);
}

static void another_engine_finds_on_disk_what_one_has_stored(void) {
    char prompts[3][400];
    for (memory_kind kind = ANY; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 2, 1 << 20, true);
        for (int32_t i = 0; i < 3; i++) {
            letters(prompts[i], 200 + 10 * i, (uint64_t)i + 10);
            (void)ask(rig, (uint64_t)i + 1, prompts[i], 4);
        }
        CHECK_INT(folder_files(&folder), 0); /* never per turn */
        CHECK_INT(store(rig), 3);
        rig_end(rig);
        rig = open_rig(kind, 2, 1 << 20, true);
        for (int32_t i = 0; i < 3; i++) {
            lcrt_usage usage = ask(rig, (uint64_t)i + 1, prompts[i], 4);
            CHECK_INT(usage.n_disk, 199 + 10 * i);
            CHECK_INT(usage.n_cached, usage.n_disk);
        }
        CHECK_INT(cache_of(rig).disk.n_jobs, 3);
        CHECK_INT(store(rig), 0); /* it is there already */
        rig_end(rig);
        (void)folder_walk(folder.fd, true);
    }
}

static void damaged_files_cost_time_and_nothing_else(void) {
    static uint8_t data[100000];
    char prompt[400];
    letters(prompt, 300, 5);
    lcrt_rig *rig = open_rig(ANY, 1, 1 << 20, true);
    (void)ask(rig, 1, prompt, 4);
    CHECK_INT(store(rig), 1);
    rig_end(rig);
    int inner = openat(folder.fd, "fake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(inner);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            size_t len = folder_load(inner, entry->d_name, data, sizeof(data));
            data[len - 50] ^= 1;
            folder_save(inner, entry->d_name, data, len);
        }
    }
    (void)closedir(dir);
    rig = open_rig(ANY, 1, 1 << 20, true);
    CHECK_INT(ask(rig, 1, prompt, 4).n_cached, 0);
    rig_end(rig);
    CHECK_INT(folder_files(&folder), 0);
}

static void another_setup_does_not_find_it(void) {
    char prompt[400];
    letters(prompt, 300, 5);
    lcrt_rig *rig = open_rig(ANY, 1, 1 << 20, true);
    (void)ask(rig, 1, prompt, 4);
    CHECK_INT(store(rig), 1);
    rig_end(rig);
    rig = rig_new_hash();
    rig->params.cache = (lcrt_cache_params){
        .ram_len = 1 << 20, .disk_len = 1 << 30, .dir = folder.path, .version = "1", .model = "fake", .setup = "large"};
    rig_open(rig);
    CHECK_INT(ask(rig, 1, prompt, 4).n_cached, 0);
    rig_end(rig);
    (void)folder_walk(folder.fd, true);
}

/* Sizes that differ under one name: the backend does not take the bytes. */
static void a_state_that_does_not_fit_is_refused_and_forgotten(void) {
    char prompt[400];
    letters(prompt, 300, 5);
    lcrt_rig *rig = open_rig(ANY, 1, 1 << 20, true);
    (void)ask(rig, 1, prompt, 4);
    CHECK_INT(store(rig), 1);
    rig_end(rig);
    rig = rig_new_hash();
    rig->fake.n_ctx_seq = 200;
    rig->params.cache = (lcrt_cache_params){
        .ram_len = 1 << 20, .disk_len = 1 << 30, .dir = folder.path, .version = "1", .model = "fake", .setup = "small"};
    rig_open(rig);
    prompt[150] = '\0';
    CHECK_INT(ask(rig, 1, prompt, 4).n_cached, 0);
    CHECK_INT(cache_of(rig).disk.n_jobs, 0);
    rig_end(rig);
    CHECK_INT(folder_files(&folder), 0);
}

/* Another conversation begins as one that runs; its memory cannot be cut, so it needs that one's checkpoint. */
static void a_running_job_lends_its_checkpoint(void) {
    for (memory_kind kind = RECURRENT; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 2, 1 << 20, false);
        int32_t tokens[203];
        for (int32_t i = 0; i < 200; i++) {
            tokens[i] = LCRT_FAKE_A + (i * i + i / 26) % 26;
        }
        tokens[200] = LCRT_FAKE_MARK;
        tokens[201] = tokens[202] = LCRT_FAKE_A;
        lcrt_job job = rig_job_default(1);
        job.tokens = tokens;
        job.n_tokens = 203;
        job.max_tokens = 100;
        REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
        while (rig->jobs[1].n_start == 0) {
            REQUIRE(rig_step(rig));
        }
        tokens[202] = LCRT_FAKE_A + 1;
        job.id = 2;
        job.max_tokens = 20;
        REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
        finish(rig, 2);
        CHECK_INT(rig->jobs[2].usage.n_cached, kind == RECURRENT ? 200 : 202); /* a window still reaches */
        static model_answer answer;
        model_run(&rig->fake, &job, rig->fake.n_ctx_seq, &answer);
        CHECK(memcmp(rig->jobs[2].tokens, answer.tokens, 20 * sizeof(int32_t)) == 0);
        rig_end(rig);
    }
}

static void a_folder_that_cannot_be_used_is_told_and_no_harm(void) {
    char first[400];
    lcrt_rig *rig = rig_new_hash();
    rig->params.cache = (lcrt_cache_params){.ram_len = 1 << 20,
                                            .disk_len = 1 << 30,
                                            .dir = "/proc/nothing",
                                            .version = "1",
                                            .model = "fake",
                                            .setup = "small"};
    rig_open(rig);
    CHECK_INT(cache_of(rig).disk_status, LCRT_ERR_IO);
    letters(first, 300, 1);
    (void)ask(rig, 1, first, 4);
    CHECK_INT(store(rig), 0);
    rig_end(rig);
}

static void a_job_that_waits_for_the_disk_can_be_cancelled(void) {
    char prompt[400];
    letters(prompt, 300, 5);
    lcrt_rig *rig = open_rig(ANY, 1, 1 << 20, true);
    (void)ask(rig, 1, prompt, 4);
    CHECK_INT(store(rig), 1);
    rig_end(rig);
    rig = open_rig(ANY, 1, 1 << 20, true);
    rig_submit(rig, 1, prompt, 4);
    (void)rig_step(rig);
    REQUIRE(lcrt_engine_cancel(rig->engine, 1) == LCRT_OK);
    finish(rig, 1);
    CHECK_INT(rig->jobs[1].finish, LCRT_FINISH_CANCEL);
    CHECK_INT(ask(rig, 2, prompt, 4).n_cached, 299);
    rig_end(rig);
    (void)folder_walk(folder.fd, true);
}

static void others_go_on_while_one_waits_for_the_disk(void) {
    char prompt[400], other[100];
    letters(prompt, 300, 5);
    letters(other, 50, 6);
    lcrt_rig *rig = open_rig(ANY, 1, 1 << 20, true);
    (void)ask(rig, 1, prompt, 4);
    CHECK_INT(store(rig), 1);
    rig_end(rig);
    rig = open_rig(ANY, 2, 1 << 20, true);
    rig_submit(rig, 1, prompt, 4);
    rig_submit(rig, 2, other, 4);
    finish(rig, 2);
    CHECK_INT(rig->jobs[1].usage.n_disk, 299);
    CHECK_INT(rig->jobs[2].usage.n_cached, 0);
    rig_end(rig);
    (void)folder_walk(folder.fd, true);
}

/* The generation prompt begins with a control token; the client sends the turn again. */
static void a_turn_that_is_asked_again_starts_at_its_boundary(void) {
    for (memory_kind kind = RECURRENT; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 2, 1 << 20, false);
        int32_t tokens[203];
        for (int32_t i = 0; i < 200; i++) {
            tokens[i] = LCRT_FAKE_A + (i * i + i / 26) % 26;
        }
        tokens[200] = LCRT_FAKE_MARK;
        tokens[201] = LCRT_FAKE_A;
        tokens[202] = LCRT_FAKE_NEWLINE;
        static model_answer answer;
        for (uint64_t id = 1; id <= 3; id++) {
            lcrt_job job = rig_job_default(id);
            job.tokens = tokens;
            job.n_tokens = 203;
            job.max_tokens = 20;
            REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
            finish(rig, (int32_t)id);
            CHECK_INT(rig->jobs[id].usage.n_cached, id == 1 ? 0 : 200);
            model_run(&rig->fake, &job, rig->fake.n_ctx_seq, &answer);
            CHECK(memcmp(rig->jobs[id].tokens, answer.tokens, 20 * sizeof(int32_t)) == 0);
        }
        CHECK(cache_of(rig).n_checkpoints > 0);
        rig_end(rig);
    }
}

/* Two conversations with one system message; the memory cannot be cut where they part. */
static void another_conversation_starts_behind_the_common_message(void) {
    for (memory_kind kind = RECURRENT; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 2, 1 << 20, false);
        int32_t tokens[203];
        static model_answer answer;
        for (int32_t i = 0; i < 203; i++) {
            tokens[i] = i % 100 == 0 ? LCRT_FAKE_MARK : LCRT_FAKE_A + (i * i + i / 26) % 26;
        }
        for (uint64_t id = 1; id <= 3; id++) {
            tokens[101] = LCRT_FAKE_A + (int32_t)id;
            lcrt_job job = rig_job_default(id);
            job.tokens = tokens;
            job.n_tokens = 203;
            job.max_tokens = 10;
            REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
            finish(rig, (int32_t)id);
            CHECK_INT(rig->jobs[id].usage.n_cached, id == 1 ? 0 : 100);
            model_run(&rig->fake, &job, rig->fake.n_ctx_seq, &answer);
            CHECK(memcmp(rig->jobs[id].tokens, answer.tokens, 10 * sizeof(int32_t)) == 0);
        }
        rig_end(rig);
    }
}

static void a_long_prompt_has_checkpoints_on_its_way(void) {
    static char prompt[4000], other[4000];
    letters(prompt, 3500, 3);
    for (memory_kind kind = RECURRENT; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 1, 1 << 22, false);
        (void)ask(rig, 1, prompt, 4);
        memcpy(other, prompt, sizeof(prompt));
        other[2500] = other[2500] == 'a' ? 'b' : 'a';
        CHECK_INT(ask(rig, 2, other, 4).n_cached, 2048);
        rig_end(rig);
    }
}

static void an_answer_that_goes_on_needs_no_checkpoint(void) {
    char prompt[500];
    int32_t n = 100;
    letters(prompt, n, 4);
    for (memory_kind kind = RECURRENT; kind < N_KINDS; kind++) {
        lcrt_rig *rig = open_rig(kind, 1, 1 << 20, false);
        static model_answer answer;
        lcrt_job job = rig_job_default(1);
        int32_t tokens[300];
        job.tokens = tokens;
        job.max_tokens = 10;
        job.n_tokens = rig_tokens(prompt, tokens);
        REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
        finish(rig, 1);
        memcpy(tokens + n, rig->jobs[1].tokens, 10 * sizeof(int32_t));
        tokens[n + 10] = LCRT_FAKE_SPACE;
        job.id = 2;
        job.n_tokens = n + 11;
        REQUIRE(lcrt_engine_submit(rig->engine, &job) == LCRT_OK);
        finish(rig, 2);
        CHECK_INT(rig->jobs[2].usage.n_cached, n + 9); /* the last token of an answer is not computed */
        model_run(&rig->fake, &job, rig->fake.n_ctx_seq, &answer);
        CHECK(memcmp(rig->jobs[2].tokens, answer.tokens, 10 * sizeof(int32_t)) == 0);
        rig_end(rig);
    }
}

/* The same with jobs side by side and the engine's own thread. */
static void a_threaded_engine_stores_and_finds(void) {
    char prompt[400];
    for (int32_t life = 0; life < 3; life++) {
        lcrt_rig *rig = rig_new_hash();
        rig->fake.virtual_time = false;
        rig->params.cache = (lcrt_cache_params){.ram_len = 3000,
                                                .disk_len = 1 << 30,
                                                .dir = folder.path,
                                                .version = "1",
                                                .model = "fake",
                                                .setup = "thread"};
        rig_start(rig);
        for (int32_t i = 0; i < 40; i++) {
            letters(prompt, 150 + i % 10, (uint64_t)(i % 10));
            rig_submit(rig, (uint64_t)i + 1, prompt, 5);
        }
        rig_wait(rig, 40);
        for (int32_t i = 0; i < 40; i++) {
            letters(prompt, 150 + i % 10, (uint64_t)(i % 10));
            lcrt_job job = rig_job_default((uint64_t)i + 1);
            job.max_tokens = 5;
            rig_check_model(rig, &job, prompt, rig->fake.n_ctx_seq);
            CHECK(life == 0 || rig->jobs[i + 1].usage.n_cached > 0);
        }
        (void)store(rig);
        rig_end(rig);
    }
    CHECK_INT(folder_files(&folder), 10);
    (void)folder_walk(folder.fd, true);
}

int main(void) {
    folder = folder_new();
    RUN(a_conversation_comes_back_from_host_memory);
    RUN(nothing_is_kept_when_it_is_off);
    RUN(another_engine_finds_on_disk_what_one_has_stored);
    RUN(damaged_files_cost_time_and_nothing_else);
    RUN(another_setup_does_not_find_it);
    RUN(a_state_that_does_not_fit_is_refused_and_forgotten);
    RUN(a_running_job_lends_its_checkpoint);
    RUN(a_folder_that_cannot_be_used_is_told_and_no_harm);
    RUN(a_job_that_waits_for_the_disk_can_be_cancelled);
    RUN(others_go_on_while_one_waits_for_the_disk);
    RUN(a_turn_that_is_asked_again_starts_at_its_boundary);
    RUN(another_conversation_starts_behind_the_common_message);
    RUN(a_long_prompt_has_checkpoints_on_its_way);
    RUN(an_answer_that_goes_on_needs_no_checkpoint);
    RUN(a_threaded_engine_stores_and_finds);
    folder_free(&folder);
    return test_end();
}
