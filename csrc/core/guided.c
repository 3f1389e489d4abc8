#include "guided.h"

#include <stdlib.h>
#include <string.h>

lcrt_status lcrt_guided_init(lcrt_guided *guided, const lcrt_grammar *grammar, int32_t n_vocab, bool forces) {
    memset(guided, 0, sizeof(*guided));
    if (grammar->vtable == NULL) {
        return LCRT_OK;
    }
    guided->forces = forces;
    guided->n_words = (n_vocab + 31) / 32;
    guided->mask = malloc((size_t)guided->n_words * sizeof(*guided->mask));
    return guided->mask != NULL ? LCRT_OK : LCRT_ERR_NO_MEMORY;
}

void lcrt_guided_free(lcrt_guided *guided) {
    if (lcrt_guided_is_on(guided)) {
        guided->grammar.vtable->free(guided->grammar.self);
    }
    free(guided->mask);
    memset(guided, 0, sizeof(*guided));
}

bool lcrt_guided_is_on(const lcrt_guided *guided) {
    return guided->grammar.vtable != NULL;
}

void lcrt_guided_prepare(lcrt_guided *guided, bool starts) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->status = LCRT_OK;
    guided->n_forced = 0;
    if (starts) {
        lcrt_guided_force(guided);
    }
    if (guided->n_forced == 0) {
        guided->status = grammar->vtable->mask(grammar->self, guided->mask, guided->n_words);
    }
    guided->ready = true;
}

lcrt_status lcrt_guided_accept(lcrt_guided *guided, int32_t token, bool *stopped) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->ready = false;
    lcrt_status status = grammar->vtable->accept(grammar->self, &token, 1);
    *stopped = status == LCRT_OK && grammar->vtable->stopped(grammar->self);
    return status;
}

void lcrt_guided_force(lcrt_guided *guided) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->n_forced = guided->forces ? grammar->vtable->forced(grammar->self, guided->forced, LCRT_FORCED_MAX) : 0;
}

const uint32_t *lcrt_guided_mask(const lcrt_guided *guided) {
    return lcrt_guided_is_on(guided) ? guided->mask : NULL;
}
