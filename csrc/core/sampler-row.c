/* sampler-row.c -- passes over a row. Blocks that nothing changes are read where they
 * are; of the others a changed copy is made on the stack. */
#include "sampler-row.h"

#include <float.h>
#include <math.h>

typedef enum lcrt_cover { COVER_NONE, COVER_PART, COVER_ALL } lcrt_cover;

static int32_t block_len(const lcrt_row *row, int32_t b) {
    int32_t n_left = row->n_vocab - b * LCRT_BLOCK;
    return n_left < LCRT_BLOCK ? n_left : LCRT_BLOCK;
}

static int32_t n_mask_words(const lcrt_row *row, int32_t b) {
    return (block_len(row, b) + 31) / 32;
}

/* How much of a block the mask allows. */
static lcrt_cover cover(const lcrt_row *row, int32_t b) {
    if (row->mask == NULL) {
        return COVER_ALL;
    }
    uint32_t any = 0;
    uint32_t all = UINT32_MAX;
    for (int32_t i = 0; i < n_mask_words(row, b); i++) {
        uint32_t word = row->mask[b * LCRT_BLOCK_WORDS + i];
        any |= word;
        all &= word;
    }
    if (any == 0) {
        return COVER_NONE;
    }
    return all == UINT32_MAX ? COVER_ALL : COVER_PART;
}

static int is_plain(const lcrt_row *row, int32_t b) {
    return !lcrt_penalty_touches(row->penalty, b) && block_len(row, b) == LCRT_BLOCK && cover(row, b) == COVER_ALL;
}

/* The mask may end within the block. */
static void apply_mask(const lcrt_row *row, int32_t b, const float *block, float *room) {
    uint32_t words[LCRT_BLOCK_WORDS] = {0};
    memcpy(words, row->mask + (size_t)b * LCRT_BLOCK_WORDS, (size_t)n_mask_words(row, b) * sizeof words[0]);
    row->kernels->block_mask(block, words, room);
}

static void copy_changed(const lcrt_row *row, int32_t b, float *room) {
    const float *block = row->logits + (size_t)b * LCRT_BLOCK;
    int32_t len = block_len(row, b);
    int is_touched = lcrt_penalty_touches(row->penalty, b);
    if (is_touched || len < LCRT_BLOCK) {
        memcpy(room, block, (size_t)len * sizeof *room);
        for (int32_t i = len; i < LCRT_BLOCK; i++) {
            room[i] = -INFINITY;
        }
        block = room;
    }
    if (is_touched) {
        lcrt_penalty_apply(row->penalty, b, room);
    }
    if (row->mask != NULL) {
        apply_mask(row, b, block, room);
    }
}

/* The logits of a block as the sampler sees them; room is for one block. */
static const float *view(const lcrt_row *row, int32_t b, float *room) {
    if (is_plain(row, b)) {
        return row->logits + (size_t)b * LCRT_BLOCK;
    }
    copy_changed(row, b, room);
    return room;
}

/* One reading of the row. */
typedef struct lcrt_pass {
    int weighs;
    float scale;
    float top; /* so far, where it weighs */
} lcrt_pass;

static void read_blocks(lcrt_row *row, lcrt_pass *pass, const float *logits, int32_t b, int32_t n_blocks) {
    if (pass->weighs) {
        row->kernels->block_weigh(logits, n_blocks, pass->scale, &pass->top, row->max + b, row->sum + b);
    } else {
        row->kernels->block_max(logits, n_blocks, row->max + b);
    }
}

static void read_changed(lcrt_row *row, lcrt_pass *pass, int32_t b) {
    float room[LCRT_BLOCK];
    if (cover(row, b) == COVER_NONE) {
        row->max[b] = -INFINITY;
        row->sum[b] = 0.0f;
        return;
    }
    copy_changed(row, b, room);
    read_blocks(row, pass, room, b, 1);
}

static void read_row(lcrt_row *row, lcrt_pass *pass) {
    int32_t first = 0; /* the blocks from here to b are plain and wait for one call */
    for (int32_t b = 0; b < row->n_blocks; b++) {
        if (!is_plain(row, b)) {
            read_blocks(row, pass, row->logits + (size_t)first * LCRT_BLOCK, first, b - first);
            read_changed(row, pass, b);
            first = b + 1;
        }
    }
    read_blocks(row, pass, row->logits + (size_t)first * LCRT_BLOCK, first, row->n_blocks - first);
}

float lcrt_row_max(lcrt_row *row) {
    lcrt_pass pass = {.weighs = 0};
    read_row(row, &pass);
    float top = -INFINITY;
    for (int32_t b = 0; b < row->n_blocks; b++) {
        top = row->max[b] > top ? row->max[b] : top;
    }
    return top;
}

float lcrt_row_weigh(lcrt_row *row, float scale, double *total) {
    lcrt_pass pass = {.weighs = 1, .scale = scale, .top = -INFINITY};
    read_row(row, &pass);
    float so_far = -INFINITY; /* what the sum of a block refers to */
    float factor = 0.0f;      /* from there to the top */
    *total = 0.0;
    for (int32_t b = 0; b < row->n_blocks; b++) {
        if (row->max[b] > so_far) {
            so_far = row->max[b];
            factor = lcrt_weight(so_far, pass.top, scale);
        }
        row->sum[b] *= factor;
        *total += (double)row->sum[b];
    }
    return pass.top;
}

int32_t lcrt_row_first(const lcrt_row *row, float top) {
    float room[LCRT_BLOCK];
    int32_t b = 0;
    while (row->max[b] < top) {
        b++;
    }
    const float *block = view(row, b, room);
    int32_t i = 0;
    while (!(block[i] >= top)) {
        i++;
    }
    return b * LCRT_BLOCK + i;
}

/* A block is found by its sum, the token in it by adding up again; rounding may leave
 * the target just out of reach, then the last token with a weight is taken. */
int32_t lcrt_row_at(const lcrt_row *row, float top, float scale, double target) {
    float room[LCRT_BLOCK];
    double sum = 0.0;
    int32_t chosen = -1;
    for (int32_t b = 0; b < row->n_blocks; b++) {
        if (row->sum[b] > 0.0f) {
            chosen = b;
            if (sum + (double)row->sum[b] >= target) {
                break;
            }
            sum += (double)row->sum[b];
        }
    }
    const float *block = view(row, chosen, room);
    int32_t last = -1;
    for (int32_t i = 0; i < LCRT_BLOCK && (last < 0 || sum < target); i++) {
        float weight = lcrt_weight(block[i], top, scale);
        if (weight > 0.0f) {
            sum += (double)weight;
            last = i;
        }
    }
    return chosen * LCRT_BLOCK + last;
}

void lcrt_row_gather(const lcrt_row *row, float least, float below, lcrt_set *set) {
    float room[LCRT_BLOCK];
    uint8_t places[LCRT_BLOCK];
    for (int32_t b = 0; b < row->n_blocks; b++) {
        if (row->max[b] < least) {
            continue;
        }
        const float *block = view(row, b, room);
        int32_t n_found = row->kernels->block_find(block, least, places);
        for (int32_t i = 0; i < n_found; i++) {
            float logit = block[places[i]];
            if (logit < below) {
                set->items[set->n_items++] =
                    (lcrt_item){.logit = logit, .rank = logit, .token = b * LCRT_BLOCK + places[i]};
            }
        }
    }
}

/* A number that at least k logits reach, by way of k blocks whose max reaches it. It
 * need not be the best one: the best makes the set small. */
static float find_least(const lcrt_row *row, int32_t k, float top) {
    if (k > row->n_blocks) {
        return -FLT_MAX;
    }
    float span = 4.0f;
    int32_t n_reach = row->kernels->count(row->max, row->n_blocks, top - span);
    while (n_reach < k && top - span > -FLT_MAX) {
        span *= 4.0f;
        n_reach = row->kernels->count(row->max, row->n_blocks, top - span);
    }
    if (!(top - span > -FLT_MAX)) {
        return -FLT_MAX;
    }
    float least = top - span; /* reached by k blocks */
    float above = top;        /* perhaps not */
    for (int i = 0; i < 12 && n_reach > k + k / 8; i++) {
        float middle = least + (above - least) / 2.0f;
        int32_t n = row->kernels->count(row->max, row->n_blocks, middle);
        if (n >= k) {
            least = middle;
            n_reach = n;
        } else {
            above = middle;
        }
    }
    return least;
}

/* The smallest number that would still get into a set which is full. */
static float next_least(const lcrt_set *set) {
    float least = INFINITY;
    for (int32_t i = 0; i < set->n_items; i++) {
        least = fminf(least, set->items[i].logit);
    }
    return nextafterf(least, INFINITY);
}

void lcrt_row_gather_top(const lcrt_row *row, int32_t k, float top, lcrt_set *set) {
    float room[LCRT_BLOCK];
    uint8_t places[LCRT_BLOCK];
    float least = find_least(row, k, top);
    set->n_items = 0;
    for (int32_t b = 0; b < row->n_blocks; b++) {
        if (row->max[b] < least) {
            continue;
        }
        if (set->n_items + LCRT_BLOCK > set->max_items) {
            lcrt_set_top_k(set, k);
            least = next_least(set);
        }
        const float *block = view(row, b, room);
        int32_t n_found = row->kernels->block_find(block, least, places);
        for (int32_t i = 0; i < n_found; i++) {
            float logit = block[places[i]];
            set->items[set->n_items++] =
                (lcrt_item){.logit = logit, .rank = logit, .token = b * LCRT_BLOCK + places[i]};
        }
    }
    lcrt_set_top_k(set, k);
}

int32_t lcrt_row_first_allowed(const lcrt_row *row) {
    if (row->mask == NULL) {
        return 0;
    }
    for (int32_t token = 0; token < row->n_vocab; token++) {
        if (row->mask[token / 32] >> (token % 32) & 1U) {
            return token;
        }
    }
    return -1;
}
