#include "event.h"

#include <string.h>

#include "lcrt/utf8.h"

/* Followed by the log-probabilities, the tokens and the text. */
typedef struct event_record {
    uint64_t job;
    int32_t kind;
    int32_t finish;
    int32_t status;
    int32_t n_tokens;
    int32_t n_logprobs;
    int32_t text_len;
    lcrt_usage usage;
} event_record;

static size_t record_len(const lcrt_output *output, int32_t n_tokens, int32_t text_len) {
    size_t per_token = sizeof(int32_t) + (size_t)output->n_each * sizeof(lcrt_logprob);
    return sizeof(event_record) + (size_t)n_tokens * per_token + (size_t)text_len;
}

static bool put(lcrt_sequence *sequence, lcrt_ring *ring, lcrt_event_kind kind, int32_t n_tokens, int32_t text_len) {
    lcrt_output *output = &sequence->output;
    size_t len = record_len(output, n_tokens, text_len);
    event_record *record = lcrt_ring_reserve(ring, len);
    if (record == NULL) {
        return false;
    }
    int32_t n_logprobs = n_tokens * output->n_each;
    *record = (event_record){
        .job = sequence->id,
        .kind = (int32_t)kind,
        .finish = kind == LCRT_EVENT_FINISH ? (int32_t)sequence->finish : 0,
        .status = kind == LCRT_EVENT_FINISH ? (int32_t)sequence->status : 0,
        .n_tokens = n_tokens,
        .n_logprobs = n_logprobs,
        .text_len = text_len,
        .usage = sequence->usage,
    };
    unsigned char *at = (unsigned char *)(record + 1);
    if (n_logprobs > 0) {
        memcpy(at, output->logprobs, (size_t)n_logprobs * sizeof(lcrt_logprob));
        at += (size_t)n_logprobs * sizeof(lcrt_logprob);
    }
    memcpy(at, output->tokens, (size_t)n_tokens * sizeof(int32_t));
    at += (size_t)n_tokens * sizeof(int32_t);
    memcpy(at, output->ready, (size_t)text_len);
    lcrt_ring_commit(ring, len);
    lcrt_output_drop(output, text_len, n_tokens);
    return true;
}

/* Makes n_tokens and text_len small enough for one record; true when they were. */
static bool fit(const lcrt_output *output, size_t len_max, int32_t *n_tokens, int32_t *text_len) {
    if (record_len(output, *n_tokens, *text_len) <= len_max) {
        return true;
    }
    size_t half = (len_max - sizeof(event_record)) / 2;
    int32_t n_fit = (int32_t)(half / (record_len(output, 1, 0) - sizeof(event_record)));
    *n_tokens = *n_tokens < n_fit ? *n_tokens : n_fit;
    if ((size_t)*text_len > half) {
        *text_len = (int32_t)half;
        *text_len -= lcrt_utf8_incomplete(output->ready, *text_len);
    }
    return false;
}

bool lcrt_event_write(lcrt_sequence *sequence, lcrt_ring *ring, int32_t *n_written) {
    if (sequence->start_due) {
        if (!put(sequence, ring, LCRT_EVENT_START, 0, 0)) {
            return false;
        }
        sequence->start_due = false;
        ++*n_written;
    }
    lcrt_output *output = &sequence->output;
    while (sequence->finish_due || output->ready_len > 0) {
        int32_t n_tokens = sequence->finish_due ? output->n_tokens : lcrt_output_tokens(output);
        int32_t text_len = output->ready_len;
        bool whole = fit(output, lcrt_ring_record_max(ring), &n_tokens, &text_len);
        bool last = whole && sequence->finish_due;
        if (!put(sequence, ring, last ? LCRT_EVENT_FINISH : LCRT_EVENT_TEXT, n_tokens, text_len)) {
            return false;
        }
        ++*n_written;
        if (last) {
            sequence->finish_due = false;
        }
    }
    return true;
}

void lcrt_event_read(const void *record, lcrt_event *out) {
    const event_record *head = record;
    const lcrt_logprob *logprobs = (const void *)(head + 1);
    const int32_t *tokens = (const void *)(logprobs + head->n_logprobs);
    *out = (lcrt_event){
        .job = head->job,
        .kind = (lcrt_event_kind)head->kind,
        .finish = (lcrt_finish)head->finish,
        .status = (lcrt_status)head->status,
        .n_tokens = head->n_tokens,
        .text = (const char *)(tokens + head->n_tokens),
        .text_len = head->text_len,
        .tokens = tokens,
        .logprobs = logprobs,
        .n_logprobs = head->n_logprobs,
        .usage = head->usage,
    };
}
