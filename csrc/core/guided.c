#include "guided.h"

#include <stdlib.h>
#include <string.h>

lcrt_status lcrt_guided_init(lcrt_guided *guided, const lcrt_grammar *grammar, int32_t n_vocab, bool forces) {
    memset(guided, 0, sizeof(*guided));
    if (grammar->vtable == NULL) {
        return LCRT_OK;
    }
    guided->forces = forces;
    guided->unseen = true;
    guided->n_words = (n_vocab + 31) / 32;
    guided->masks = malloc((size_t)guided->n_words * sizeof(*guided->masks));
    return guided->masks != NULL ? LCRT_OK : LCRT_ERR_NO_MEMORY;
}

lcrt_status lcrt_guided_reserve(lcrt_guided *guided, int32_t n_guesses) {
    int32_t n_room = n_guesses < LCRT_AHEAD_MAX ? n_guesses : LCRT_AHEAD_MAX;
    if (guided->masks == NULL || n_room <= guided->n_room) {
        return LCRT_OK;
    }
    size_t len = (size_t)guided->n_words * (1 + (size_t)n_room) * sizeof(*guided->masks);
    uint32_t *masks = realloc(guided->masks, len);
    if (masks == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    guided->masks = masks;
    guided->n_room = n_room;
    return LCRT_OK;
}

void lcrt_guided_free(lcrt_guided *guided) {
    if (lcrt_guided_is_on(guided)) {
        guided->grammar.vtable->free(guided->grammar.self);
    }
    free(guided->masks);
    memset(guided, 0, sizeof(*guided));
}

bool lcrt_guided_is_on(const lcrt_guided *guided) {
    return guided->grammar.vtable != NULL;
}

void lcrt_guided_prepare(lcrt_guided *guided) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->status = LCRT_OK;
    guided->n_forced = 0;
    guided->n_ahead = guided->n_came = 0;
    if (guided->unseen) {
        lcrt_guided_force(guided);
    }
    if (guided->n_forced == 0) {
        guided->status = grammar->vtable->mask(grammar->self, guided->masks, guided->n_words);
    }
    guided->ready = true;
}

void lcrt_guided_look_ahead(lcrt_guided *guided, const int32_t *guesses, int32_t n) {
    const lcrt_grammar *grammar = &guided->grammar;
    int32_t n_accepted = 0;
    n = n < guided->n_room ? n : guided->n_room;
    for (int32_t i = 0; i < n && guided->status == LCRT_OK && guided->n_forced == 0; i++) {
        guided->status = grammar->vtable->accept(grammar->self, &guesses[i], 1);
        if (guided->status != LCRT_OK) {
            return;
        }
        n_accepted++;
        uint32_t *mask = guided->masks + (size_t)n_accepted * (size_t)guided->n_words;
        guided->status = grammar->vtable->mask(grammar->self, mask, guided->n_words);
        guided->ahead[guided->n_ahead++] = guesses[i];
    }
    if (n_accepted > 0 && guided->status == LCRT_OK) {
        guided->status = grammar->vtable->rewind(grammar->self, n_accepted);
    }
}

lcrt_status lcrt_guided_accept(lcrt_guided *guided, int32_t token, bool *stopped) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->ready = guided->n_came < guided->n_ahead && guided->ahead[guided->n_came] == token;
    if (guided->ready) {
        guided->n_came++;
    } else {
        guided->n_ahead = guided->n_came = 0;
    }
    lcrt_status status = grammar->vtable->accept(grammar->self, &token, 1);
    *stopped = status == LCRT_OK && grammar->vtable->stopped(grammar->self);
    return status;
}

void lcrt_guided_force(lcrt_guided *guided) {
    const lcrt_grammar *grammar = &guided->grammar;
    guided->n_forced = guided->forces ? grammar->vtable->forced(grammar->self, guided->forced, LCRT_FORCED_MAX) : 0;
    guided->unseen = false;
}

void lcrt_guided_force_later(lcrt_guided *guided) {
    guided->unseen = true;
}

const uint32_t *lcrt_guided_mask(const lcrt_guided *guided) {
    size_t offset = (size_t)guided->n_came * (size_t)guided->n_words;
    return lcrt_guided_is_on(guided) ? guided->masks + offset : NULL;
}
