/* embed.h -- vectors and scores of whole texts: a second context over a model's weights.
 *
 * A model may have an engine and an embedder at the same time; they share the weights
 * and nothing else. Encoders need no KV cache. An embedder starts small and grows with
 * the longest sequence it meets. One thread at a time, except lcrt_embed_interrupt;
 * lcrt_embed_json from any thread. Implemented by csrc/llama. */
#ifndef LCRT_EMBED_H
#define LCRT_EMBED_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_embedder lcrt_embedder;

typedef struct lcrt_embed_params {
    int32_t n_ctx;          /* the longest sequence; 0: trained length */
    int32_t n_batch;        /* tokens of one pass; 0: 256, or 2048 with other devices than the CPU */
    int32_t n_threads;      /* 0: physical cores */
    int8_t flash_attention; /* -1 auto, 0, 1 */
} lcrt_embed_params;

lcrt_embed_params lcrt_embed_params_default(void);

/* Keeps a reference on the model. LCRT_ERR_UNSUPPORTED for a model without a hidden state to pool. */
lcrt_status lcrt_embed_init(lcrt_model *model, const lcrt_embed_params *params, lcrt_embedder **out, char *err,
                            size_t err_cap);
void lcrt_embed_free(lcrt_embedder *embedder);

typedef struct lcrt_embed_info {
    int32_t n_out;     /* floats of one sequence: a vector's length, or the number of scores */
    int32_t n_ctx;     /* the longest sequence */
    int32_t n_batch;   /* tokens that one pass should have at most */
    int32_t n_seq_max; /* sequences of one pass */
    int32_t n_threads;
    bool rank; /* the floats are scores of a reranker */
    bool host; /* no device but the CPU computes */
} lcrt_embed_info;

void lcrt_embed_info_get(const lcrt_embedder *embedder, lcrt_embed_info *out);

/* Bytes of the context and its buffers now, without the weights. */
uint64_t lcrt_embed_size(const lcrt_embedder *embedder);

/* One forward pass over n sequences, whose tokens lie one after the other in tokens; lengths are
 * at least 1. Fills n * n_out floats, pooled as the model wants it, not normalised. A sequence longer
 * than n_batch has a pass to itself. LCRT_ERR_TOO_LONG: more tokens than n_ctx in one, or than
 * n_batch in several; LCRT_ERR_CANCELLED: interrupted. */
lcrt_status lcrt_embed_run(lcrt_embedder *embedder, const int32_t *tokens, const int32_t *lengths, int32_t n,
                           float *out);

/* Any thread: a running pass gives up (on = true), or passes are allowed again. */
void lcrt_embed_interrupt(lcrt_embedder *embedder, bool on);

/* A JSON array of the shortest decimals that are these numbers again. Its length, not terminated, or
 * minus the length that always suffices when cap is less. Every number has to be finite. */
int32_t lcrt_embed_json(const float *numbers, int32_t n, char *out, int32_t cap);

#ifdef __cplusplus
}
#endif
#endif
