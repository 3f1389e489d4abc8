from libc.stdint cimport int32_t, int64_t

from lcrt.native.c_engine cimport lcrt_engine
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/cache.h" nogil:
    ctypedef struct lcrt_cache_hits:
        int64_t n_jobs
        int64_t n_tokens

    ctypedef struct lcrt_cache_stats:
        lcrt_cache_hits device
        lcrt_cache_hits host
        lcrt_cache_hits disk
        int64_t n_checkpoints
        int64_t ram_len
        int64_t disk_len
        lcrt_status disk_status

    void lcrt_engine_cache_stats_get(const lcrt_engine *engine, lcrt_cache_stats *out)
    int32_t lcrt_engine_store(lcrt_engine *engine, int64_t timeout_ns, int32_t *n_left)
