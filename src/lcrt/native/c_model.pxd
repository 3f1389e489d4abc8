from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t

from lcrt.native.c_backend cimport c_bool, lcrt_backend
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/model.h" nogil:
    ctypedef struct lcrt_model:
        pass

    lcrt_status lcrt_runtime_init(const char *backend_dir)
    const char *lcrt_backend_llama_version()

    ctypedef struct lcrt_model_params:
        int32_t n_gpu_layers
        int32_t main_gpu
        int8_t use_mmap
        c_bool vocab_only
        c_bool check_tensors
        c_bool heads
        c_bool (*progress)(float fraction, void *data) noexcept
        void *progress_data

    lcrt_model_params lcrt_model_params_default()
    lcrt_status lcrt_model_load(const char *path, const lcrt_model_params *params, lcrt_model **out, char *err,
                                size_t err_cap)
    lcrt_model *lcrt_model_ref(lcrt_model *model)
    void lcrt_model_free(lcrt_model *model)

    ctypedef struct lcrt_model_info:
        int32_t n_vocab
        int32_t n_ctx_train
        int32_t n_embd
        int32_t n_layer
        int32_t n_head
        int32_t n_head_kv
        int32_t n_swa
        uint64_t n_params
        uint64_t size
        c_bool has_decoder
        c_bool has_encoder
        c_bool recurrent
        c_bool hybrid
        c_bool embedding
        int32_t n_heads_ahead

    void lcrt_model_info_get(const lcrt_model *model, lcrt_model_info *out)
    int32_t lcrt_model_meta(const lcrt_model *model, const char *key, char *out, size_t cap)
    const char *lcrt_model_chat_template(const lcrt_model *model)

    ctypedef enum lcrt_kv_layout:
        LCRT_KV_AUTO
        LCRT_KV_UNIFIED
        LCRT_KV_SPLIT

    ctypedef struct lcrt_context_params:
        int32_t n_ctx
        int32_t n_parallel
        int64_t kv_cells_max
        int32_t n_batch
        int32_t n_ubatch
        int32_t n_threads
        int32_t n_threads_batch
        int32_t n_outputs
        lcrt_kv_layout layout
        const char *kv_type
        int8_t flash_attention
        c_bool swa_full
        c_bool guess

    lcrt_context_params lcrt_context_params_default()
    lcrt_status lcrt_backend_llama(lcrt_model *model, const lcrt_context_params *params, lcrt_backend *out, char *err,
                                   size_t err_cap)
    void lcrt_backend_llama_memory(const lcrt_backend *backend, uint64_t *total, uint64_t *device)
