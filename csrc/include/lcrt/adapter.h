/* adapter.h -- low-rank changes (LoRA) of a model's weights, from a GGUF of their own.
 *
 * Loaded once for a model and used by any number of contexts of it, in sets with a scale for each. Sets and
 * embedders hold what they need of an adapter alive. Any thread. Implemented by csrc/llama. */
#ifndef LCRT_ADAPTER_H
#define LCRT_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/embed.h"
#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_adapter lcrt_adapter;

/* LCRT_ERR_FORMAT for a file that is no adapter of this model; a message for a person is in err. */
lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t err_cap);

/* The same with one more reference. */
lcrt_adapter *lcrt_adapter_ref(lcrt_adapter *adapter);

/* Gives a reference back; freed when no set has it any more either. NULL is fine. */
void lcrt_adapter_free(lcrt_adapter *adapter);

/* Bytes of its weights. */
uint64_t lcrt_adapter_size(const lcrt_adapter *adapter);

/* Whether some set has it, or another reference is there. A set that was dropped counts as long as it is in force. */
bool lcrt_adapter_used(const lcrt_adapter *adapter);

/* What a backend of csrc/llama means by a set from now on: these adapters, all of its own model. For 0, its own set,
 * n = 0 is what it begins with. A set that was in force before is put in force again by the backend's adapt. */
lcrt_status lcrt_backend_llama_put_set(const lcrt_backend *backend, uint64_t set, lcrt_adapter *const *adapters,
                                       const float *scales, int32_t n);

/* Forgets a set that no job has; unknown ones are ignored. What was computed with it stays what it is. If it was the
 * last in force, its adapters stay until another one is: going back to 0 would cost the next job of this set a pass. */
void lcrt_backend_llama_drop_set(const lcrt_backend *backend, uint64_t set);

/* What an embedder applies from now on. Between its runs, in the thread that makes them. */
lcrt_status lcrt_embed_adapt(lcrt_embedder *embedder, lcrt_adapter *const *adapters, const float *scales, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
