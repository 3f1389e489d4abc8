/* penalty.c -- biases and the window of penalties. */
#include "penalty.h"

#include <stdlib.h>

#include "sampler-kernels.h"

static int32_t *find_link(lcrt_penalty *penalty, int32_t token) {
    int32_t *link = &penalty->heads[token / LCRT_BLOCK];
    while (*link >= 0 && penalty->marks[*link].token != token) {
        link = &penalty->marks[*link].next;
    }
    return link;
}

/* The mark of a token, made if there is none. There is room: the marks are as many as
 * the biases and the places in the window. */
static lcrt_mark *get_mark(lcrt_penalty *penalty, int32_t token) {
    int32_t *link = find_link(penalty, token);
    if (*link < 0) {
        int32_t fresh = penalty->free_mark;
        lcrt_mark *mark = &penalty->marks[fresh];
        penalty->free_mark = mark->next;
        *mark = (lcrt_mark){.token = token, .count = 0, .next = -1, .bias = 0.0f};
        *link = fresh;
    }
    return &penalty->marks[*link];
}

static int window_is_useful(const lcrt_sampling *sampling) {
    return sampling->repeat_last_n > 0 && (sampling->repeat_penalty != 1.0f || sampling->frequency_penalty != 0.0f ||
                                           sampling->presence_penalty != 0.0f);
}

static lcrt_status allocate(lcrt_penalty *penalty, int32_t n_bias) {
    size_t n_blocks = ((size_t)penalty->n_vocab + LCRT_BLOCK - 1) / LCRT_BLOCK;
    int32_t n_seen = penalty->window_max < penalty->n_vocab ? penalty->window_max : penalty->n_vocab;
    size_t n_marks = (size_t)n_bias + (size_t)n_seen;
    if (n_marks == 0) {
        return LCRT_OK;
    }
    penalty->heads = malloc(n_blocks * sizeof *penalty->heads);
    penalty->marks = malloc(n_marks * sizeof *penalty->marks);
    penalty->window = malloc(((size_t)penalty->window_max + 1) * sizeof *penalty->window);
    if (n_marks > INT32_MAX || penalty->heads == NULL || penalty->marks == NULL || penalty->window == NULL) {
        lcrt_penalty_free(penalty);
        return LCRT_ERR_NO_MEMORY;
    }
    for (size_t b = 0; b < n_blocks; b++) {
        penalty->heads[b] = -1;
    }
    for (size_t i = 0; i < n_marks; i++) {
        penalty->marks[i].next = i + 1 < n_marks ? (int32_t)i + 1 : -1;
    }
    return LCRT_OK;
}

lcrt_status lcrt_penalty_init(lcrt_penalty *penalty, const lcrt_sampling *sampling, int32_t n_vocab) {
    *penalty = (lcrt_penalty){.repeat = sampling->repeat_penalty,
                              .frequency = sampling->frequency_penalty,
                              .presence = sampling->presence_penalty,
                              .n_vocab = n_vocab,
                              .window_max = window_is_useful(sampling) ? sampling->repeat_last_n : 0};
    lcrt_status status = allocate(penalty, sampling->n_bias);
    if (status != LCRT_OK) {
        return status;
    }
    for (int32_t i = 0; i < sampling->n_bias; i++) {
        lcrt_mark *mark = get_mark(penalty, sampling->bias[i].token);
        mark->bias += sampling->bias[i].bias;
        int32_t n_biased = (int32_t)(mark - penalty->marks) + 1;
        penalty->n_biased = n_biased > penalty->n_biased ? n_biased : penalty->n_biased;
    }
    return LCRT_OK;
}

void lcrt_penalty_free(lcrt_penalty *penalty) {
    free(penalty->heads);
    free(penalty->marks);
    free(penalty->window);
    penalty->heads = NULL;
    penalty->marks = NULL;
    penalty->window = NULL;
}

static void forget_oldest(lcrt_penalty *penalty) {
    int32_t *link = find_link(penalty, penalty->window[penalty->oldest]);
    int32_t index = *link;
    lcrt_mark *mark = &penalty->marks[index];
    mark->count--;
    if (mark->count == 0 && index >= penalty->n_biased) {
        *link = mark->next;
        mark->next = penalty->free_mark;
        penalty->free_mark = index;
    }
    penalty->oldest = penalty->oldest + 1 < penalty->window_max ? penalty->oldest + 1 : 0;
    penalty->n_window--;
}

void lcrt_penalty_accept(lcrt_penalty *penalty, int32_t token) {
    if (penalty->window_max == 0 || token < 0 || token >= penalty->n_vocab) {
        return;
    }
    if (penalty->n_window == penalty->window_max) {
        forget_oldest(penalty);
    }
    int64_t place = (int64_t)penalty->oldest + penalty->n_window;
    penalty->window[place < penalty->window_max ? place : place - penalty->window_max] = token;
    penalty->n_window++;
    get_mark(penalty, token)->count++;
}

/* Dividing would make a negative logit likelier, so those are multiplied. */
static float penalised(const lcrt_penalty *penalty, float logit, int32_t count) {
    logit = logit > 0.0f ? logit / penalty->repeat : logit * penalty->repeat;
    return logit - ((float)count * penalty->frequency + penalty->presence);
}

void lcrt_penalty_apply(const lcrt_penalty *penalty, int32_t block_index, float *block) {
    for (int32_t i = penalty->heads[block_index]; i >= 0; i = penalty->marks[i].next) {
        const lcrt_mark *mark = &penalty->marks[i];
        float *logit = &block[mark->token % LCRT_BLOCK];
        *logit += mark->bias;
        if (mark->count > 0) {
            *logit = penalised(penalty, *logit, mark->count);
        }
    }
}
