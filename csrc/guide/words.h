/* words.h -- a vocabulary as llguidance wants it. */
#ifndef LCRT_GUIDE_WORDS_H
#define LCRT_GUIDE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/model.h"
#include "library.h"

typedef struct lcrt_words {
    const lcrt_model *model; /* the owner keeps it */
    char front;              /* put before a text so that the tokenizer adds nothing of its own; 0: needless */
    int32_t n_front;         /* tokens of front */
} lcrt_words;

/* Reads every token. words must stay where it is as long as the tokenizer lives. */
lcrt_status lcrt_words_init(lcrt_words *words, const lcrt_model *model, const lcrt_llg *llg, llg_tokenizer **out,
                            char *err, size_t err_cap);

#endif
