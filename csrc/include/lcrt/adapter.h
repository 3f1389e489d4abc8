/* adapter.h -- low-rank changes (LoRA) of a model's weights, from a GGUF of their own.
 *
 * Loaded once for a model and used by any number of contexts of it, each with its own set and scales.
 * Loading: as for models, one thread at a time. Implemented by csrc/llama. */
#ifndef LCRT_ADAPTER_H
#define LCRT_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Lives as long as its model. */
typedef struct lcrt_adapter lcrt_adapter;

/* LCRT_ERR_FORMAT for a file that is no adapter of this model; a message for a person is in err. */
lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t err_cap);

/* The set that every pass of a backend of csrc/llama applies from now on, with a scale for each; n = 0: none. Between
 * passes, on the thread that runs them. What the context holds was computed with the old set: the caller
 * forgets it, or never continues it. A change costs about a pass, the same set again nothing. */
lcrt_status lcrt_backend_llama_adapt(const lcrt_backend *backend, lcrt_adapter *const *adapters, const float *scales,
                                     int32_t n);

#ifdef __cplusplus
}
#endif
#endif
