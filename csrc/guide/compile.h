/* compile.h -- compiling a text on a thread of its own.
 *
 * The library recurses as deep as a text says and cannot be told to stop. So the thread
 * has a large stack, and who asked waits for so long and no longer; the thread then ends
 * by itself, and what it has made is remembered for the next one who asks. */
#ifndef LCRT_GUIDE_COMPILE_H
#define LCRT_GUIDE_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guide.h"

/* What is compiled, and into what. */
typedef struct lcrt_source {
    lcrt_guide_kind kind;
    const char *text;
    size_t text_len;
    bool keep; /* remember it */
} lcrt_source;

/* A matcher at its beginning and the number of its entry, 0 for none. LCRT_ERR_GRAMMAR:
 * the text cannot be compiled. LCRT_ERR_TOO_LONG: it takes too long. LCRT_ERR_FULL: too
 * many are being compiled. */
lcrt_status lcrt_guide_run(lcrt_guide *guide, const lcrt_source *source, llg_matcher **out, uint64_t *number, char *err,
                           size_t err_cap);

#endif
