from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint64_t

from lcrt.native.c_backend cimport c_bool, lcrt_backend
from lcrt.native.c_embed cimport lcrt_embedder
from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/adapter.h" nogil:
    ctypedef struct lcrt_adapter:
        pass

    lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t err_cap)
    lcrt_adapter *lcrt_adapter_ref(lcrt_adapter *adapter)
    void lcrt_adapter_free(lcrt_adapter *adapter)
    uint64_t lcrt_adapter_size(const lcrt_adapter *adapter)
    c_bool lcrt_adapter_used(const lcrt_adapter *adapter)
    lcrt_status lcrt_backend_llama_put_set(const lcrt_backend *backend, uint64_t set, lcrt_adapter *const *adapters,
                                           const float *scales, int32_t n)
    void lcrt_backend_llama_drop_set(const lcrt_backend *backend, uint64_t set)
    lcrt_status lcrt_embed_adapt(lcrt_embedder *embedder, lcrt_adapter *const *adapters, const float *scales,
                                 int32_t n)
