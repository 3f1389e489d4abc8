#include "sequence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lcrt/logits.h"

/* Most pieces are shorter; a longer one is asked for again with its own length. */
#define PIECE_LEN 64
/* Room for answer tokens that init allocates beside the prompt. */
#define ANSWER_ROOM 256

static lcrt_status check(const lcrt_job *job, const lcrt_backend_info *info, int32_t n_ctx) {
    if (job->tokens == NULL || job->n_tokens < 1 || job->n_ctx < 0) {
        return LCRT_ERR_INVALID;
    }
    if (job->n_logprobs < -1 || job->n_logprobs > LCRT_TOP_MAX || job->n_stops < 0) {
        return LCRT_ERR_INVALID;
    }
    if (job->n_stops > 0 && job->stops == NULL) {
        return LCRT_ERR_INVALID;
    }
    if (job->n_tokens >= n_ctx) {
        return LCRT_ERR_TOO_LONG;
    }
    for (int32_t i = 0; i < job->n_tokens; i++) {
        if (job->tokens[i] < 0 || job->tokens[i] >= info->n_vocab) {
            return LCRT_ERR_INVALID;
        }
    }
    return LCRT_OK;
}

static void copy_limits(lcrt_sequence *sequence, const lcrt_job *job, int32_t n_ctx) {
    sequence->id = job->id;
    sequence->n_prompt = job->n_tokens;
    sequence->max_tokens = job->max_tokens;
    sequence->n_ctx = n_ctx;
    sequence->n_keep = job->n_keep;
    sequence->shift = job->shift;
    sequence->cache = job->cache;
    sequence->set = job->set;
    sequence->ignore_eog = job->ignore_eog;
    sequence->special = job->special;
    sequence->n_top = job->n_logprobs;
    sequence->usage.n_prompt = job->n_tokens;
    sequence->slot = -1;
    sequence->mark = INT32_MAX;
}

static lcrt_status copy_tokens(lcrt_sequence *sequence, const lcrt_job *job) {
    sequence->tokens_cap = job->n_tokens + ANSWER_ROOM;
    sequence->tokens = malloc((size_t)sequence->tokens_cap * sizeof(*sequence->tokens));
    if (sequence->tokens == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    memcpy(sequence->tokens, job->tokens, (size_t)job->n_tokens * sizeof(*sequence->tokens));
    sequence->n_tokens = job->n_tokens;
    return LCRT_OK;
}

/* The sampler, with the end of the prompt in its penalty window. */
static lcrt_status make_sampler(lcrt_sequence *sequence, const lcrt_job *job, int32_t n_vocab) {
    lcrt_status status = lcrt_sampler_init(&job->sampling, n_vocab, &sequence->sampler);
    if (status == LCRT_OK) {
        int32_t first = job->n_tokens - job->sampling.repeat_last_n;
        for (int32_t i = first > 0 ? first : 0; i < job->n_tokens; i++) {
            lcrt_sampler_accept(sequence->sampler, job->tokens[i]);
        }
    }
    return status;
}

lcrt_status lcrt_sequence_init(const lcrt_job *job, const lcrt_backend_info *info, lcrt_sequence **out) {
    int32_t n_ctx = job->n_ctx > 0 && job->n_ctx < info->n_ctx_seq ? job->n_ctx : info->n_ctx_seq;
    lcrt_status status = check(job, info, n_ctx);
    if (status != LCRT_OK) {
        return status;
    }
    lcrt_sequence *sequence = calloc(1, sizeof(*sequence));
    if (sequence == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    copy_limits(sequence, job, n_ctx);
    status = copy_tokens(sequence, job);
    if (status == LCRT_OK) {
        status = make_sampler(sequence, job, info->n_vocab);
    }
    if (status == LCRT_OK) {
        /* A token that no logits were computed for has no probability to tell of. */
        status = lcrt_guided_init(&sequence->guided, &job->grammar, info->n_vocab, job->n_logprobs < 0);
    }
    if (status == LCRT_OK) {
        status = lcrt_output_init(&sequence->output, job->stops, job->n_stops, job->n_logprobs + 1);
    }
    if (status != LCRT_OK) {
        lcrt_sequence_free(sequence);
        return status;
    }
    *out = sequence;
    return LCRT_OK;
}

void lcrt_sequence_free(lcrt_sequence *sequence) {
    if (sequence != NULL) {
        lcrt_output_free(&sequence->output);
        lcrt_sampler_free(sequence->sampler);
        lcrt_guided_free(&sequence->guided);
        free(sequence->tokens);
        free(sequence);
    }
}

void lcrt_sequence_sample(lcrt_sequence *sequence, const float *logits, int32_t n_vocab) {
    int32_t token = -1;
    if (lcrt_guided_is_on(&sequence->guided) && !sequence->guided.ready) {
        lcrt_guided_prepare(&sequence->guided);
    }
    if (sequence->guided.status == LCRT_OK && sequence->guided.n_forced == 0) {
        token = lcrt_sampler_sample(sequence->sampler, logits, lcrt_guided_mask(&sequence->guided));
    }
    sequence->sampled = token;
    if (token < 0) {
        return;
    }
    lcrt_sampler_accept(sequence->sampler, token);
    if (sequence->n_top < 0) {
        return;
    }
    sequence->logprobs[0].token = token;
    sequence->logprobs[0].logprob = lcrt_logits_logprob(logits, n_vocab, token);
    if (sequence->n_top > 0) {
        int32_t tokens[LCRT_TOP_MAX];
        float logprobs[LCRT_TOP_MAX];
        lcrt_logits_top(logits, n_vocab, sequence->n_top, tokens, logprobs);
        for (int32_t i = 0; i < sequence->n_top; i++) {
            sequence->logprobs[i + 1] = (lcrt_logprob){.token = tokens[i], .logprob = logprobs[i]};
        }
    }
}

static lcrt_status append(lcrt_sequence *sequence, int32_t token) {
    if (sequence->n_tokens == sequence->tokens_cap) {
        int32_t cap = sequence->tokens_cap * 2;
        int32_t *tokens = realloc(sequence->tokens, (size_t)cap * sizeof(*tokens));
        if (tokens == NULL) {
            return LCRT_ERR_NO_MEMORY;
        }
        sequence->tokens = tokens;
        sequence->tokens_cap = cap;
    }
    sequence->tokens[sequence->n_tokens++] = token;
    return LCRT_OK;
}

/* The token's bytes go through the output. */
static lcrt_status put_piece(lcrt_sequence *sequence, const lcrt_backend *backend, int32_t token, bool *stopped) {
    char *place = lcrt_output_place(&sequence->output, PIECE_LEN);
    if (place == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    int32_t len = backend->vtable->piece(backend->self, token, sequence->special, place, PIECE_LEN);
    if (len < 0) {
        int32_t cap = -len;
        place = lcrt_output_place(&sequence->output, cap);
        if (place == NULL) {
            return LCRT_ERR_NO_MEMORY;
        }
        len = backend->vtable->piece(backend->self, token, sequence->special, place, cap);
    }
    len = len < 0 ? 0 : len;
    return lcrt_output_add(&sequence->output, token, len, sequence->logprobs, stopped);
}

/* Puts a token at the end of the answer. *finish: why it is the last one. */
static lcrt_status take(lcrt_sequence *sequence, const lcrt_backend *backend, int32_t token, lcrt_finish *finish) {
    bool stopped = false, complete = false;
    lcrt_status status = append(sequence, token);
    if (status == LCRT_OK) {
        status = put_piece(sequence, backend, token, &stopped);
    }
    if (status == LCRT_OK && lcrt_guided_is_on(&sequence->guided)) {
        status = lcrt_guided_accept(&sequence->guided, token, &complete);
    }
    if (status != LCRT_OK) {
        return status;
    }
    sequence->usage.n_sampled++;
    sequence->usage.n_generated++;
    bool spent = sequence->max_tokens >= 0 && sequence->usage.n_generated >= sequence->max_tokens;
    if (stopped || complete) {
        *finish = LCRT_FINISH_STOP;
    } else if (spent) {
        *finish = LCRT_FINISH_LENGTH;
    }
    return LCRT_OK;
}

/* Takes the tokens that were found to be forced, as far as the context reaches. */
static lcrt_status take_forced(lcrt_sequence *sequence, const lcrt_backend *backend, lcrt_finish *finish) {
    lcrt_guided *guided = &sequence->guided;
    lcrt_status status = LCRT_OK;
    int32_t n = guided->n_forced;
    guided->n_forced = 0;
    for (int32_t i = 0; i < n && status == LCRT_OK && *finish == LCRT_FINISH_NONE; i++) {
        if (sequence->n_tokens >= sequence->n_ctx) {
            break;
        }
        lcrt_sampler_accept(sequence->sampler, guided->forced[i]);
        status = take(sequence, backend, guided->forced[i], finish);
    }
    return status;
}

/* Takes the sampled token and what it forces, unless that is found beside the next pass. */
static lcrt_status take_sampled(lcrt_sequence *sequence, const lcrt_backend *backend, lcrt_finish *finish) {
    lcrt_guided *guided = &sequence->guided;
    bool ends = !sequence->ignore_eog || lcrt_guided_is_on(guided);
    if (ends && backend->vtable->is_eog(backend->self, sequence->sampled)) {
        sequence->usage.n_sampled++;
        *finish = LCRT_FINISH_STOP;
        return LCRT_OK;
    }
    lcrt_status status = take(sequence, backend, sequence->sampled, finish);
    if (status != LCRT_OK || *finish != LCRT_FINISH_NONE || !lcrt_guided_is_on(guided)) {
        return status;
    }
    if (guided->lags && sequence->n_tokens < sequence->n_ctx) {
        lcrt_guided_force_later(guided);
        return LCRT_OK;
    }
    lcrt_guided_force(guided);
    return take_forced(sequence, backend, finish);
}

/* What the step has brought: a token, forced ones, or a reason why there is none. */
static lcrt_status take_all(lcrt_sequence *sequence, const lcrt_backend *backend, lcrt_finish *finish) {
    if (sequence->guided.status != LCRT_OK) {
        return sequence->guided.status;
    }
    if (sequence->guided.n_forced > 0) {
        return take_forced(sequence, backend, finish);
    }
    return sequence->sampled >= 0 ? take_sampled(sequence, backend, finish) : LCRT_ERR_BACKEND;
}

void lcrt_sequence_advance(lcrt_sequence *sequence, const lcrt_backend *backend, bool can_shift, int64_t now_ns) {
    if (!sequence->started) {
        sequence->started = sequence->start_due = true;
        sequence->start_ns = now_ns;
        sequence->usage.prefill_ns = now_ns - sequence->row_ns;
    }
    lcrt_finish finish = LCRT_FINISH_NONE;
    int32_t n_tokens = sequence->n_tokens;
    lcrt_status status = take_all(sequence, backend, &finish);
    sequence->n_known = sequence->n_tokens - n_tokens;
    bool full = sequence->n_tokens >= sequence->n_ctx && !(sequence->shift && can_shift);
    if (status != LCRT_OK) {
        lcrt_sequence_finish(sequence, LCRT_FINISH_ERROR, status, now_ns);
    } else if (finish != LCRT_FINISH_NONE) {
        lcrt_sequence_finish(sequence, finish, LCRT_OK, now_ns);
    } else if (full) {
        lcrt_sequence_finish(sequence, LCRT_FINISH_LENGTH, LCRT_OK, now_ns);
    }
}

void lcrt_sequence_finish(lcrt_sequence *sequence, lcrt_finish finish, lcrt_status status, int64_t now_ns) {
    if (sequence->finish != LCRT_FINISH_NONE) {
        return;
    }
    sequence->finish = finish;
    sequence->status = status;
    sequence->finish_due = true;
    if (sequence->row_ns == 0) {
        sequence->usage.queued_ns = now_ns - sequence->submit_ns;
    } else if (!sequence->started) {
        sequence->usage.prefill_ns = now_ns - sequence->row_ns;
    } else {
        sequence->usage.decode_ns = now_ns - sequence->start_ns;
    }
    /* Without memory for it the held text is lost; the finish itself needs none. */
    (void)lcrt_output_end(&sequence->output);
}
