from libc.stdint cimport int32_t, uint32_t

from lcrt.native.c_backend cimport c_bool
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/grammar.h" nogil:
    ctypedef struct lcrt_grammar_vtable:
        lcrt_status (*mask)(void *self, uint32_t *bits, int32_t n_words) noexcept nogil
        lcrt_status (*accept)(void *self, const int32_t *tokens, int32_t n_tokens) noexcept nogil
        lcrt_status (*rewind)(void *self, int32_t n_tokens) noexcept nogil
        int32_t (*forced)(void *self, int32_t *tokens, int32_t max) noexcept nogil
        int32_t (*valid)(void *self, const int32_t *tokens, int32_t n_tokens) noexcept nogil
        c_bool (*accepting)(void *self) noexcept nogil
        c_bool (*stopped)(void *self) noexcept nogil
        void (*free)(void *self) noexcept nogil

    ctypedef struct lcrt_grammar:
        const lcrt_grammar_vtable *vtable
        void *self
