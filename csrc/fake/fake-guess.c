/* fake-guess.c -- what the fake backend says of the tokens behind the next one: what it will say then, or something
 * else where it is to be wrong. */
#include <stdlib.h>

#include "fake-backend.h"

static int32_t likeliest(const float *logits, int32_t n_vocab) {
    int32_t best = 0;
    for (int32_t t = 1; t < n_vocab; t++) {
        best = logits[t] > logits[best] ? t : best;
    }
    return best;
}

/* What the sequence holds and the next token; with room for n_max more. NULL without memory. */
static int32_t *text_of(const fake_seq *own, const lcrt_ahead *ahead) {
    int32_t *tokens = malloc((size_t)(own->n_cells + 1 + ahead->n_max) * sizeof(*tokens));
    for (int32_t i = 0; i < own->n_cells && tokens != NULL; i++) {
        tokens[i] = own->cells[i].token;
    }
    if (tokens != NULL) {
        tokens[own->n_cells] = ahead->token;
    }
    return tokens;
}

static lcrt_status guess_one(fake_backend *fake, lcrt_ahead *ahead, float *logits) {
    const lcrt_fake_params *params = &fake->params;
    const fake_seq *own = &fake->cells.seqs[ahead->seq];
    ahead->n = 0;
    if (own->n_cells != ahead->pos) {
        return LCRT_OK;
    }
    int32_t *tokens = text_of(own, ahead), n_tokens = own->n_cells + 1;
    while (tokens != NULL && ahead->n < ahead->n_max) {
        lcrt_fake_logits(params, fake->cells.set, tokens, n_tokens, logits);
        int32_t token = likeliest(logits, params->n_vocab);
        bool wrong = params->n_wrong > 0 && ++fake->n_guesses % params->n_wrong == 0;
        tokens[n_tokens++] = token;
        ahead->out[ahead->n++] = wrong ? (token + 1) % params->n_vocab : token;
    }
    free(tokens);
    return tokens != NULL ? LCRT_OK : LCRT_ERR_NO_MEMORY;
}

lcrt_status fake_guess(void *self, lcrt_ahead *aheads, int32_t n_aheads) {
    fake_backend *fake = self;
    lcrt_status status = ++fake->n_guess_calls == fake->params.guess_fail_at ? LCRT_ERR_BACKEND : LCRT_OK;
    float *logits = malloc((size_t)fake->params.n_vocab * sizeof(*logits));
    for (int32_t i = 0; i < n_aheads && logits != NULL && status == LCRT_OK; i++) {
        status = guess_one(fake, &aheads[i], logits);
        (void)fake_spend(fake, fake->params.guess_ns * aheads[i].n);
    }
    free(logits);
    return logits != NULL ? status : LCRT_ERR_NO_MEMORY;
}
