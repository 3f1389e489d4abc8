/* model.h -- what a job must say, computed the simple way: alone, token by token, from
 * everything its context holds. */
#ifndef LCRT_TEST_MODEL_H
#define LCRT_TEST_MODEL_H

#include "lcrt/engine.h"
#include "lcrt/fake.h"
#include "lcrt/utf8.h"
#include "test.h"

#define MODEL_MAX 8192   /* tokens */
#define MODEL_TEXT 65536 /* bytes */

typedef struct model_answer {
    int32_t tokens[MODEL_MAX];
    int32_t n_tokens;
    char text[3 * MODEL_TEXT];
    int32_t text_len;
    lcrt_finish finish;
    int32_t n_shifts;
} model_answer;

/* Drops the older half of what is behind the kept tokens, the newest one not counted. */
static inline int32_t model_shift(const lcrt_job *job, int32_t n_ctx, int32_t *held, int32_t n_held) {
    int32_t n_keep = job->n_keep < 0 ? job->n_tokens : job->n_keep;
    if (n_keep > n_ctx - 4) {
        n_keep = n_ctx > 4 ? n_ctx - 4 : 0;
    }
    int32_t n_drop = (n_held - 1 - n_keep) / 2;
    n_drop = n_drop > 0 ? n_drop : 1;
    for (int32_t i = n_keep; i + n_drop < n_held; i++) {
        held[i] = held[i + n_drop];
    }
    return n_held - n_drop;
}

/* The first place of any stop string in text, -1 without. */
static inline int32_t model_find_stop(const lcrt_job *job, const char *text, int32_t len) {
    for (int32_t at = 0; at < len; at++) {
        for (int32_t i = 0; i < job->n_stops; i++) {
            int32_t stop_len = (int32_t)strlen(job->stops[i]);
            if (stop_len > 0 && stop_len <= len - at && memcmp(text + at, job->stops[i], (size_t)stop_len) == 0) {
                return at;
            }
        }
    }
    return -1;
}

static inline void model_finish(model_answer *answer, const char *raw, int32_t raw_len, lcrt_finish finish) {
    answer->finish = finish;
    answer->text_len = lcrt_utf8_repair(raw, raw_len, answer->text);
}

/* The next token under a grammar: what it forces, unless logits are wanted for
 * it, else a drawn one. */
static inline int32_t model_draw(const lcrt_grammar *grammar, lcrt_sampler *sampler, const float *logits, bool forces) {
    uint32_t mask[16];
    int32_t token;
    if (grammar->vtable == NULL) {
        return lcrt_sampler_sample(sampler, logits, NULL);
    }
    if (forces && grammar->vtable->forced(grammar->self, &token, 1) == 1) {
        return token;
    }
    REQUIRE(grammar->vtable->mask(grammar->self, mask, 16) == LCRT_OK);
    return lcrt_sampler_sample(sampler, logits, mask);
}

/* n_ctx: positions of the job. params: of the grammar that it is under, NULL
 * without. */
static inline void model_run_under(const lcrt_fake_params *fake, const lcrt_job *job,
                                   const lcrt_fake_grammar_params *params, int32_t n_ctx, model_answer *answer) {
    static int32_t held[MODEL_MAX];
    static char raw[MODEL_TEXT];
    int32_t n_held = job->n_tokens, raw_len = 0;
    lcrt_sampler *sampler;
    lcrt_grammar grammar = {0};
    float logits[512];
    memset(answer, 0, sizeof(*answer));
    REQUIRE(params == NULL || lcrt_grammar_fake(params, &grammar) == LCRT_OK);
    memcpy(held, job->tokens, (size_t)n_held * sizeof(*held));
    REQUIRE(fake->n_vocab <= 512 && lcrt_sampler_init(&job->sampling, fake->n_vocab, &sampler) == LCRT_OK);
    for (int32_t i = 0; i < n_held; i++) {
        lcrt_sampler_accept(sampler, held[i]);
    }
    while (answer->finish == LCRT_FINISH_NONE) {
        bool forces = job->n_logprobs < 0;
        if (job->max_tokens >= 0 && answer->n_tokens >= job->max_tokens) {
            model_finish(answer, raw, raw_len, LCRT_FINISH_LENGTH);
            break;
        }
        if (n_held >= n_ctx) {
            if (!job->shift || !fake->can_shift || !fake->can_trim) {
                model_finish(answer, raw, raw_len, LCRT_FINISH_LENGTH);
                break;
            }
            n_held = model_shift(job, n_ctx, held, n_held);
            answer->n_shifts++;
            forces = false; /* a full context ends what is taken at once */
        }
        lcrt_fake_logits(fake, job->set, held, n_held, logits);
        int32_t token = model_draw(&grammar, sampler, logits, forces);
        lcrt_sampler_accept(sampler, token);
        if (token == LCRT_FAKE_EOG && (!job->ignore_eog || params != NULL)) {
            model_finish(answer, raw, raw_len, LCRT_FINISH_STOP);
            break;
        }
        REQUIRE(answer->n_tokens < MODEL_MAX && n_held < MODEL_MAX && raw_len < MODEL_TEXT - 400);
        held[n_held++] = token;
        answer->tokens[answer->n_tokens++] = token;
        raw_len += lcrt_fake_piece(token, job->special, raw + raw_len, 400);
        int32_t stop = model_find_stop(job, raw, raw_len);
        if (params != NULL) {
            REQUIRE(grammar.vtable->accept(grammar.self, &token, 1) == LCRT_OK);
        }
        if (stop >= 0) {
            model_finish(answer, raw, stop, LCRT_FINISH_STOP);
        } else if (params != NULL && grammar.vtable->stopped(grammar.self)) {
            model_finish(answer, raw, raw_len, LCRT_FINISH_STOP);
        }
    }
    lcrt_sampler_free(sampler);
    if (params != NULL) {
        grammar.vtable->free(grammar.self);
    }
}

static inline void model_run(const lcrt_fake_params *fake, const lcrt_job *job, int32_t n_ctx, model_answer *answer) {
    model_run_under(fake, job, NULL, n_ctx, answer);
}

#endif
