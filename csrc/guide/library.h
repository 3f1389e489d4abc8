/* library.h -- the part of llguidance's C interface that is used, found at run time.
 *
 * The structs below have the layout of the versions named in library.c; init looks
 * whether the library agrees. */
#ifndef LCRT_GUIDE_LIBRARY_H
#define LCRT_GUIDE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

typedef struct llg_tokenizer llg_tokenizer;
typedef struct llg_matcher llg_matcher;

/* Tokens of bytes; the number needed, of which n_max were written. Any thread. */
typedef size_t (*llg_tokenise)(const void *data, const uint8_t *bytes, size_t len, uint32_t *tokens, size_t n_max);

typedef struct llg_words {
    size_t struct_size;
    uint32_t n_vocab;
    uint32_t eos;
    const uint32_t *lens; /* of the tokens' bytes ... */
    const uint8_t *bytes; /* ... one after the other */
    const char *tokenizer_json;
    bool tokenise_takes_text; /* the function below wants valid UTF-8 */
    llg_tokenise tokenise;
    bool approximate; /* there is no such function */
    const void *data;
    const char *const *slices;
    const uint32_t *eos_extra;
    uint32_t n_eos_extra;
} llg_words;

typedef struct llg_limits {
    size_t n_row_items;
    uint64_t compile_fuel;
    uint64_t mask_fuel;
    size_t n_mask_items;
    size_t n_lexer_states;
    size_t grammar_size;
    bool large_lexemes;
    bool verbose;
} llg_limits;

typedef struct llg_setup {
    const llg_tokenizer *tokenizer;
    uint32_t log_buffer_level;
    uint32_t log_stderr_level;
    bool forward;
    bool backtrack;
    llg_limits limits;
    uint64_t spare[64]; /* what a later version may add */
} llg_setup;

typedef struct lcrt_llg {
    void *handle;
    const char *(*version)(void);
    void (*setup_defaults)(llg_setup *setup, const llg_tokenizer *tokenizer);
    llg_tokenizer *(*tokenizer_new)(const llg_words *words, char *err, size_t err_cap);
    void (*tokenizer_free)(llg_tokenizer *tokenizer);
    llg_matcher *(*matcher_new)(const llg_setup *setup, const char *kind, const char *text);
    llg_matcher *(*matcher_clone)(const llg_matcher *matcher);
    void (*matcher_free)(llg_matcher *matcher);
    const char *(*matcher_error)(llg_matcher *matcher);
    int32_t (*matcher_mask)(llg_matcher *matcher, uint32_t *bits, size_t len);
    int32_t (*matcher_accept)(llg_matcher *matcher, const uint32_t *tokens, size_t n_tokens);
    int32_t (*matcher_rewind)(llg_matcher *matcher, size_t n_tokens);
    int32_t (*matcher_reset)(llg_matcher *matcher);
    int32_t (*matcher_valid)(llg_matcher *matcher, const uint32_t *tokens, size_t n_tokens);
    int32_t (*matcher_forced)(llg_matcher *matcher, uint32_t *tokens, size_t n_max);
    bool (*matcher_accepting)(llg_matcher *matcher);
    bool (*matcher_stopped)(const llg_matcher *matcher);
} lcrt_llg;

/* Opens the library. LCRT_ERR_IO or LCRT_ERR_UNSUPPORTED with a message in err. */
lcrt_status lcrt_llg_init(const char *path, lcrt_llg *out, char *err, size_t err_cap);
void lcrt_llg_free(lcrt_llg *llg);

#endif
