#include <pthread.h>

#include "../core/tiers.h"
#include "folder.h"

#define LEN 10000 /* bytes of content of a state; with its tokens it takes a little more */

/* Waits for the disk's thread. */
typedef struct alarm_count {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int32_t n;
} alarm_count;

static alarm_count rung = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
static int64_t now_ns = 1000000000;

static void ring(void *data) {
    alarm_count *count = data;
    pthread_mutex_lock(&count->mutex);
    count->n++;
    pthread_cond_signal(&count->cond);
    pthread_mutex_unlock(&count->mutex);
}

static lcrt_tiers *open_tiers(const test_folder *folder, int64_t ram_len, bool can_trim) {
    static const lcrt_state_key key = {.version = 1, .model = 2, .setup = 3};
    lcrt_tiers_params params = {.ram_len = ram_len, .can_trim = can_trim};
    if (folder != NULL) {
        params.disk_len = 1 << 30;
        params.disk =
            (lcrt_disk_params){.root = folder->path, .model = "model", .key = key, .wake = ring, .wake_data = &rung};
    }
    lcrt_tiers *tiers;
    lcrt_status status;
    REQUIRE(lcrt_tiers_init(&params, now_ns, &tiers, &status) == LCRT_OK && status == LCRT_OK);
    return tiers;
}

static lcrt_tiers_stats stats_of(const lcrt_tiers *tiers) {
    lcrt_tiers_stats stats;
    lcrt_tiers_stats_get(tiers, &stats);
    return stats;
}

/* Until the disk has nothing to do. */
static void settle(lcrt_tiers *tiers, int64_t n_written, int64_t n_read) {
    while (stats_of(tiers).n_written < n_written || stats_of(tiers).n_read + stats_of(tiers).n_refused < n_read) {
        pthread_mutex_lock(&rung.mutex);
        while (rung.n == 0) {
            pthread_cond_wait(&rung.cond, &rung.mutex);
        }
        rung.n--;
        pthread_mutex_unlock(&rung.mutex);
        lcrt_tiers_settle(tiers, now_ns);
    }
}

/* first, first + 1 ...; with a turn, tokens from `same` on are others. */
static void fill(int32_t *tokens, int32_t n, int32_t first, int32_t same) {
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = i < same ? i : first + i;
    }
}

/* n tokens of which the first `same` are those of every state. */
static void put(lcrt_tiers *tiers, int32_t first, int32_t n, int32_t same, int32_t stop) {
    int32_t tokens[1000];
    fill(tokens, n, first, same);
    lcrt_state *state;
    REQUIRE(lcrt_state_init(tokens, n, LEN, &state) == LCRT_OK);
    memset(state->data, first & 0xFF, LEN);
    if (stop > 0) {
        lcrt_checkpoint *checkpoint = lcrt_checkpoint_new(stop, 10);
        REQUIRE(checkpoint != NULL);
        memset(checkpoint->data, first & 0xFF, 10);
        REQUIRE(lcrt_checkpoints_put(&state->checkpoints, checkpoint) == LCRT_OK);
    }
    now_ns += 1000000000;
    lcrt_tiers_put(tiers, state, now_ns);
}

static lcrt_match find(lcrt_tiers *tiers, int32_t first, int32_t n, int32_t same) {
    int32_t tokens[1000];
    fill(tokens, n, first, same);
    return lcrt_tiers_find(tiers, 0, tokens, n);
}

static void the_longest_beginning_is_found(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 1 << 20, true);
    put(tiers, 1000, 100, 50, 0);
    put(tiers, 2000, 100, 50, 0);
    CHECK_INT(find(tiers, 1000, 80, 50).n, 80);
    CHECK_INT(find(tiers, 2000, 200, 50).n, 100);
    CHECK_INT(find(tiers, 3000, 200, 50).n, 50);
    CHECK(find(tiers, 3000, 200, 0).item == NULL);
    const lcrt_state *state = lcrt_tiers_use(tiers, find(tiers, 2000, 200, 50).item, now_ns);
    CHECK(state->len == LEN && state->data[0] == (2000 & 0xFF));
    lcrt_tiers_free(tiers);
}

static void what_cannot_be_cut_serves_at_its_stops_only(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 1 << 20, false);
    put(tiers, 1000, 100, 50, 60);
    CHECK(find(tiers, 1000, 59, 50).item == NULL);
    CHECK_INT(find(tiers, 1000, 60, 50).n, 60);
    CHECK_INT(find(tiers, 1000, 99, 50).n, 60);
    CHECK_INT(find(tiers, 1000, 100, 50).n, 100);
    CHECK_INT(find(tiers, 1000, 500, 50).n, 100);
    CHECK(find(tiers, 3000, 500, 50).item == NULL);
    lcrt_tiers_free(tiers);
}

static void a_stop_is_found_among_many_that_share_more(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 10 << 20, false);
    put(tiers, 1000, 100, 50, 0);
    for (int32_t i = 0; i < 200; i++) {
        put(tiers, 10000 + i, 300, 150, 0);
    }
    int32_t tokens[200];
    fill(tokens, 200, 1000, 50);
    CHECK_INT(lcrt_tiers_find(tiers, 0, tokens, 200).n, 100);
    fill(tokens, 150, 0, 150);
    put(tiers, 0, 40, 40, 0);
    CHECK_INT(lcrt_tiers_find(tiers, 0, tokens, 150).n, 40);
    lcrt_tiers_free(tiers);
}

static void a_later_turn_replaces_the_earlier_one(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 1 << 20, true);
    put(tiers, 1000, 100, 50, 0);
    put(tiers, 1000, 200, 50, 0);
    CHECK_INT(stats_of(tiers).n_ram, 1);
    CHECK_INT(find(tiers, 1000, 100, 50).n, 100);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(NULL, 1 << 20, false);
    put(tiers, 1000, 100, 50, 0);
    put(tiers, 1000, 200, 50, 120); /* cannot be cut to 100 */
    CHECK_INT(stats_of(tiers).n_ram, 2);
    put(tiers, 1000, 300, 50, 200);
    CHECK_INT(stats_of(tiers).n_ram, 2);
    lcrt_tiers_free(tiers);
}

static void what_is_held_is_known(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 1 << 20, true);
    int32_t tokens[100];
    fill(tokens, 100, 1000, 50);
    CHECK(!lcrt_tiers_has(tiers, 0, tokens, 100));
    put(tiers, 1000, 100, 50, 0);
    CHECK(lcrt_tiers_has(tiers, 0, tokens, 100));
    CHECK(lcrt_tiers_has(tiers, 0, tokens, 70));
    lcrt_tiers_free(tiers);
}

static void without_a_disk_the_least_valuable_is_forgotten(void) {
    lcrt_tiers *tiers = open_tiers(NULL, 3 * LEN + 5000, true);
    put(tiers, 1000, 300, 0, 0);
    put(tiers, 2000, 30, 0, 0); /* few tokens for as many bytes */
    put(tiers, 3000, 300, 0, 0);
    CHECK_INT(stats_of(tiers).n_ram, 3);
    put(tiers, 4000, 300, 0, 0);
    CHECK_INT(stats_of(tiers).n_ram, 3);
    CHECK(find(tiers, 2000, 30, 0).item == NULL);
    now_ns += 10000000000000;
    (void)lcrt_tiers_use(tiers, find(tiers, 1000, 300, 0).item, now_ns);
    put(tiers, 5000, 300, 0, 0);
    CHECK_INT(find(tiers, 1000, 300, 0).n, 300); /* the oldest, but it was of use */
    CHECK(stats_of(tiers).ram_len <= 3 * LEN + 5000);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(NULL, 0, true);
    put(tiers, 1000, 300, 0, 0);
    CHECK(find(tiers, 1000, 300, 0).item == NULL && stats_of(tiers).ram_len == 0);
    lcrt_tiers_free(tiers);
}

static void what_host_memory_cannot_hold_goes_to_disk_and_comes_back(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 2 * LEN + 5000, true);
    for (int32_t i = 1; i <= 4; i++) {
        put(tiers, 1000 * i, 100, 0, 0);
    }
    settle(tiers, 2, 0);
    CHECK_INT(stats_of(tiers).n_ram, 2);
    CHECK_INT(stats_of(tiers).n_file, 2);
    CHECK_INT(folder_files(&folder), 2);
    lcrt_match match = find(tiers, 1000, 100, 0);
    CHECK_INT(match.n, 100);
    CHECK_INT(match.tier, LCRT_TIER_DISK);
    lcrt_tiers_fetch(tiers, match.item);
    lcrt_tiers_fetch(tiers, match.item);
    settle(tiers, 3, 1);
    match = find(tiers, 1000, 100, 0);
    CHECK_INT(match.tier, LCRT_TIER_HOST);
    CHECK_INT(lcrt_tiers_use(tiers, match.item, now_ns)->data[5], 1000 & 0xFF);
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

static void host_memory_of_nothing_still_serves_from_disk(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 0, true);
    put(tiers, 1000, 100, 0, 0);
    settle(tiers, 1, 0);
    CHECK_INT(stats_of(tiers).ram_len, 0);
    lcrt_match match = find(tiers, 1000, 100, 0);
    lcrt_tiers_fetch(tiers, match.item);
    settle(tiers, 1, 1);
    match = find(tiers, 1000, 100, 0);
    CHECK_INT(match.tier, LCRT_TIER_HOST);
    CHECK(lcrt_tiers_use(tiers, match.item, now_ns) != NULL);
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

static int64_t clock_of(void *data) {
    int64_t *left = data;
    return (*left)-- > 0 ? 0 : 100;
}

static void a_close_writes_and_another_life_finds_it(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 1 << 20, false);
    put(tiers, 1000, 100, 50, 60);
    put(tiers, 2000, 200, 50, 0);
    CHECK_INT(folder_files(&folder), 0);
    lcrt_tiers_close(tiers);
    put(tiers, 3000, 100, 50, 0); /* a slot's, at the end */
    CHECK_INT(folder_files(&folder), 1);
    int64_t n_calls = 100;
    CHECK_INT(lcrt_tiers_flush(tiers, clock_of, &n_calls, 50), 0);
    CHECK_INT(folder_files(&folder), 3);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(&folder, 1 << 20, false);
    CHECK_INT(stats_of(tiers).n_file, 3);
    lcrt_match match = find(tiers, 1000, 99, 50);
    CHECK_INT(match.n, 60);
    CHECK_INT(match.tier, LCRT_TIER_DISK);
    lcrt_tiers_fetch(tiers, match.item);
    settle(tiers, 0, 1);
    const lcrt_state *state = lcrt_tiers_use(tiers, find(tiers, 1000, 99, 50).item, now_ns);
    REQUIRE(state != NULL);
    CHECK_INT(lcrt_checkpoints_find(&state->checkpoints, 60)->data[3], 1000 & 0xFF);
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

static void a_flush_ends_when_its_time_is_up(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 1 << 20, true);
    put(tiers, 1000, 100, 0, 0);
    put(tiers, 2000, 900, 0, 0);
    put(tiers, 3000, 100, 0, 0);
    lcrt_tiers_close(tiers);
    int64_t n_calls = 1;
    CHECK_INT(lcrt_tiers_flush(tiers, clock_of, &n_calls, 50), 2);
    CHECK_INT(folder_files(&folder), 1);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(&folder, 1 << 20, true);
    CHECK_INT(find(tiers, 2000, 900, 0).n, 900); /* the most valuable was first */
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

static void a_later_turns_file_replaces_the_earlier_ones(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 1 << 20, true);
    put(tiers, 1000, 100, 50, 0);
    lcrt_tiers_close(tiers);
    int64_t n_calls = 100;
    (void)lcrt_tiers_flush(tiers, clock_of, &n_calls, 50);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(&folder, 1 << 20, true);
    put(tiers, 1000, 200, 50, 0);
    CHECK_INT(folder_files(&folder), 1); /* a crash now must not lose it */
    lcrt_tiers_close(tiers);
    n_calls = 100;
    (void)lcrt_tiers_flush(tiers, clock_of, &n_calls, 50);
    CHECK_INT(folder_files(&folder), 1);
    lcrt_tiers_free(tiers);
    tiers = open_tiers(&folder, 1 << 20, true);
    CHECK_INT(find(tiers, 1000, 300, 50).n, 200);
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

static void a_damaged_file_is_refused_and_forgotten(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 0, true);
    put(tiers, 1000, 100, 0, 0);
    settle(tiers, 1, 0);
    int inner = openat(folder.fd, "model", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static uint8_t data[20000];
    DIR *dir = fdopendir(inner);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            size_t len = folder_load(inner, entry->d_name, data, sizeof(data));
            data[len / 2] ^= 4;
            folder_save(inner, entry->d_name, data, len);
        }
    }
    (void)closedir(dir);
    lcrt_tiers_fetch(tiers, find(tiers, 1000, 100, 0).item);
    settle(tiers, 1, 1);
    CHECK_INT(stats_of(tiers).n_refused, 1);
    CHECK(find(tiers, 1000, 100, 0).item == NULL);
    lcrt_tiers_free(tiers);
    CHECK_INT(folder_files(&folder), 0);
    folder_free(&folder);
}

static void a_file_that_was_taken_away_is_forgotten(void) {
    test_folder folder = folder_new();
    lcrt_tiers *tiers = open_tiers(&folder, 0, true);
    put(tiers, 1000, 100, 0, 0);
    settle(tiers, 1, 0);
    (void)folder_walk(folder.fd, true);
    lcrt_tiers_fetch(tiers, find(tiers, 1000, 100, 0).item);
    while (find(tiers, 1000, 100, 0).item != NULL) {
        lcrt_tiers_settle(tiers, now_ns);
    }
    CHECK_INT(stats_of(tiers).n_refused, 0);
    CHECK_INT(stats_of(tiers).n_file, 0);
    lcrt_tiers_free(tiers);
    folder_free(&folder);
}

/* Everything at random; whatever is found in host memory must be what was put. */
static void nothing_gets_mixed_up(void) {
    test_folder folder = folder_new();
    uint64_t random = 77;
    for (int32_t round = 0; round < 6; round++) {
        lcrt_tiers *tiers = open_tiers(&folder, 5 * LEN, round % 2 == 0);
        for (int32_t step = 0; step < 120; step++) {
            int32_t first = 1000 * test_between(&random, 1, 12), n = test_between(&random, 60, 300);
            int32_t same = 10 * test_between(&random, 0, 5);
            lcrt_match match = find(tiers, first, n, same);
            CHECK(match.n <= n);
            if (match.item != NULL && match.tier == LCRT_TIER_DISK) {
                lcrt_tiers_fetch(tiers, match.item);
            } else if (match.item != NULL) {
                const lcrt_state *state = lcrt_tiers_use(tiers, match.item, now_ns);
                int32_t tokens[1000];
                fill(tokens, n, first, same);
                CHECK(memcmp(state->tokens, tokens, (size_t)match.n * sizeof(int32_t)) == 0);
                CHECK(match.n <= same || state->data[LEN - 1] == (first & 0xFF));
                if (step % 10 == 0) {
                    lcrt_tiers_refuse(tiers, match.item);
                }
            }
            if (match.n < n) {
                put(tiers, first, n, same, n / 2);
            }
            lcrt_tiers_settle(tiers, now_ns);
        }
        lcrt_tiers_close(tiers);
        int64_t n_calls = 1000;
        CHECK_INT(lcrt_tiers_flush(tiers, clock_of, &n_calls, 50), 0);
        CHECK_INT(stats_of(tiers).n_file, folder_files(&folder));
        lcrt_tiers_free(tiers);
    }
    folder_free(&folder);
}

int main(void) {
    RUN(the_longest_beginning_is_found);
    RUN(what_cannot_be_cut_serves_at_its_stops_only);
    RUN(a_stop_is_found_among_many_that_share_more);
    RUN(a_later_turn_replaces_the_earlier_one);
    RUN(what_is_held_is_known);
    RUN(without_a_disk_the_least_valuable_is_forgotten);
    RUN(what_host_memory_cannot_hold_goes_to_disk_and_comes_back);
    RUN(host_memory_of_nothing_still_serves_from_disk);
    RUN(a_close_writes_and_another_life_finds_it);
    RUN(a_flush_ends_when_its_time_is_up);
    RUN(a_later_turns_file_replaces_the_earlier_ones);
    RUN(a_damaged_file_is_refused_and_forgotten);
    RUN(a_file_that_was_taken_away_is_forgotten);
    RUN(nothing_gets_mixed_up);
    return test_end();
}
