#include <pthread.h>

#include "../core/disk.h"
#include "../core/disk-room.h"
#include "folder.h"

static const lcrt_state_key key = {.version = 1, .model = 2, .setup = 3};

/* Counts what the disk's thread has done. */
typedef struct alarm_count {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int32_t n;
} alarm_count;

static alarm_count rung = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void ring(void *data) {
    alarm_count *count = data;
    pthread_mutex_lock(&count->mutex);
    count->n++;
    pthread_cond_signal(&count->cond);
    pthread_mutex_unlock(&count->mutex);
}

static lcrt_disk *open_key(const test_folder *folder, const char *model, lcrt_state_key k, int64_t len_max) {
    lcrt_disk *disk = NULL;
    char root[300];
    snprintf(root, sizeof(root), "%s/a/b", folder->path);
    lcrt_disk_params params = {
        .root = root, .model = model, .key = k, .len_max = len_max, .wake = ring, .wake_data = &rung};
    REQUIRE(lcrt_disk_open(&params, &disk) == LCRT_OK);
    return disk;
}

static lcrt_disk *open_disk(const test_folder *folder) {
    return open_key(folder, "model", key, 1 << 30);
}

static lcrt_state *make(int32_t first, int32_t n, size_t len) {
    int32_t tokens[100];
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = first + i;
    }
    lcrt_state *state;
    REQUIRE(lcrt_state_init(tokens, n, len, &state) == LCRT_OK);
    memset(state->data, first, len);
    return state;
}

/* Submits and waits until it is done. */
static lcrt_status work(lcrt_disk *disk, lcrt_disk_kind kind, const char *name, lcrt_state **state) {
    lcrt_disk_task *task = calloc(1, sizeof(*task));
    REQUIRE(task != NULL);
    task->kind = kind;
    snprintf(task->name, sizeof(task->name), "%s", name);
    task->state = kind == LCRT_DISK_WRITE ? *state : NULL;
    rung.n = 0;
    lcrt_disk_submit(disk, task);
    pthread_mutex_lock(&rung.mutex);
    while (rung.n == 0) {
        pthread_cond_wait(&rung.cond, &rung.mutex);
    }
    pthread_mutex_unlock(&rung.mutex);
    lcrt_disk_task *done = lcrt_disk_done(disk);
    REQUIRE(done == task && lcrt_disk_done(disk) == NULL);
    if (kind == LCRT_DISK_READ) {
        *state = done->state;
    }
    lcrt_status status = done->status;
    free(done);
    return status;
}

static lcrt_status write_named(lcrt_disk *disk, lcrt_state *state, char name[LCRT_DISK_NAME_LEN]) {
    lcrt_disk_name(disk, state, name);
    return work(disk, LCRT_DISK_WRITE, name, &state);
}

static void end(lcrt_disk *disk) {
    lcrt_disk_stop(disk);
    lcrt_disk_free(disk);
}

typedef struct found_list {
    int32_t n;
    char name[LCRT_DISK_NAME_LEN];
    int32_t n_tokens, first;
} found_list;

static void note(void *data, const char *name, lcrt_state_head *head, int64_t age_ns) {
    found_list *list = data;
    list->n++;
    snprintf(list->name, sizeof(list->name), "%s", name);
    list->n_tokens = head->n_tokens;
    list->first = head->tokens[0];
    CHECK(age_ns >= 0);
    free(head->tokens);
    free(head->stops);
}

static found_list scan(lcrt_disk *disk) {
    found_list list = {0};
    lcrt_disk_scan(disk, note, &list);
    return list;
}

static void the_folder_is_made_for_the_user_alone(void) {
    test_folder folder = folder_new();
    end(open_disk(&folder));
    struct stat facts;
    REQUIRE(fstatat(folder.fd, "a/b", &facts, 0) == 0);
    CHECK_INT(facts.st_mode & 0777, 0700);
    REQUIRE(fstatat(folder.fd, "a/b/model", &facts, 0) == 0);
    CHECK_INT(facts.st_mode & 0777, 0700);
    REQUIRE(fchmodat(folder.fd, "a/b", 0755, 0) == 0);
    end(open_disk(&folder));
    REQUIRE(fstatat(folder.fd, "a/b", &facts, 0) == 0);
    CHECK_INT(facts.st_mode & 0777, 0700);
    folder_free(&folder);
}

static void a_root_that_is_no_folder_is_refused(void) {
    test_folder folder = folder_new();
    folder_save(folder.fd, "file", (const uint8_t *)"x", 1);
    char root[300];
    snprintf(root, sizeof(root), "%s/file", folder.path);
    lcrt_disk *disk = NULL;
    lcrt_disk_params params = {.root = root, .model = "model", .len_max = 1, .wake = ring, .wake_data = &rung};
    CHECK_INT(lcrt_disk_open(&params, &disk), LCRT_ERR_IO);
    params.root = "/proc/nothing/here";
    CHECK_INT(lcrt_disk_open(&params, &disk), LCRT_ERR_IO);
    params.root = folder.path;
    params.model = "../other";
    CHECK_INT(lcrt_disk_open(&params, &disk), LCRT_ERR_INVALID);
    CHECK(disk == NULL);
    folder_free(&folder);
}

static void a_written_state_is_found_and_read_by_another(void) {
    test_folder folder = folder_new();
    lcrt_disk *disk = open_disk(&folder);
    lcrt_state *state = make(5, 40, 1000);
    char name[LCRT_DISK_NAME_LEN];
    REQUIRE(write_named(disk, state, name) == LCRT_OK);
    end(disk);
    disk = open_disk(&folder);
    found_list list = scan(disk);
    CHECK_INT(list.n, 1);
    CHECK_INT(list.n_tokens, 40);
    CHECK_INT(list.first, 5);
    CHECK_TEXT(list.name, strlen(list.name), name);
    lcrt_state *back = NULL;
    REQUIRE(work(disk, LCRT_DISK_READ, name, &back) == LCRT_OK);
    CHECK(back->len == 1000 && memcmp(back->data, state->data, 1000) == 0);
    lcrt_state_free(back);
    CHECK_INT(work(disk, LCRT_DISK_REMOVE, name, &back), LCRT_OK);
    CHECK_INT(folder_files(&folder), 0);
    lcrt_state_free(state);
    end(disk);
    folder_free(&folder);
}

static void a_scan_clears_away_what_is_of_no_use(void) {
    test_folder folder = folder_new();
    lcrt_state *state = make(5, 40, 100);
    char name[LCRT_DISK_NAME_LEN];
    for (uint64_t i = 0; i < 4; i++) { /* another version's, another model's, another setup's, our own */
        lcrt_state_key k = {.version = 1 + (i == 0), .model = 2 + (i == 1), .setup = 3 + (i == 2)};
        lcrt_disk *disk = open_key(&folder, "model", k, 1 << 30);
        lcrt_disk_name(disk, state, name);
        name[0] = (char)('a' + i);
        lcrt_state *lent = state;
        REQUIRE(work(disk, LCRT_DISK_WRITE, name, &lent) == LCRT_OK);
        end(disk);
    }
    int inner = openat(folder.fd, "a/b/model", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder_save(inner, "damaged.state", (const uint8_t *)"LCRTSTAT and nothing more", 25);
    folder_save(inner, "left.state.1.part", (const uint8_t *)"x", 1);
    folder_save(inner, "new.state.2.part", (const uint8_t *)"x", 1);
    folder_save(inner, "notes.txt", (const uint8_t *)"x", 1);
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    REQUIRE(utimensat(inner, "left.state.1.part", old, 0) == 0);
    lcrt_disk *disk = open_disk(&folder);
    found_list list = scan(disk);
    CHECK_INT(list.n, 1);
    CHECK_INT(list.name[0], 'd');
    CHECK_INT(folder_files(&folder), 4); /* ours, the other setup's, the one being written, the notes */
    CHECK(faccessat(inner, "damaged.state", F_OK, 0) != 0);
    CHECK(faccessat(inner, "notes.txt", F_OK, 0) == 0);
    (void)close(inner);
    end(disk);
    lcrt_state_free(state);
    folder_free(&folder);
}

static void a_damaged_file_is_removed_when_it_is_read(void) {
    test_folder folder = folder_new();
    lcrt_disk *disk = open_disk(&folder);
    lcrt_state *state = make(5, 40, 500), *back = NULL;
    char name[LCRT_DISK_NAME_LEN], path[100];
    uint8_t data[2000];
    REQUIRE(write_named(disk, state, name) == LCRT_OK);
    snprintf(path, sizeof(path), "a/b/model/%s", name);
    size_t len = folder_load(folder.fd, path, data, sizeof(data));
    data[len - 100] ^= 1;
    folder_save(folder.fd, path, data, len);
    CHECK_INT(scan(disk).n, 1); /* the head is good */
    CHECK_INT(work(disk, LCRT_DISK_READ, name, &back), LCRT_ERR_FORMAT);
    CHECK(back == NULL);
    CHECK_INT(folder_files(&folder), 0);
    CHECK_INT(work(disk, LCRT_DISK_READ, name, &back), LCRT_ERR_IO);
    lcrt_state_free(state);
    end(disk);
    folder_free(&folder);
}

static void the_budget_counts_all_models_and_the_least_valuable_goes(void) {
    test_folder folder = folder_new();
    lcrt_disk *one = open_key(&folder, "one", key, 30000), *two = open_key(&folder, "two", key, 30000);
    lcrt_state *old = make(1, 50, 12000), *young = make(2, 50, 12000), *last = make(3, 50, 12000);
    char name[LCRT_DISK_NAME_LEN], path[100];
    REQUIRE(write_named(one, old, name) == LCRT_OK);
    snprintf(path, sizeof(path), "a/b/one/%s", name);
    const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    REQUIRE(utimensat(folder.fd, path, past, 0) == 0);
    REQUIRE(write_named(two, young, name) == LCRT_OK);
    CHECK_INT(folder_files(&folder), 2);
    REQUIRE(write_named(two, last, name) == LCRT_OK);
    CHECK_INT(folder_files(&folder), 2);
    CHECK_INT(scan(one).n, 0);
    CHECK_INT(scan(two).n, 2);
    lcrt_state *huge = make(4, 50, 40000);
    CHECK_INT(write_named(two, huge, name), LCRT_ERR_FULL);
    CHECK_INT(scan(two).n, 2);
    end(one);
    end(two);
    lcrt_state *const states[] = {old, young, last, huge};
    for (int32_t i = 0; i < 4; i++) {
        lcrt_state_free(states[i]);
    }
    folder_free(&folder);
}

static void a_folder_that_was_removed_gets_no_files(void) {
    test_folder folder = folder_new();
    lcrt_disk *disk = open_disk(&folder);
    REQUIRE(unlinkat(folder.fd, "a/b/model", AT_REMOVEDIR) == 0);
    lcrt_state *state = make(5, 40, 500);
    char name[LCRT_DISK_NAME_LEN];
    CHECK_INT(write_named(disk, state, name), LCRT_ERR_IO);
    CHECK_INT(scan(disk).n, 0);
    end(disk);
    CHECK_INT(folder_files(&folder), 0);
    lcrt_state_free(state);
    folder_free(&folder);
}

static void tasks_that_come_too_late_are_given_back(void) {
    test_folder folder = folder_new();
    lcrt_disk *disk = open_disk(&folder);
    lcrt_state *state = make(5, 40, 500);
    lcrt_disk_stop(disk);
    lcrt_disk_task *task = calloc(1, sizeof(*task));
    REQUIRE(task != NULL);
    task->state = state;
    lcrt_disk_submit(disk, task);
    lcrt_disk_stop(disk);
    CHECK(lcrt_disk_done(disk) == task);
    CHECK_INT(task->status, LCRT_ERR_CANCELLED);
    free(task);
    lcrt_state_free(state);
    lcrt_disk_free(disk);
    folder_free(&folder);
}

int main(void) {
    RUN(the_folder_is_made_for_the_user_alone);
    RUN(a_root_that_is_no_folder_is_refused);
    RUN(a_written_state_is_found_and_read_by_another);
    RUN(a_scan_clears_away_what_is_of_no_use);
    RUN(a_damaged_file_is_removed_when_it_is_read);
    RUN(the_budget_counts_all_models_and_the_least_valuable_goes);
    RUN(a_folder_that_was_removed_gets_no_files);
    RUN(tasks_that_come_too_late_are_given_back);
    return test_end();
}
