/* quantize.h -- a GGUF written again with its weights in another type.
 *
 * Takes seconds to hours and cannot be stopped: call it in a process that can
 * be ended. One call at a time. Progress is in llama.cpp's messages, one for
 * each tensor (log.h). Implemented by csrc/llama. */
#ifndef LCRT_QUANTIZE_H
#define LCRT_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How much each column of a tensor matters. The memory is the caller's. */
typedef struct lcrt_importance {
    const char *name;    /* of the tensor */
    const float *values; /* one for each column, and for each expert */
    size_t n_values;
} lcrt_importance;

typedef struct lcrt_quantize_params {
    int32_t file_type;                 /* a number of general.file_type */
    int32_t n_threads;                 /* 0: physical cores */
    bool requantize;                   /* also weights that are quantized already */
    const lcrt_importance *importance; /* NULL: none */
    size_t n_importance;
} lcrt_quantize_params;

lcrt_quantize_params lcrt_quantize_params_default(void);

/* Writes target, which is replaced when it exists. On failure it is not to be
 * used, and a message for a person is in err (terminated, at most err_cap bytes). */
lcrt_status lcrt_quantize(const char *source, const char *target, const lcrt_quantize_params *params, char *err,
                          size_t err_cap);

#ifdef __cplusplus
}
#endif
#endif
