/* grammar.h -- what a generation may say, one token after the other.
 *
 * A table of functions, as backend.h is for a model. csrc/guide fills it with
 * llguidance, csrc/fake with sets of letters. A grammar is the state of one
 * generation: what it allows depends on the tokens that it has accepted, on nothing
 * else. Threads: one at a time, any; the engine has the mask computed on another
 * thread than its own while the model computes. */
#ifndef LCRT_GRAMMAR_H
#define LCRT_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_grammar_vtable {
    /* One bit per token of the vocabulary, 1: may come next; the lowest bit of bits[0] is
     * token 0. n_words is (n_vocab + 31) / 32. Where the text may end here, the
     * end-of-generation tokens are among them. LCRT_ERR_GRAMMAR: it cannot go on. */
    lcrt_status (*mask)(void *self, uint32_t *bits, int32_t n_words);

    /* These tokens have come, each of them allowed. LCRT_ERR_GRAMMAR: one of them was not,
     * and nothing but free makes sense any more. */
    lcrt_status (*accept)(void *self, const int32_t *tokens, int32_t n_tokens);

    /* Takes the last n_tokens accepted ones back. */
    lcrt_status (*rewind)(void *self, int32_t n_tokens);

    /* The tokens that must come next, at most max; 0 when there is a choice. They are not
     * accepted by this. */
    int32_t (*forced)(void *self, int32_t *tokens, int32_t max);

    /* How many of these tokens, from the first on, may come next. Accepts none. */
    int32_t (*valid)(void *self, const int32_t *tokens, int32_t n_tokens);

    /* The text may end here. */
    bool (*accepting)(void *self);

    /* The text is complete: nothing but the end may follow. */
    bool (*stopped)(void *self);

    void (*free)(void *self);
} lcrt_grammar_vtable;

/* vtable NULL: no grammar. */
typedef struct lcrt_grammar {
    const lcrt_grammar_vtable *vtable;
    void *self;
} lcrt_grammar;

#ifdef __cplusplus
}
#endif
#endif
