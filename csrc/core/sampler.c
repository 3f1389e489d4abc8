/* sampler.c -- from a row of logits to one token. */
#include "sampler-internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "sampler-row.h"
#include "sampler-set.h"

struct lcrt_sampler {
    float temperature;
    int32_t top_k; /* 0: off */
    float top_p;
    float min_p;
    float typical_p;
    uint64_t random[4]; /* state of xoshiro256++ */
    lcrt_penalty penalty;
    lcrt_row row;
    lcrt_set set; /* with top_k off as large as the vocabulary; memory that is not touched is not resident */
};

lcrt_sampling lcrt_sampling_default(void) {
    return (lcrt_sampling){.temperature = 0.8f,
                           .top_k = 40,
                           .top_p = 0.9f,
                           .min_p = 0.0f,
                           .typical_p = 1.0f,
                           .repeat_penalty = 1.0f,
                           .repeat_last_n = 64};
}

static int penalties_are_valid(const lcrt_sampling *sampling) {
    float repeat = sampling->repeat_penalty;
    return isfinite(repeat) && repeat > 0.0f && isfinite(1.0f / repeat) && isfinite(sampling->frequency_penalty) &&
           isfinite(sampling->presence_penalty) && sampling->repeat_last_n >= 0;
}

static int biases_are_valid(const lcrt_sampling *sampling, int32_t n_vocab) {
    if (sampling->n_bias < 0 || (sampling->n_bias > 0 && sampling->bias == NULL)) {
        return 0;
    }
    for (int32_t i = 0; i < sampling->n_bias; i++) {
        const lcrt_logit_bias *bias = &sampling->bias[i];
        if (bias->token < 0 || bias->token >= n_vocab || !(bias->bias < INFINITY)) {
            return 0;
        }
    }
    return 1;
}

static int is_valid(const lcrt_sampling *sampling, int32_t n_vocab) {
    return n_vocab > 0 && n_vocab <= INT32_MAX / 2 && isfinite(sampling->temperature) && !isnan(sampling->top_p) &&
           !isnan(sampling->min_p) && !isnan(sampling->typical_p) && penalties_are_valid(sampling) &&
           biases_are_valid(sampling, n_vocab);
}

/* Spreads a seed over the whole state, so that near seeds give unlike numbers. */
static void seed_random(uint64_t seed, uint64_t *state) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9E3779B97F4A7C15U;
        uint64_t x = seed;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
        state[i] = x ^ (x >> 31);
    }
}

static uint64_t rotate(uint64_t x, int n_bits) {
    return (x << n_bits) | (x >> (64 - n_bits));
}

/* xoshiro256++, its upper 53 bits as a number in (0, 1]. */
static double draw_uniform(uint64_t *s) {
    uint64_t drawn = rotate(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return (double)((drawn >> 11) + 1) * 0x1p-53;
}

static lcrt_status allocate(lcrt_sampler *sampler) {
    lcrt_row *row = &sampler->row;
    lcrt_set *set = &sampler->set;
    int64_t n_items = (int64_t)row->n_blocks * LCRT_BLOCK;
    if (sampler->top_k > 0 && (int64_t)sampler->top_k * 2 + LCRT_BLOCK < n_items) {
        n_items = (int64_t)sampler->top_k * 2 + LCRT_BLOCK;
    }
    set->max_items = (int32_t)n_items;
    set->items = malloc((size_t)n_items * sizeof *set->items);
    row->max = malloc((size_t)row->n_blocks * 2 * sizeof *row->max);
    if (set->items == NULL || row->max == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    row->sum = row->max + row->n_blocks;
    return LCRT_OK;
}

lcrt_status lcrt_sampler_init_with(const lcrt_sampling *sampling, int32_t n_vocab, const lcrt_kernels *kernels,
                                   lcrt_sampler **out) {
    if (!is_valid(sampling, n_vocab) || kernels == NULL) {
        return LCRT_ERR_INVALID;
    }
    lcrt_sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    sampler->temperature = sampling->temperature;
    sampler->top_k = sampling->top_k > 0 && sampling->top_k < n_vocab ? sampling->top_k : 0;
    sampler->top_p = sampling->top_p;
    sampler->min_p = sampling->min_p;
    sampler->typical_p = sampling->typical_p;
    seed_random(sampling->seed, sampler->random);
    sampler->row = (lcrt_row){.kernels = kernels,
                              .penalty = &sampler->penalty,
                              .n_vocab = n_vocab,
                              .n_blocks = (n_vocab + LCRT_BLOCK - 1) / LCRT_BLOCK};
    lcrt_status status = lcrt_penalty_init(&sampler->penalty, sampling, n_vocab);
    if (status == LCRT_OK) {
        status = allocate(sampler);
    }
    if (status != LCRT_OK) {
        lcrt_sampler_free(sampler);
        return status;
    }
    *out = sampler;
    return LCRT_OK;
}

lcrt_status lcrt_sampler_init(const lcrt_sampling *sampling, int32_t n_vocab, lcrt_sampler **out) {
    return lcrt_sampler_init_with(sampling, n_vocab, lcrt_kernels_best(), out);
}

void lcrt_sampler_free(lcrt_sampler *sampler) {
    if (sampler == NULL) {
        return;
    }
    lcrt_penalty_free(&sampler->penalty);
    free(sampler->set.items);
    free(sampler->row.max);
    free(sampler);
}

void lcrt_sampler_accept(lcrt_sampler *sampler, int32_t token) {
    lcrt_penalty_accept(&sampler->penalty, token);
}

static int keeps_all(const lcrt_sampler *sampler) {
    return sampler->top_k == 0 && sampler->typical_p >= 1.0f && sampler->top_p >= 1.0f && sampler->min_p <= 0.0f;
}

/* Whether top_p cuts the whole row, so that its target is a share of all weights. */
static int cuts_row(const lcrt_sampler *sampler) {
    return sampler->top_k == 0 && sampler->typical_p >= 1.0f && sampler->top_p < 1.0f;
}

/* The least logit that min_p keeps. */
static float min_p_least(const lcrt_sampler *sampler, float top) {
    return sampler->min_p > 0.0f ? fminf(top + logf(sampler->min_p), top) : -FLT_MAX;
}

/* The tokens that top_p keeps of the whole row, without gathering all if few do: the
 * reach below top grows until what is gathered weighs enough. What min_p would drop
 * afterwards is left out at once. */
static void survive_top_p(lcrt_sampler *sampler, float top, double total) {
    lcrt_set *set = &sampler->set;
    double target = (double)sampler->top_p * total;
    float limit = min_p_least(sampler, top);
    float below = INFINITY;
    for (float reach = 4.0f; below > limit; reach += 4.0f) {
        float least = reach > 16.0f ? limit : fmaxf(top - reach, limit);
        lcrt_row_gather(&sampler->row, least, below, set);
        below = least;
        if (lcrt_set_weigh(set, top, LCRT_LOG2_E) >= target) {
            break;
        }
    }
    lcrt_set_cut(set, target);
}

/* Fills the set with the tokens that survive every rule. There is at least one. total is
 * used where top_p cuts the row. */
static void survive(lcrt_sampler *sampler, float top, double total) {
    lcrt_set *set = &sampler->set;
    set->n_items = 0;
    if (cuts_row(sampler)) {
        survive_top_p(sampler, top, total);
        return;
    }
    int is_typical = sampler->typical_p < 1.0f;
    if (sampler->top_k > 0) {
        lcrt_row_gather_top(&sampler->row, sampler->top_k, top, set);
    } else {
        lcrt_row_gather(&sampler->row, is_typical ? -FLT_MAX : min_p_least(sampler, top), INFINITY, set);
    }
    if (is_typical) {
        lcrt_set_typical(set, sampler->typical_p);
    }
    if (sampler->top_p < 1.0f) {
        lcrt_set_top_p(set, sampler->top_p);
    }
    if (sampler->min_p > 0.0f) {
        lcrt_set_min_p(set, sampler->min_p);
    }
}

/* What multiplies a difference of logits to make the exponent of a weight. */
static float scale_of(const lcrt_sampler *sampler) {
    return fmaxf(fminf(LCRT_LOG2_E / sampler->temperature, 1e30f), 1e-30f);
}

/* Reads the row once: the largest logit, and where it will be needed the total of the
 * weights, by the temperature or for top_p without it. */
static float read_row(lcrt_sampler *sampler, const float *logits, const uint32_t *mask, double *total) {
    lcrt_row *row = &sampler->row;
    row->logits = logits;
    row->mask = mask;
    if (sampler->temperature > 0.0f && keeps_all(sampler)) {
        return lcrt_row_weigh(row, scale_of(sampler), total);
    }
    if (sampler->temperature > 0.0f && cuts_row(sampler)) {
        return lcrt_row_weigh(row, LCRT_LOG2_E, total);
    }
    return lcrt_row_max(row);
}

/* Whether a token must be drawn; else *token is it. */
static int needs_draw(const lcrt_sampler *sampler, float top, int32_t *token) {
    if (top == -INFINITY) {
        *token = lcrt_row_first_allowed(&sampler->row);
        return 0;
    }
    if (sampler->temperature <= 0.0f || top == INFINITY) {
        *token = lcrt_row_first(&sampler->row, top);
        return 0;
    }
    return 1;
}

int32_t lcrt_sampler_sample(lcrt_sampler *sampler, const float *logits, const uint32_t *mask) {
    lcrt_set *set = &sampler->set;
    double total = 0.0;
    float top = read_row(sampler, logits, mask, &total);
    int32_t token = -1;
    if (!needs_draw(sampler, top, &token)) {
        return token;
    }
    double drawn = draw_uniform(sampler->random);
    float scale = scale_of(sampler);
    if (keeps_all(sampler)) {
        return lcrt_row_at(&sampler->row, top, scale, drawn * total);
    }
    survive(sampler, top, total);
    total = lcrt_set_weigh(set, lcrt_set_rank(set), scale);
    return lcrt_set_at(set, drawn * total);
}

int32_t lcrt_sampler_candidates(lcrt_sampler *sampler, const float *logits, const uint32_t *mask, lcrt_candidate *out,
                                int32_t cap) {
    lcrt_set *set = &sampler->set;
    double total = 0.0;
    float top = read_row(sampler, logits, mask, &total);
    int32_t token = -1;
    if (cap <= 0) {
        return 0;
    }
    if (!needs_draw(sampler, top, &token)) {
        out[0] = (lcrt_candidate){.token = token, .p = 1.0f};
        return token >= 0 ? 1 : 0;
    }
    survive(sampler, top, total);
    total = lcrt_set_weigh(set, lcrt_set_rank(set), scale_of(sampler));
    lcrt_set_sort(set);
    int32_t n = set->n_items < cap ? set->n_items : cap;
    for (int32_t i = 0; i < n; i++) {
        out[i] = (lcrt_candidate){.token = set->items[i].token, .p = (float)((double)set->items[i].weight / total)};
    }
    return n;
}
