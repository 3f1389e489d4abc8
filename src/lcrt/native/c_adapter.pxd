from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from lcrt.native.c_backend cimport lcrt_backend
from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/adapter.h" nogil:
    ctypedef struct lcrt_adapter:
        pass

    lcrt_status lcrt_adapter_load(lcrt_model *model, const char *path, lcrt_adapter **out, char *err, size_t err_cap)
    lcrt_status lcrt_backend_llama_adapt(const lcrt_backend *backend, lcrt_adapter *const *adapters,
                                         const float *scales, int32_t n)
