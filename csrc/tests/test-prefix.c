/* The tree of prefixes, by example and against plain arrays.
 *
 * test-prefix [SEED [ROUNDS]]: every round has its own seed, which is printed when something
 * is wrong. */
#include "lcrt/prefix.h"
#include "test.h"

static lcrt_prefix *prefix;

static void begin(void) {
    REQUIRE(lcrt_prefix_init(3, &prefix) == LCRT_OK);
}

static void end(void) {
    lcrt_prefix_free(prefix);
    prefix = NULL;
}

#define TOKENS(...) ((int32_t[]){__VA_ARGS__}), (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void check_tokens(int32_t entry, const int32_t *want, int32_t n_want) {
    int32_t tokens[64];
    CHECK_INT(lcrt_prefix_length(prefix, entry), n_want);
    lcrt_prefix_read(prefix, entry, lcrt_prefix_length(prefix, entry), tokens);
    CHECK(n_want == 0 || memcmp(tokens, want, (size_t)n_want * sizeof(*tokens)) == 0);
}

static int32_t shared(int32_t slot, const int32_t *tokens, int32_t n_tokens) {
    int32_t n_shared[3];
    lcrt_prefix_slots(prefix, tokens, n_tokens, n_shared);
    return n_shared[slot];
}

static void a_new_slot_shares_nothing(void) {
    begin();
    CHECK_INT(shared(1, TOKENS(1, 2)), 0);
    check_tokens(1, NULL, 0);
    end();
}

static void shared_ends_at_the_first_difference(void) {
    begin();
    lcrt_prefix_put(prefix, 0, TOKENS(1, 2, 3, 4));
    CHECK_INT(shared(0, TOKENS(1, 2, 9, 4)), 2);
    CHECK_INT(shared(0, TOKENS(1, 2, 3, 4, 5)), 4);
    CHECK_INT(shared(0, TOKENS(1, 2)), 2);
    CHECK_INT(shared(1, TOKENS(1, 2)), 0);
    end();
}

static void put_replaces_and_add_goes_on(void) {
    begin();
    lcrt_prefix_put(prefix, 0, TOKENS(1, 2, 3));
    lcrt_prefix_put(prefix, 0, TOKENS(7, 8));
    lcrt_prefix_add(prefix, 0, TOKENS(9));
    lcrt_prefix_add(prefix, 0, TOKENS(10, 11));
    check_tokens(0, TOKENS(7, 8, 9, 10, 11));
    end();
}

static void trim_forgets_the_end_and_cut_the_middle(void) {
    begin();
    lcrt_prefix_put(prefix, 0, TOKENS(1, 2, 3, 4, 5, 6));
    CHECK(lcrt_prefix_cut(prefix, 0, 1, 3) == LCRT_OK);
    check_tokens(0, TOKENS(1, 4, 5, 6));
    lcrt_prefix_trim(prefix, 0, 2);
    check_tokens(0, TOKENS(1, 4));
    lcrt_prefix_trim(prefix, 0, 5);
    check_tokens(0, TOKENS(1, 4));
    CHECK(lcrt_prefix_cut(prefix, 0, 1, 1) == LCRT_OK);
    check_tokens(0, TOKENS(1, 4));
    end();
}

static void common_beginnings_are_written_once_and_go_with_the_last(void) {
    begin();
    lcrt_prefix_stats stats;
    lcrt_prefix_put(prefix, 0, TOKENS(1, 2, 3, 4));
    lcrt_prefix_put(prefix, 1, TOKENS(1, 2, 3, 5, 6));
    lcrt_prefix_copy(prefix, 2, 1, 4);
    lcrt_prefix_stats_get(prefix, &stats);
    CHECK_INT(stats.n_tokens, 6);
    CHECK_INT(stats.n_nodes, 4);
    lcrt_prefix_trim(prefix, 0, 0);
    lcrt_prefix_stats_get(prefix, &stats);
    CHECK_INT(stats.n_tokens, 5);
    CHECK_INT(stats.n_nodes, 2);
    lcrt_prefix_trim(prefix, 1, 0);
    lcrt_prefix_trim(prefix, 2, 0);
    lcrt_prefix_stats_get(prefix, &stats);
    CHECK_INT(stats.n_tokens, 0);
    CHECK_INT(stats.n_nodes, 1);
    end();
}

static void of_equal_stored_entries_the_short_one_is_found(void) {
    begin();
    int32_t entry, n_shared, own;
    CHECK(lcrt_prefix_store(prefix, TOKENS(1, 2, 3, 4, 5, 6), prefix, &entry) == LCRT_OK);
    CHECK(lcrt_prefix_store_of(prefix, entry, 4, &own, &own) == LCRT_OK);
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 9), false, &n_shared), own);
    CHECK_INT(n_shared, 3);
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 4, 5, 9), false, &n_shared), entry);
    CHECK_INT(n_shared, 5);
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 4, 5, 9), true, &n_shared), own);
    CHECK_INT(n_shared, 4);
    CHECK(lcrt_prefix_data(prefix, entry) == prefix && lcrt_prefix_data(prefix, own) == &own);
    lcrt_prefix_remove(prefix, own);
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 4), true, &n_shared), -1);
    CHECK_INT(n_shared, 0);
    end();
}

static void slots_are_not_found_as_stored_entries(void) {
    begin();
    int32_t entry, n_shared;
    lcrt_prefix_put(prefix, 0, TOKENS(1, 2, 3, 4));
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 4), false, &n_shared), -1);
    CHECK(lcrt_prefix_store_of(prefix, 0, 2, NULL, &entry) == LCRT_OK);
    CHECK_INT(lcrt_prefix_find(prefix, TOKENS(1, 2, 3, 4), false, &n_shared), entry);
    CHECK_INT(n_shared, 2);
    CHECK_INT(lcrt_prefix_common(prefix, 0, false), 0);
    CHECK_INT(lcrt_prefix_common(prefix, 0, true), 2);
    end();
}

static void an_entry_without_tokens_cannot_be_stored(void) {
    begin();
    int32_t entry;
    CHECK(lcrt_prefix_store(prefix, NULL, 0, NULL, &entry) == LCRT_ERR_INVALID);
    CHECK(lcrt_prefix_store_of(prefix, 0, 1, NULL, &entry) == LCRT_ERR_INVALID);
    end();
}

static void bookkeeping_of_ten_thousand_stays_under_a_kilobyte_each(void) {
    begin();
    uint64_t state = 7;
    int32_t tokens[600], entry;
    for (int32_t i = 0; i < 10000; i++) {
        for (int32_t k = 0; k < 600; k++) {
            bool common = k < 60 * (i % 10);
            tokens[k] = common ? k : test_between(&state, 0, 49151);
        }
        REQUIRE(lcrt_prefix_store(prefix, tokens, 600, NULL, &entry) == LCRT_OK);
    }
    lcrt_prefix_stats stats;
    lcrt_prefix_stats_get(prefix, &stats);
    CHECK_INT(stats.n_stored, 10000);
    CHECK((double)(stats.size - (size_t)stats.n_tokens * sizeof(int32_t)) / 10000 < 1024);
    end();
}

/* The plain model: every entry has its own array. */

#define MODEL_SLOTS 5
#define MODEL_ENTRIES 40
#define MODEL_TOKENS 48

typedef struct model_entry {
    bool used;
    int32_t tokens[MODEL_TOKENS];
    int32_t n_tokens;
} model_entry;

static model_entry model[MODEL_ENTRIES]; /* by number of entry */
static uint64_t seed;

static int32_t draw_tokens(int32_t *tokens) {
    int32_t n = test_between(&seed, 0, MODEL_TOKENS);
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = test_between(&seed, 1, 3) > 2;
    }
    const model_entry *other = &model[test_between(&seed, 0, MODEL_ENTRIES - 1)];
    if (other->used && test_between(&seed, 0, 2) > 0) {
        int32_t n_common = test_between(&seed, 0, other->n_tokens < n ? other->n_tokens : n);
        memcpy(tokens, other->tokens, (size_t)n_common * sizeof(*tokens));
    }
    return n;
}

static int32_t common_of(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b) {
    int32_t n = 0;
    while (n < n_a && n < n_b && a[n] == b[n]) {
        n++;
    }
    return n;
}

static void check_find(const int32_t *tokens, int32_t n_tokens, bool whole) {
    int32_t n_best = 0, n_shared;
    for (int32_t i = MODEL_SLOTS; i < MODEL_ENTRIES; i++) {
        const model_entry *own = &model[i];
        int32_t n = own->used ? common_of(own->tokens, own->n_tokens, tokens, n_tokens) : 0;
        n_best = n > n_best && (!whole || n == own->n_tokens) ? n : n_best;
    }
    int32_t entry = lcrt_prefix_find(prefix, tokens, n_tokens, whole, &n_shared);
    CHECK_INT(n_shared, n_best);
    CHECK_INT(entry >= 0, n_best > 0);
    if (entry >= 0 && CHECK(entry >= MODEL_SLOTS && entry < MODEL_ENTRIES && model[entry].used)) {
        const model_entry *own = &model[entry];
        CHECK_INT(common_of(own->tokens, own->n_tokens, tokens, n_tokens), n_best);
        CHECK(!whole || own->n_tokens == n_best);
    }
}

/* As many as asked for, the best ones, in order. */
static void check_list(const int32_t *tokens, int32_t n_tokens) {
    lcrt_prefix_match list[4];
    int32_t n_sharing[MODEL_TOKENS + 1] = {0}; /* stored entries that share at least so many */
    for (int32_t i = MODEL_SLOTS; i < MODEL_ENTRIES; i++) {
        const model_entry *own = &model[i];
        int32_t n = own->used ? common_of(own->tokens, own->n_tokens, tokens, n_tokens) : 0;
        for (int32_t k = 1; k <= n; k++) {
            n_sharing[k]++;
        }
    }
    int32_t n_list = lcrt_prefix_list(prefix, tokens, n_tokens, list, 4);
    CHECK_INT(n_list, n_sharing[1] < 4 ? n_sharing[1] : 4);
    for (int32_t i = 0; i < n_list; i++) {
        const model_entry *own = &model[list[i].entry];
        CHECK(own->used && list[i].entry >= MODEL_SLOTS);
        CHECK_INT(common_of(own->tokens, own->n_tokens, tokens, n_tokens), list[i].n_shared);
        CHECK(list[i].n_shared == MODEL_TOKENS || n_sharing[list[i].n_shared + 1] <= i);
        CHECK(i == 0 || list[i].n_shared < list[i - 1].n_shared ||
              (list[i].n_shared == list[i - 1].n_shared && own->n_tokens >= model[list[i - 1].entry].n_tokens));
    }
}

static void check_slots(const int32_t *tokens, int32_t n_tokens) {
    int32_t n_shared[MODEL_SLOTS];
    lcrt_prefix_slots(prefix, tokens, n_tokens, n_shared);
    for (int32_t i = 0; i < MODEL_SLOTS; i++) {
        CHECK_INT(n_shared[i], common_of(model[i].tokens, model[i].n_tokens, tokens, n_tokens));
    }
}

static void check_common(int32_t entry, bool stored) {
    int32_t n_best = 0;
    for (int32_t i = 0; i < MODEL_ENTRIES; i++) {
        bool counts = model[i].used && i != entry && (stored || i < MODEL_SLOTS);
        const model_entry *own = &model[entry];
        int32_t n = counts ? common_of(own->tokens, own->n_tokens, model[i].tokens, model[i].n_tokens) : 0;
        n_best = n > n_best ? n : n_best;
    }
    CHECK_INT(lcrt_prefix_common(prefix, entry, stored), n_best);
}

/* Beginnings that differ, each written down once. */
static int64_t count_distinct(void) {
    int64_t n = 0;
    for (int32_t i = 0; i < MODEL_ENTRIES; i++) {
        int32_t n_known = 0;
        for (int32_t k = 0; k < i && model[i].used; k++) {
            int32_t n_common = common_of(model[i].tokens, model[i].n_tokens, model[k].tokens, model[k].n_tokens);
            n_known = model[k].used && n_common > n_known ? n_common : n_known;
        }
        n += model[i].used ? model[i].n_tokens - n_known : 0;
    }
    return n;
}

static void check_all(void) {
    int32_t n_entries = 0, tokens[MODEL_TOKENS];
    for (int32_t i = 0; i < MODEL_ENTRIES; i++) {
        if (model[i].used) {
            n_entries++;
            check_tokens(i, model[i].tokens, model[i].n_tokens);
            check_common(i, false);
            check_common(i, true);
        }
    }
    int32_t n_tokens = draw_tokens(tokens);
    check_find(tokens, n_tokens, false);
    check_find(tokens, n_tokens, true);
    check_list(tokens, n_tokens);
    check_slots(tokens, n_tokens);
    lcrt_prefix_stats stats;
    lcrt_prefix_stats_get(prefix, &stats);
    CHECK_INT(stats.n_stored, n_entries - MODEL_SLOTS);
    CHECK_INT(stats.n_tokens, count_distinct());
    CHECK(stats.n_nodes <= 2 * n_entries);
}

static void change_slot(int32_t slot) {
    model_entry *own = &model[slot];
    int32_t tokens[MODEL_TOKENS];
    int32_t n_tokens = draw_tokens(tokens);
    int32_t p0 = test_between(&seed, 0, own->n_tokens), p1 = test_between(&seed, p0, own->n_tokens);
    int32_t room = MODEL_TOKENS - own->n_tokens;
    switch (test_between(&seed, 0, 4)) {
    case 0:
        CHECK(lcrt_prefix_put(prefix, slot, tokens, n_tokens) == LCRT_OK);
        own->n_tokens = n_tokens;
        memcpy(own->tokens, tokens, sizeof(tokens));
        break;
    case 1:
        n_tokens = n_tokens < room ? n_tokens : room;
        CHECK(lcrt_prefix_add(prefix, slot, tokens, n_tokens) == LCRT_OK);
        memcpy(own->tokens + own->n_tokens, tokens, (size_t)n_tokens * sizeof(*tokens));
        own->n_tokens += n_tokens;
        break;
    case 2:
        lcrt_prefix_trim(prefix, slot, p0);
        own->n_tokens = p0;
        break;
    case 3:
        CHECK(lcrt_prefix_cut(prefix, slot, p0, p1) == LCRT_OK);
        memmove(own->tokens + p0, own->tokens + p1, (size_t)(own->n_tokens - p1) * sizeof(*tokens));
        own->n_tokens -= p1 - p0;
        break;
    default:
        for (int32_t i = 0; i < 4 && own->n_tokens < MODEL_TOKENS; i++) { /* as an answer grows */
            own->tokens[own->n_tokens] = test_between(&seed, 0, 1);
            CHECK(lcrt_prefix_add(prefix, slot, &own->tokens[own->n_tokens++], 1) == LCRT_OK);
        }
    }
}

static void change_others(void) {
    int32_t other = test_between(&seed, 0, MODEL_ENTRIES - 1);
    int32_t slot = test_between(&seed, 0, MODEL_SLOTS - 1), entry = -1;
    if (!model[other].used) {
        model_entry *stored = &model[other];
        stored->n_tokens = draw_tokens(stored->tokens);
        lcrt_status status = lcrt_prefix_store(prefix, stored->tokens, stored->n_tokens, NULL, &entry);
        CHECK(status == (stored->n_tokens > 0 ? LCRT_OK : LCRT_ERR_INVALID));
        if (status == LCRT_OK && entry != other && CHECK(entry < MODEL_ENTRIES && !model[entry].used)) {
            model[entry] = *stored;
        }
    } else if (test_between(&seed, 0, 1) == 0) {
        int32_t n = test_between(&seed, 0, model[other].n_tokens);
        lcrt_prefix_copy(prefix, slot, other, n);
        memcpy(model[slot].tokens, model[other].tokens, sizeof(model[slot].tokens));
        model[slot].n_tokens = n;
    } else if (other >= MODEL_SLOTS) {
        lcrt_prefix_remove(prefix, other);
        model[other].used = false;
    } else if (model[other].n_tokens > 0) {
        int32_t n = test_between(&seed, 1, model[other].n_tokens);
        CHECK(lcrt_prefix_store_of(prefix, other, n, NULL, &entry) == LCRT_OK);
        if (entry < MODEL_ENTRIES) {
            model[entry] = model[other];
            model[entry].n_tokens = n;
        } else {
            lcrt_prefix_remove(prefix, entry);
        }
        entry = entry < MODEL_ENTRIES ? entry : -1;
    }
    if (entry >= 0) {
        model[entry].used = true;
    }
}

static void run_round(void) {
    REQUIRE(lcrt_prefix_init(MODEL_SLOTS, &prefix) == LCRT_OK);
    memset(model, 0, sizeof(model));
    for (int32_t i = 0; i < MODEL_SLOTS; i++) {
        model[i].used = true;
    }
    for (int32_t i = 0; i < 300 && test_n_failed == 0; i++) {
        if (test_between(&seed, 0, 1) == 0) {
            change_slot(test_between(&seed, 0, MODEL_SLOTS - 1));
        } else {
            change_others();
        }
        check_all();
    }
    end();
}

int main(int argc, char **argv) {
    RUN(a_new_slot_shares_nothing);
    RUN(shared_ends_at_the_first_difference);
    RUN(put_replaces_and_add_goes_on);
    RUN(trim_forgets_the_end_and_cut_the_middle);
    RUN(common_beginnings_are_written_once_and_go_with_the_last);
    RUN(of_equal_stored_entries_the_short_one_is_found);
    RUN(slots_are_not_found_as_stored_entries);
    RUN(an_entry_without_tokens_cannot_be_stored);
    RUN(bookkeeping_of_ten_thousand_stays_under_a_kilobyte_each);
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n_rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    for (uint64_t i = first; i < first + n_rounds && test_n_failed == 0; i++) {
        seed = i;
        RUN(run_round);
        if (test_n_failed > 0) {
            printf("with seed %llu\n", (unsigned long long)i);
        }
    }
    return test_end();
}
