#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "lcrt/utf8.h"

/* Room for n items of size bytes in *items, in geometric steps. */
static lcrt_status reserve(void **items, int32_t *cap, int64_t n, size_t size) {
    if (n <= *cap) {
        return LCRT_OK;
    }
    if (n > INT32_MAX / 4) {
        return LCRT_ERR_TOO_LONG;
    }
    int32_t bigger = *cap * 2 > (int32_t)n ? *cap * 2 : (int32_t)n;
    void *moved = realloc(*items, (size_t)bigger * size);
    if (moved == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    *items = moved;
    *cap = bigger;
    return LCRT_OK;
}

static lcrt_status reserve_bytes(char **bytes, int32_t *cap, int64_t n) {
    void *items = *bytes;
    lcrt_status status = reserve(&items, cap, n, 1);
    *bytes = items;
    return status;
}

/* One more token; its three arrays grow together. */
static lcrt_status reserve_token(lcrt_output *output) {
    if (output->n_tokens < output->tokens_cap) {
        return LCRT_OK;
    }
    int32_t cap = output->tokens_cap * 2 > 32 ? output->tokens_cap * 2 : 32;
    int32_t *tokens = realloc(output->tokens, (size_t)cap * sizeof(*tokens));
    output->tokens = tokens != NULL ? tokens : output->tokens;
    int64_t *ends = realloc(output->ends, (size_t)cap * sizeof(*ends));
    output->ends = ends != NULL ? ends : output->ends;
    bool complete = tokens != NULL && ends != NULL;
    if (complete && output->n_each > 0) {
        size_t n = (size_t)cap * (size_t)output->n_each;
        lcrt_logprob *logprobs = realloc(output->logprobs, n * sizeof(*logprobs));
        output->logprobs = logprobs != NULL ? logprobs : output->logprobs;
        complete = logprobs != NULL;
    }
    output->tokens_cap = complete ? cap : output->tokens_cap;
    return complete ? LCRT_OK : LCRT_ERR_NO_MEMORY;
}

lcrt_status lcrt_output_init(lcrt_output *output, const char *const *stops, int32_t n_stops, int32_t n_each) {
    memset(output, 0, sizeof(*output));
    output->n_each = n_each;
    lcrt_status status = n_stops > 0 ? lcrt_stop_init(stops, n_stops, &output->stop) : LCRT_OK;
    if (status == LCRT_OK) {
        status = reserve_token(output);
    }
    if (status == LCRT_OK) {
        status = reserve_bytes(&output->held, &output->held_cap, 512);
    }
    if (status == LCRT_OK) {
        status = reserve_bytes(&output->ready, &output->ready_cap, 512);
    }
    if (status != LCRT_OK) {
        lcrt_output_free(output);
    }
    return status;
}

void lcrt_output_free(lcrt_output *output) {
    lcrt_stop_free(output->stop);
    free(output->held);
    free(output->ready);
    free(output->tokens);
    free(output->ends);
    free(output->logprobs);
    memset(output, 0, sizeof(*output));
}

char *lcrt_output_place(lcrt_output *output, int32_t piece_max) {
    lcrt_status status = reserve_bytes(&output->held, &output->held_cap, (int64_t)output->held_len + piece_max);
    return status == LCRT_OK ? output->held + output->held_len : NULL;
}

/* Moves the first n bytes of held to ready; beyond that, n_lost bytes are forgotten. */
static lcrt_status show(lcrt_output *output, int32_t n, int32_t n_lost) {
    lcrt_status status = reserve_bytes(&output->ready, &output->ready_cap, output->ready_len + 3 * (int64_t)n);
    if (status != LCRT_OK) {
        return status;
    }
    output->ready_len += lcrt_utf8_repair(output->held, n, output->ready + output->ready_len);
    output->held_len -= n + n_lost;
    memmove(output->held, output->held + n + n_lost, (size_t)output->held_len);
    output->n_searched = output->held_len;
    return LCRT_OK;
}

lcrt_status lcrt_output_add(lcrt_output *output, int32_t token, int32_t piece_len, const lcrt_logprob *logprobs,
                            bool *stopped) {
    *stopped = false;
    lcrt_status status = reserve_token(output);
    if (status != LCRT_OK) {
        return status;
    }
    output->held_len += piece_len;
    output->n_added += piece_len;
    output->tokens[output->n_tokens] = token;
    output->ends[output->n_tokens] = output->n_added;
    if (output->n_each > 0) {
        size_t n_each = (size_t)output->n_each;
        memcpy(output->logprobs + (size_t)output->n_tokens * n_each, logprobs, n_each * sizeof(*logprobs));
    }
    output->n_tokens++;
    int32_t n_kept = 0;
    if (output->stop != NULL) {
        int32_t found = lcrt_stop_find(output->stop, output->held, output->held_len, output->n_searched, &n_kept);
        if (found >= 0) {
            *stopped = true;
            return show(output, found, output->held_len - found);
        }
    }
    n_kept += lcrt_utf8_incomplete(output->held, output->held_len - n_kept);
    return show(output, output->held_len - n_kept, 0);
}

lcrt_status lcrt_output_end(lcrt_output *output) {
    return show(output, output->held_len, 0);
}

int32_t lcrt_output_tokens(const lcrt_output *output) {
    int64_t n_shown = output->n_added - output->held_len;
    int32_t n = output->n_tokens;
    while (n > 0 && output->ends[n - 1] > n_shown) {
        n--;
    }
    return n;
}

void lcrt_output_drop(lcrt_output *output, int32_t text_len, int32_t n_tokens) {
    output->ready_len -= text_len;
    memmove(output->ready, output->ready + text_len, (size_t)output->ready_len);
    output->n_tokens -= n_tokens;
    size_t n = (size_t)output->n_tokens;
    memmove(output->tokens, output->tokens + n_tokens, n * sizeof(*output->tokens));
    memmove(output->ends, output->ends + n_tokens, n * sizeof(*output->ends));
    if (output->n_each > 0) {
        size_t n_each = (size_t)output->n_each;
        memmove(output->logprobs, output->logprobs + (size_t)n_tokens * n_each, n * n_each * sizeof(*output->logprobs));
    }
}
