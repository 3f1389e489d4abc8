from libc.stdint cimport int32_t, uint64_t

from lcrt.native.c_backend cimport c_bool


cdef extern from "lcrt/device.h" nogil:
    ctypedef struct lcrt_device:
        char name[64]
        char description[128]
        uint64_t memory_free
        uint64_t memory_total
        c_bool gpu

    int32_t lcrt_device_count()
    c_bool lcrt_device_get(int32_t i, lcrt_device *out)
