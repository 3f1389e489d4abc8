from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, uint64_t

from lcrt.native.c_backend cimport c_bool
from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/embed.h" nogil:
    ctypedef struct lcrt_embedder:
        pass

    ctypedef struct lcrt_embed_params:
        int32_t n_ctx
        int32_t n_batch
        int32_t n_threads
        int8_t flash_attention

    lcrt_embed_params lcrt_embed_params_default()
    lcrt_status lcrt_embed_init(lcrt_model *model, const lcrt_embed_params *params, lcrt_embedder **out, char *err,
                                size_t err_cap)
    void lcrt_embed_free(lcrt_embedder *embedder)

    ctypedef struct lcrt_embed_info:
        int32_t n_out
        int32_t n_ctx
        int32_t n_batch
        int32_t n_seq_max
        int32_t n_threads
        c_bool rank
        c_bool host

    void lcrt_embed_info_get(const lcrt_embedder *embedder, lcrt_embed_info *out)
    uint64_t lcrt_embed_size(const lcrt_embedder *embedder)
    lcrt_status lcrt_embed_run(lcrt_embedder *embedder, const int32_t *tokens, const int32_t *lengths, int32_t n,
                               float *out)
    void lcrt_embed_interrupt(lcrt_embedder *embedder, c_bool on)
    int32_t lcrt_embed_json(const float *numbers, int32_t n, char *out, int32_t cap)
