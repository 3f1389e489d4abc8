#include "pace.h"

#include <string.h>

#include "average.h"

/* Chunks are of these sizes: multiples of what kernels like, close together where a step has time for few rows. */
static const int32_t sizes[LCRT_PACE_SIZES] = {1,  2,  4,   8,   12,  16,  20,  24,  28,   32,   40,   48,  56,
                                               64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096};

/* Before anything is known: a pass costs as much as this many rows more. */
#define PASS_ROWS 16.0

/* The least chunk may take so much of the time that is left for prompts: smaller ones get less done in it. */
#define LONG_STEP 1.25

/* How fast a measurement moves what was known. */
#define LEARN_DECODE 0.3
#define LEARN_RATE 0.4
#define LEARN_SHARE 0.1
#define LEARN_SHARE_FIRST 0.7
/* How fast a rate is doubted: what is twice too long is tried again after some 350 steps. */
#define DOUBT 0.002
/* How fast larger sizes are forgiven that they were slower per row than the one measured. */
#define FORGIVE 0.05

/* The largest size of at most n rows, an index. */
static int32_t size_of(int32_t n) {
    int32_t i = 0;
    while (i + 1 < LCRT_PACE_SIZES && sizes[i + 1] <= n) {
        i++;
    }
    return i;
}

static int32_t decode_class(int32_t n_decode) {
    int32_t i = 0;
    while (n_decode > 1 << i && i < 9) {
        i++;
    }
    return i;
}

/* What a step of decode rows alone costs; the nearest known number of rows stands in. */
static double decode_cost(const lcrt_pace *pace, int32_t n_decode) {
    if (n_decode == 0) {
        return 0;
    }
    int32_t wanted = decode_class(n_decode);
    for (int32_t d = 0; d < 10; d++) {
        if (wanted - d >= 0 && pace->decode_ns[wanted - d] > 0) {
            return pace->decode_ns[wanted - d];
        }
        if (wanted + d < 10 && pace->decode_ns[wanted + d] > 0) {
            return pace->decode_ns[wanted + d];
        }
    }
    return 0;
}

static double bounded(double value, double least, double most) {
    return value < least ? least : value > most ? most : value;
}

void lcrt_pace_init(lcrt_pace *pace, int64_t target_ns, int32_t n_min, int32_t n_max) {
    memset(pace, 0, sizeof(*pace));
    pace->target_ns = target_ns;
    pace->n_min = n_min;
    pace->n_max = n_max;
    pace->largest = -1;
    for (int32_t i = 0; i < LCRT_PACE_SIZES; i++) {
        pace->share[i] = 1 + PASS_ROWS / sizes[i];
    }
}

/* What the target leaves for prompts. Where decoding alone is slow, they still get a part of the time. */
static double left_for_prompts(const lcrt_pace *pace, int32_t n_decode) {
    double decode_ns = decode_cost(pace, n_decode);
    return bounded((double)pace->target_ns - decode_ns, decode_ns / 2, (double)pace->target_ns);
}

/* The largest size from n_least to n_most that takes no longer than left_ns; n_least itself may. */
static int32_t largest(const lcrt_pace *pace, double left_ns, int32_t n_least, int32_t n_most) {
    int32_t n_best = n_least;
    for (int32_t i = 0; i < LCRT_PACE_SIZES && sizes[i] <= n_most; i++) {
        bool known = i <= pace->largest || sizes[i] <= 2 * sizes[pace->largest];
        if (known && sizes[i] > n_best && pace->row_ns * pace->share[i] * sizes[i] <= left_ns) {
            n_best = sizes[i];
        }
    }
    return n_best;
}

int32_t lcrt_pace_chunk(const lcrt_pace *pace, int32_t n_decode) {
    return pace->row_ns > 0 ? largest(pace, left_for_prompts(pace, n_decode), pace->n_min, pace->n_max) : pace->n_min;
}

bool lcrt_pace_least_is_long(const lcrt_pace *pace, int32_t n_decode) {
    double ns = pace->row_ns * pace->share[size_of(pace->n_min)] * pace->n_min;
    return ns > LONG_STEP * left_for_prompts(pace, n_decode);
}

int32_t lcrt_pace_more(const lcrt_pace *pace, int32_t n_decode) {
    return pace->row_ns > 0 ? largest(pace, left_for_prompts(pace, n_decode), 1, pace->n_max) : pace->n_min;
}

int32_t lcrt_pace_below(const lcrt_pace *pace, int32_t n_decode, int32_t n_prompt) {
    return pace->row_ns > 0 ? largest(pace, left_for_prompts(pace, n_decode), 1, n_prompt - 1) : pace->n_min;
}

void lcrt_pace_doubt(lcrt_pace *pace) {
    pace->row_ns *= 1 - DOUBT;
}

void lcrt_pace_measure(lcrt_pace *pace, int32_t n_decode, int32_t n_prompt, int64_t ns) {
    if (n_prompt == 0) {
        double *known = &pace->decode_ns[decode_class(n_decode)];
        double sample = *known > 0 ? bounded((double)ns, *known / 4, *known * 4) : (double)ns;
        lcrt_average(known, sample, LEARN_DECODE);
        return;
    }
    /* Some of the time is the prompt's even when the decode rows were slower than known. */
    double left_ns = (double)ns - decode_cost(pace, n_decode);
    double row_ns = bounded(left_ns, (double)ns / 10, (double)ns) / n_prompt;
    int32_t i = size_of(n_prompt);
    if (pace->row_ns <= 0) {
        pace->row_ns = row_ns / pace->share[i];
    }
    double change = bounded(row_ns / (pace->row_ns * pace->share[i]), 0.25, 4) - 1;
    double learn_share = pace->measured[i] ? LEARN_SHARE : LEARN_SHARE_FIRST;
    double learn_rate = pace->measured[i] ? LEARN_RATE : 1 - LEARN_SHARE_FIRST;
    pace->share[i] *= 1 + learn_share * change;
    pace->row_ns *= 1 + learn_rate * change;
    pace->measured[i] = true;
    pace->largest = i > pace->largest ? i : pace->largest;
    for (int32_t j = i + 1; j < LCRT_PACE_SIZES; j++) {
        if (pace->share[j] > pace->share[i]) {
            pace->share[j] += FORGIVE * (pace->share[i] - pace->share[j]);
        }
    }
}
