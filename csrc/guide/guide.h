/* guide.h -- the guide's insides, shared by guide.c and matcher.c. */
#ifndef LCRT_GUIDE_STATE_H
#define LCRT_GUIDE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lcrt/guide.h"
#include "library.h"
#include "words.h"

/* A text that was compiled, with matchers at its beginning. */
typedef struct lcrt_guide_entry {
    struct lcrt_guide_entry *next; /* used longer ago */
    char *text;                    /* ends with 0 */
    size_t text_len;
    lcrt_guide_kind kind;
    uint64_t number; /* never used again for another text */
    llg_matcher *first;
    llg_matcher *spare; /* came back from a generation and knows the way; may be NULL */
} lcrt_guide_entry;

struct lcrt_guide {
    lcrt_llg llg;
    lcrt_model *model;
    lcrt_words words;
    llg_tokenizer *tokenizer;
    lcrt_guide_params params;
    atomic_int n_refs;    /* the owner, each grammar, each compilation */
    atomic_int n_running; /* compilations, those included for which nobody waits */

    pthread_mutex_t mutex; /* for what is below */
    lcrt_guide_entry *entries;
    uint64_t n_numbers;
    lcrt_guide_stats stats;
};

/* A grammar over a matcher, which is the grammar's from now on, also on failure. The
 * matcher returns to the entry of this number when the grammar is freed. */
lcrt_status lcrt_guide_wrap(lcrt_guide *guide, llg_matcher *matcher, uint64_t number, lcrt_grammar *out);

/* Remembers a text and a copy of its matcher; the number of the entry. This is for speed
 * only: without memory for it the text is compiled again. */
uint64_t lcrt_guide_remember(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                             const llg_matcher *first);

/* Takes a matcher that is at its beginning again. */
void lcrt_guide_return(lcrt_guide *guide, llg_matcher *matcher, uint64_t number);

#endif
