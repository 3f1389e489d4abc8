/* matcher.c -- one generation's matcher behind grammar.h. */
#include <stdlib.h>

#include "guide.h"

typedef struct matcher {
    lcrt_guide *guide;
    llg_matcher *llg;
    uint64_t number; /* of the text it came from */
} matcher;

static const lcrt_llg *library(const matcher *self) {
    return &self->guide->llg;
}

static lcrt_status matcher_mask(void *self, uint32_t *bits, int32_t n_words) {
    matcher *m = self;
    int32_t failed = library(m)->matcher_mask(m->llg, bits, (size_t)n_words * sizeof(*bits));
    return failed == 0 ? LCRT_OK : LCRT_ERR_GRAMMAR;
}

static lcrt_status matcher_accept(void *self, const int32_t *tokens, int32_t n_tokens) {
    matcher *m = self;
    int32_t failed = library(m)->matcher_accept(m->llg, (const uint32_t *)tokens, (size_t)n_tokens);
    return failed == 0 ? LCRT_OK : LCRT_ERR_GRAMMAR;
}

static lcrt_status matcher_rewind(void *self, int32_t n_tokens) {
    matcher *m = self;
    return library(m)->matcher_rewind(m->llg, (size_t)n_tokens) == 0 ? LCRT_OK : LCRT_ERR_GRAMMAR;
}

static int32_t matcher_forced(void *self, int32_t *tokens, int32_t max) {
    matcher *m = self;
    int32_t n = library(m)->matcher_forced(m->llg, (uint32_t *)tokens, (size_t)max);
    return n > 0 ? n : 0;
}

static int32_t matcher_valid(void *self, const int32_t *tokens, int32_t n_tokens) {
    matcher *m = self;
    int32_t n = library(m)->matcher_valid(m->llg, (const uint32_t *)tokens, (size_t)n_tokens);
    return n > 0 ? n : 0;
}

static bool matcher_accepting(void *self) {
    matcher *m = self;
    return library(m)->matcher_accepting(m->llg);
}

static bool matcher_stopped(void *self) {
    matcher *m = self;
    return library(m)->matcher_stopped(m->llg);
}

static void matcher_free(void *self) {
    matcher *m = self;
    if (m == NULL) {
        return;
    }
    if (library(m)->matcher_error(m->llg) == NULL && library(m)->matcher_reset(m->llg) == 0) {
        lcrt_guide_return(m->guide, m->llg, m->number);
    } else {
        library(m)->matcher_free(m->llg);
    }
    lcrt_guide_free(m->guide);
    free(m);
}

static const lcrt_grammar_vtable vtable = {
    .mask = matcher_mask,
    .accept = matcher_accept,
    .rewind = matcher_rewind,
    .forced = matcher_forced,
    .valid = matcher_valid,
    .accepting = matcher_accepting,
    .stopped = matcher_stopped,
    .free = matcher_free,
};

lcrt_status lcrt_guide_wrap(lcrt_guide *guide, llg_matcher *llg, uint64_t number, lcrt_grammar *out) {
    matcher *m = malloc(sizeof(*m));
    if (m == NULL) {
        guide->llg.matcher_free(llg);
        return LCRT_ERR_NO_MEMORY;
    }
    *m = (matcher){.guide = guide, .llg = llg, .number = number};
    atomic_fetch_add(&guide->n_refs, 1);
    *out = (lcrt_grammar){.vtable = &vtable, .self = m};
    return LCRT_OK;
}
