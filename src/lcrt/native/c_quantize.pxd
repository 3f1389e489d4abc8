from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from lcrt.native.c_backend cimport c_bool
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/quantize.h" nogil:
    ctypedef struct lcrt_importance:
        const char *name
        const float *values
        size_t n_values

    ctypedef struct lcrt_quantize_params:
        int32_t file_type
        int32_t n_threads
        c_bool requantize
        const lcrt_importance *importance
        size_t n_importance

    lcrt_quantize_params lcrt_quantize_params_default()
    lcrt_status lcrt_quantize(const char *source, const char *target, const lcrt_quantize_params *params, char *err,
                              size_t err_cap)
