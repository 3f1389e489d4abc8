/* Shared cells, by example and against a plain model in which every cell has a number.
 *
 * test-cells [SEED [ROUNDS]] */
#include "../core/cells.h"
#include "test.h"

#define SLOTS 6
#define HELD_MAX 30
#define NUMBERS 100000

static lcrt_cells cells;

static void a_shared_beginning_counts_once_until_its_last_owner_leaves(void) {
    REQUIRE(lcrt_cells_init(&cells, 3) == LCRT_OK);
    lcrt_cells_grow(&cells, 0, 10);
    lcrt_cells_share(&cells, 0, 1, 8);
    lcrt_cells_share(&cells, 1, 2, 5);
    lcrt_cells_grow(&cells, 1, 4);
    CHECK_INT(cells.n_used, 14);
    CHECK_INT(lcrt_cells_common(&cells, 0, 2), 5);
    CHECK_INT(lcrt_cells_shared(&cells, 0), 8);
    lcrt_cells_trim(&cells, 0, 0);
    CHECK_INT(cells.n_used, 12);
    lcrt_cells_trim(&cells, 1, 3);
    CHECK_INT(cells.n_used, 5);
    CHECK_INT(lcrt_cells_shared(&cells, 2), 3);
    lcrt_cells_trim(&cells, 2, 0);
    CHECK_INT(cells.n_used, 3);
    lcrt_cells_free(&cells);
}

static void what_grew_apart_is_not_common(void) {
    REQUIRE(lcrt_cells_init(&cells, 2) == LCRT_OK);
    lcrt_cells_grow(&cells, 0, 10);
    lcrt_cells_share(&cells, 0, 1, 10);
    lcrt_cells_trim(&cells, 1, 4);
    lcrt_cells_grow(&cells, 1, 6);
    CHECK_INT(lcrt_cells_common(&cells, 0, 1), 4);
    CHECK_INT(cells.n_used, 16);
    lcrt_cells_free(&cells);
}

static int32_t numbers[SLOTS][HELD_MAX]; /* the model: the number of each cell of each slot */
static int32_t held[SLOTS];
static int32_t n_numbers;
static uint64_t seed;

static int32_t count_used(void) {
    static bool seen[NUMBERS];
    int32_t n = 0;
    memset(seen, 0, sizeof(seen));
    for (int32_t i = 0; i < SLOTS; i++) {
        for (int32_t k = 0; k < held[i]; k++) {
            n += !seen[numbers[i][k]];
            seen[numbers[i][k]] = true;
        }
    }
    return n;
}

static int32_t common_of(int32_t a, int32_t b) {
    int32_t n = 0;
    while (n < held[a] && n < held[b] && numbers[a][n] == numbers[b][n]) {
        n++;
    }
    return n;
}

static void check(void) {
    CHECK_INT(cells.n_used, count_used());
    for (int32_t i = 0; i < SLOTS; i++) {
        int32_t n_shared = 0;
        CHECK_INT(cells.held[i], held[i]);
        for (int32_t k = 0; k < SLOTS; k++) {
            if (k != i) {
                CHECK_INT(lcrt_cells_common(&cells, i, k), common_of(i, k));
                n_shared = common_of(i, k) > n_shared ? common_of(i, k) : n_shared;
            }
        }
        CHECK_INT(lcrt_cells_shared(&cells, i), n_shared);
    }
}

static void cut(int32_t slot) {
    int32_t p1 = test_between(&seed, lcrt_cells_shared(&cells, slot), held[slot]);
    int32_t p0 = test_between(&seed, 0, p1);
    lcrt_cells_cut(&cells, slot, p0, p1);
    memmove(numbers[slot] + p0, numbers[slot] + p1, (size_t)(held[slot] - p1) * sizeof(int32_t));
    held[slot] -= p1 - p0;
}

static void change(int32_t slot) {
    int32_t src = test_between(&seed, 0, SLOTS - 1);
    int32_t n = test_between(&seed, 0, HELD_MAX - held[slot]);
    switch (test_between(&seed, 0, 3)) {
    case 0:
        lcrt_cells_grow(&cells, slot, n);
        for (int32_t i = 0; i < n; i++) {
            numbers[slot][held[slot]++] = n_numbers++;
        }
        break;
    case 1:
        if (held[slot] == 0 && src != slot) {
            held[slot] = test_between(&seed, 0, held[src]);
            memcpy(numbers[slot], numbers[src], sizeof(numbers[slot]));
            lcrt_cells_share(&cells, src, slot, held[slot]);
        }
        break;
    case 2:
        n = test_between(&seed, 0, 2) > 0 ? 0 : test_between(&seed, 0, held[slot]);
        lcrt_cells_trim(&cells, slot, n);
        held[slot] = n;
        break;
    default:
        cut(slot);
    }
}

static void run_round(void) {
    REQUIRE(lcrt_cells_init(&cells, SLOTS) == LCRT_OK);
    memset(held, 0, sizeof(held));
    n_numbers = 0;
    for (int32_t i = 0; i < 1000 && test_n_failed == 0; i++) {
        change(test_between(&seed, 0, SLOTS - 1));
        check();
    }
    lcrt_cells_free(&cells);
}

int main(int argc, char **argv) {
    RUN(a_shared_beginning_counts_once_until_its_last_owner_leaves);
    RUN(what_grew_apart_is_not_common);
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n_rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
    for (uint64_t i = first; i < first + n_rounds && test_n_failed == 0; i++) {
        seed = i;
        RUN(run_round);
        if (test_n_failed > 0) {
            printf("with seed %llu\n", (unsigned long long)i);
        }
    }
    return test_end();
}
