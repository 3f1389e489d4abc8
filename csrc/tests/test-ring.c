#include <pthread.h>
#include <sched.h>

#include "../core/ring.h"
#include "test.h"

static lcrt_ring *make(size_t len) {
    lcrt_ring *ring;
    REQUIRE(lcrt_ring_init(len, &ring) == LCRT_OK);
    return ring;
}

static bool put(lcrt_ring *ring, const char *text) {
    char *record = lcrt_ring_reserve(ring, strlen(text));
    if (record != NULL) {
        memcpy(record, text, strlen(text));
        lcrt_ring_commit(ring, strlen(text));
    }
    return record != NULL;
}

static void check_next(lcrt_ring *ring, const char *want) {
    size_t len;
    const char *record = lcrt_ring_next(ring, &len);
    REQUIRE(record != NULL);
    CHECK_TEXT(record, len, want);
}

static void records_come_out_in_order(void) {
    lcrt_ring *ring = make(256);
    size_t len;
    CHECK(lcrt_ring_empty(ring) && lcrt_ring_next(ring, &len) == NULL);
    CHECK(put(ring, "one") && put(ring, "") && put(ring, "three"));
    check_next(ring, "one");
    check_next(ring, "");
    CHECK(!lcrt_ring_empty(ring));
    check_next(ring, "three");
    CHECK(lcrt_ring_empty(ring) && lcrt_ring_next(ring, &len) == NULL);
    lcrt_ring_free(ring);
}

static void a_full_ring_refuses_until_release(void) {
    lcrt_ring *ring = make(64);
    CHECK(put(ring, "12345678") && put(ring, "12345678") && put(ring, "12345678") && put(ring, "12345678"));
    CHECK(!put(ring, "x"));
    check_next(ring, "12345678");
    CHECK(!put(ring, "x"));
    lcrt_ring_release(ring);
    CHECK(put(ring, "x"));
    CHECK(!put(ring, "x"));
    lcrt_ring_free(ring);
}

static void a_reserved_record_is_not_seen_before_commit(void) {
    lcrt_ring *ring = make(64);
    size_t len;
    char *record = lcrt_ring_reserve(ring, 16);
    REQUIRE(record != NULL);
    CHECK(lcrt_ring_next(ring, &len) == NULL);
    memcpy(record, "ab", 2);
    lcrt_ring_commit(ring, 2);
    check_next(ring, "ab");
    lcrt_ring_free(ring);
}

static void the_longest_record_fits_an_empty_ring_at_every_position(void) {
    for (size_t shift = 0; shift < 128; shift += 8) {
        lcrt_ring *ring = make(128);
        size_t len;
        for (size_t i = 0; i < shift; i += 8) {
            REQUIRE(put(ring, ""));
            REQUIRE(lcrt_ring_next(ring, &len) != NULL);
            lcrt_ring_release(ring);
        }
        CHECK(lcrt_ring_reserve(ring, lcrt_ring_record_max(ring)) != NULL);
        CHECK(lcrt_ring_reserve(ring, lcrt_ring_record_max(ring) + 1) == NULL);
        lcrt_ring_free(ring);
    }
}

static void lengths_that_make_no_sense_are_refused(void) {
    lcrt_ring *ring;
    CHECK_INT(lcrt_ring_init(0, &ring), LCRT_ERR_INVALID);
    CHECK_INT(lcrt_ring_init(32, &ring), LCRT_ERR_INVALID);
    CHECK_INT(lcrt_ring_init(100, &ring), LCRT_ERR_INVALID);
}

#define N_RECORDS 50000

/* Record i has a length and bytes that follow from i. */
static size_t record_len(uint32_t i) {
    return i * 7919u % 90u;
}

static void *write_records(void *data) {
    lcrt_ring *ring = data;
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        unsigned char *record;
        while ((record = lcrt_ring_reserve(ring, record_len(i))) == NULL) {
            sched_yield();
        }
        memset(record, (int)(i & 0xFF), record_len(i));
        lcrt_ring_commit(ring, record_len(i));
    }
    return NULL;
}

static void two_threads_exchange_every_record_unharmed(void) {
    lcrt_ring *ring = make(256);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, write_records, ring) == 0);
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        size_t len;
        const unsigned char *record;
        while ((record = lcrt_ring_next(ring, &len)) == NULL) {
            lcrt_ring_release(ring);
            sched_yield();
        }
        bool good = len == record_len(i);
        for (size_t k = 0; k < len && good; k++) {
            good = record[k] == (i & 0xFF);
        }
        REQUIRE(good);
    }
    pthread_join(thread, NULL);
    lcrt_ring_free(ring);
}

int main(void) {
    RUN(records_come_out_in_order);
    RUN(a_full_ring_refuses_until_release);
    RUN(a_reserved_record_is_not_seen_before_commit);
    RUN(the_longest_record_fits_an_empty_ring_at_every_position);
    RUN(lengths_that_make_no_sense_are_refused);
    RUN(two_threads_exchange_every_record_unharmed);
    return test_end();
}
