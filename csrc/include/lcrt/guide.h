/* guide.h -- grammars from JSON schemas, regular expressions and Lark texts.
 *
 * Fills grammar.h with llguidance, a library that is opened by its path when the guide
 * is made. A guide belongs to one vocabulary and keeps a reference on its model; the
 * grammars keep a reference on the guide. Compiled texts are remembered, so that the
 * next grammar of the same text is a copy. Any thread, several at a time. */
#ifndef LCRT_GUIDE_H
#define LCRT_GUIDE_H

#include <stddef.h>
#include <stdint.h>

#include "lcrt/grammar.h"
#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_guide lcrt_guide;

typedef enum lcrt_guide_kind {
    LCRT_GUIDE_SCHEMA = 0, /* a JSON schema */
    LCRT_GUIDE_REGEX,      /* as in Rust, without looking around */
    LCRT_GUIDE_LARK,       /* llguidance's variant of Lark */
    LCRT_GUIDE_LIST        /* several of these, in llguidance's JSON form, the first one the whole */
} lcrt_guide_kind;

typedef struct lcrt_guide_params {
    int32_t text_max;         /* bytes of a text; 0: 1 MiB */
    int32_t n_kept;           /* texts remembered; 0: 64 */
    int32_t compile_ms;       /* how long compile waits for the compiler; 0: 2000 */
    int32_t lexer_states_max; /* of one grammar, one or two kilobytes each; 0: 50000 */
} lcrt_guide_params;

/* Opens the library and reads the vocabulary, which takes a tenth of a second or more.
 * LCRT_ERR_IO: there is no such library. LCRT_ERR_UNSUPPORTED: it is not a version that
 * this can use. On failure a message for a person is in err. */
lcrt_status lcrt_guide_init(lcrt_model *model, const char *library, const lcrt_guide_params *params, lcrt_guide **out,
                            char *err, size_t err_cap);

/* The grammars made of it live on. NULL is fine. */
void lcrt_guide_free(lcrt_guide *guide);

/* A grammar at its beginning, the caller's to free. LCRT_ERR_GRAMMAR: the text is wrong or
 * asks for what cannot be done. LCRT_ERR_TOO_LONG: it is longer than allowed, or takes too
 * long to compile. LCRT_ERR_FULL: too many such are still being compiled. What is wrong is
 * in err. */
lcrt_status lcrt_guide_compile(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                               lcrt_grammar *out, char *err, size_t err_cap);

/* Whether a text can be compiled, as compile says; nothing is kept. */
lcrt_status lcrt_guide_check(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len, char *err,
                             size_t err_cap);

typedef struct lcrt_guide_stats {
    int64_t n_compiled; /* texts compiled */
    int64_t n_copied;   /* grammars made of a remembered text */
    int32_t n_kept;     /* texts remembered now */
} lcrt_guide_stats;

void lcrt_guide_stats_get(lcrt_guide *guide, lcrt_guide_stats *out);

#ifdef __cplusplus
}
#endif
#endif
