/* model.h -- a GGUF file in memory, and a backend over it.
 *
 * A model may be used from any thread once loaded; loading and freeing are the
 * caller's, one thread at a time. Implemented by csrc/llama. */
#ifndef LCRT_MODEL_H
#define LCRT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_model lcrt_model;

/* Loads the backends (CPU variants, CUDA, ...) found in a folder, once per process.
 * NULL: the folder that holds this library. */
lcrt_status lcrt_runtime_init(const char *backend_dir);

typedef struct lcrt_model_params {
    int32_t n_gpu_layers; /* negative: all */
    int32_t main_gpu;     /* negative: every device */
    int8_t use_mmap;      /* -1 as the backend advises, 0, 1 */
    bool vocab_only;
    bool check_tensors;
    bool heads; /* also the layers that guess tokens behind the next one, where the file has them ("MTP") */
    /* Called from the loading thread with 0 .. 1; false gives up with LCRT_ERR_CANCELLED. */
    bool (*progress)(float fraction, void *data);
    void *progress_data;
} lcrt_model_params;

lcrt_model_params lcrt_model_params_default(void);

/* On failure a message for a person is in err (terminated, at most err_cap bytes). */
lcrt_status lcrt_model_load(const char *path, const lcrt_model_params *params, lcrt_model **out, char *err,
                            size_t err_cap);

/* References: contexts and engines keep the model alive. */
lcrt_model *lcrt_model_ref(lcrt_model *model);
void lcrt_model_free(lcrt_model *model);

typedef struct lcrt_model_info {
    int32_t n_vocab, n_ctx_train, n_embd, n_layer, n_head, n_head_kv, n_swa;
    uint64_t n_params;
    uint64_t size; /* bytes of the weights */
    bool has_decoder, has_encoder, recurrent, hybrid;
    bool embedding;        /* its metadata names a pooling type */
    int32_t n_heads_ahead; /* layers that guess tokens behind the next one, if they were loaded */
} lcrt_model_info;

void lcrt_model_info_get(const lcrt_model *model, lcrt_model_info *out);

/* Metadata: the value's length, or -1 when the key is absent; cut to cap. */
int32_t lcrt_model_meta(const lcrt_model *model, const char *key, char *out, size_t cap);

/* The model's own Jinja template, NULL when it has none. */
const char *lcrt_model_chat_template(const lcrt_model *model);

typedef enum lcrt_kv_layout { LCRT_KV_AUTO = 0, LCRT_KV_UNIFIED, LCRT_KV_SPLIT } lcrt_kv_layout;

typedef struct lcrt_context_params {
    int32_t n_ctx;           /* positions per sequence; 0: trained length */
    int32_t n_parallel;      /* sequences at the same time, 1 .. 256 */
    int64_t kv_cells_max;    /* cells in all; 0: n_ctx * n_parallel. Below that the cells are a shared pool */
    int32_t n_batch;         /* 0: 2048 */
    int32_t n_ubatch;        /* 0: 512 */
    int32_t n_threads;       /* 0: physical cores */
    int32_t n_threads_batch; /* 0: as n_threads */
    int32_t n_outputs;       /* rows with logits in one decode; 0: n_parallel, more costs n_vocab floats each */
    lcrt_kv_layout layout;
    const char *kv_type;    /* "f16", "q8_0", ...; NULL: f16 */
    int8_t flash_attention; /* -1 auto, 0, 1 */
    bool swa_full;          /* sliding windows keep all positions: more memory, but they can trim and shift */
    bool guess;             /* use the layers that guess, if the model was loaded with any and they work here: a cache
                             * for them, and their pass over every token. The log says when they do not */
} lcrt_context_params;

lcrt_context_params lcrt_context_params_default(void);

/* A backend for lcrt_engine_init. Keeps a reference on the model. */
lcrt_status lcrt_backend_llama(lcrt_model *model, const lcrt_context_params *params, lcrt_backend *out, char *err,
                               size_t err_cap);

/* Which llama.cpp this is, "b11434": states of one are of no use to another. */
const char *lcrt_backend_llama_version(void);

/* Memory of weights, KV and compute buffers in bytes, on devices and in all. */
void lcrt_backend_llama_memory(const lcrt_backend *backend, uint64_t *total, uint64_t *device);

#ifdef __cplusplus
}
#endif
#endif
