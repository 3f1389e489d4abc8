/* logits.c -- reading a row of raw logits. */
#include "lcrt/logits.h"

#include <math.h>
#include <stddef.h>

#include "sampler-kernels.h"

#define CHUNK 32 /* blocks at a time; what is known of them fits on the stack */

typedef struct lcrt_chunk {
    const lcrt_kernels *kernels;
    const float *logits; /* of the chunk, or last */
    int32_t first;       /* token */
    int32_t n_blocks;
    float last[LCRT_BLOCK]; /* the end of a row, filled up */
} lcrt_chunk;

/* The blocks from token first on, whole ones as they are; the rest of a row is a chunk
 * of its own. Returns 0 after the last. */
static int next_chunk(const float *logits, int32_t n_vocab, lcrt_chunk *chunk) {
    chunk->first += chunk->n_blocks * LCRT_BLOCK;
    int32_t n_left = n_vocab - chunk->first;
    if (n_left <= 0) {
        return 0;
    }
    chunk->logits = logits + chunk->first;
    chunk->n_blocks = n_left / LCRT_BLOCK < CHUNK ? n_left / LCRT_BLOCK : CHUNK;
    if (chunk->n_blocks == 0) {
        for (int32_t i = 0; i < LCRT_BLOCK; i++) {
            chunk->last[i] = i < n_left ? chunk->logits[i] : -INFINITY;
        }
        chunk->logits = chunk->last;
        chunk->n_blocks = 1;
    }
    return 1;
}

/* A sum of exponentials. */
typedef struct lcrt_total {
    float top;  /* the largest logit so far, what sum refers to */
    double sum; /* of exp(logit - top) */
} lcrt_total;

/* Adds a chunk; max gets the largest of each of its blocks. */
static void add_chunk(const lcrt_chunk *chunk, lcrt_total *total, float *max) {
    float sum[CHUNK];
    float so_far = total->top;
    chunk->kernels->block_weigh(chunk->logits, chunk->n_blocks, LCRT_LOG2_E, &total->top, max, sum);
    total->sum *= (double)lcrt_weight(so_far, total->top, LCRT_LOG2_E);
    for (int32_t b = 0; b < chunk->n_blocks; b++) {
        so_far = max[b] > so_far ? max[b] : so_far;
        total->sum += (double)(sum[b] * lcrt_weight(so_far, total->top, LCRT_LOG2_E));
    }
}

static float log_of(const lcrt_total *total) {
    return isfinite(total->top) ? total->top + (float)log(total->sum) : total->top;
}

static float logprob_of(float logit, float log_total) {
    if (!(logit > -INFINITY)) {
        return -INFINITY;
    }
    return logit >= log_total ? 0.0f : logit - log_total;
}

float lcrt_logits_logprob(const float *logits, int32_t n_vocab, int32_t token) {
    lcrt_chunk chunk = {.kernels = lcrt_kernels_best()};
    lcrt_total total = {.top = -INFINITY};
    float max[CHUNK];
    while (next_chunk(logits, n_vocab, &chunk)) {
        add_chunk(&chunk, &total, max);
    }
    return logprob_of(logits[token], log_of(&total));
}

/* Puts a token into the list of the n_top likeliest, the last of which falls out. */
static void insert(int32_t token, float logit, int32_t n_top, int32_t *tokens, float *logits) {
    int32_t i = n_top - 1;
    for (; i > 0 && logit > logits[i - 1]; i--) {
        tokens[i] = tokens[i - 1];
        logits[i] = logits[i - 1];
    }
    tokens[i] = token;
    logits[i] = logit;
}

static void insert_block(const float *block, int32_t first, int32_t n_top, int32_t *tokens, float *logits) {
    for (int32_t i = 0; i < LCRT_BLOCK; i++) {
        if (block[i] > logits[n_top - 1]) {
            insert(first + i, block[i], n_top, tokens, logits);
        }
    }
}

void lcrt_logits_top(const float *logits, int32_t n_vocab, int32_t n_top, int32_t *tokens, float *logprobs) {
    if (n_top <= 0) {
        return;
    }
    for (int32_t i = 0; i < n_top; i++) {
        tokens[i] = -1;
        logprobs[i] = -INFINITY;
    }
    lcrt_chunk chunk = {.kernels = lcrt_kernels_best()};
    lcrt_total total = {.top = -INFINITY};
    float max[CHUNK];
    while (next_chunk(logits, n_vocab, &chunk)) {
        add_chunk(&chunk, &total, max);
        for (int32_t b = 0; b < chunk.n_blocks; b++) {
            if (max[b] > logprobs[n_top - 1]) {
                const float *block = chunk.logits + (size_t)b * LCRT_BLOCK;
                insert_block(block, chunk.first + b * LCRT_BLOCK, n_top, tokens, logprobs);
            }
        }
    }
    for (int32_t i = 0; i < n_top; i++) {
        logprobs[i] = logprob_of(logprobs[i], log_of(&total));
    }
}

int32_t lcrt_logits_argmax(const float *logits, int32_t n_vocab) {
    int32_t token = 0;
    float likeliest = -INFINITY;
    lcrt_chunk chunk = {.kernels = lcrt_kernels_best()};
    while (next_chunk(logits, n_vocab, &chunk)) {
        float max[CHUNK];
        chunk.kernels->block_max(chunk.logits, chunk.n_blocks, max);
        for (int32_t b = 0; b < chunk.n_blocks; b++) {
            if (max[b] > likeliest) {
                const float *block = chunk.logits + (size_t)b * LCRT_BLOCK;
                insert_block(block, chunk.first + b * LCRT_BLOCK, 1, &token, &likeliest);
            }
        }
    }
    return token;
}
