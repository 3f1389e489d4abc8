from libc.stdint cimport int32_t, uint64_t

from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/backend.h" nogil:
    ctypedef bint c_bool "bool"

    ctypedef struct lcrt_row:
        int32_t token
        int32_t pos
        int32_t seq
        c_bool output

    ctypedef struct lcrt_backend_info:
        int32_t n_vocab
        int32_t n_ctx
        int32_t n_ctx_seq
        int32_t n_seq_max
        int32_t n_batch
        int32_t n_parallel
        c_bool unified
        c_bool consecutive
        c_bool can_trim
        int32_t n_undo
        c_bool can_shift
        c_bool can_guess

    ctypedef struct lcrt_backend_vtable:
        lcrt_status (*adapt)(void *self, uint64_t set) noexcept nogil
        lcrt_status (*decode)(void *self, const lcrt_row *rows, int32_t n_rows) noexcept nogil
        const float *(*logits)(void *self, int32_t i) noexcept nogil
        lcrt_status (*trim)(void *self, int32_t seq, int32_t p0, int32_t p1) noexcept nogil
        lcrt_status (*shift)(void *self, int32_t seq, int32_t p0, int32_t p1, int32_t delta) noexcept nogil
        lcrt_status (*share)(void *self, int32_t src, int32_t dst, int32_t n) noexcept nogil
        lcrt_status (*move)(void *self, int32_t src, int32_t dst) noexcept nogil
        int32_t (*piece)(void *self, int32_t token, c_bool special, char *out, int32_t cap) noexcept nogil
        c_bool (*is_eog)(void *self, int32_t token) noexcept nogil
        void (*interrupt)(void *self, c_bool on) noexcept nogil
        void (*free)(void *self) noexcept nogil

    ctypedef struct lcrt_backend:
        const lcrt_backend_vtable *vtable
        void *self
        lcrt_backend_info info
