from libc.stdint cimport int32_t

from lcrt.native.c_model cimport lcrt_model
from lcrt.native.handle cimport Handle


cdef class Model(Handle):
    cdef lcrt_model *_model
    cdef readonly object info
    cdef Vocab _vocab


cdef class Vocab:
    cdef Model _owner
    cdef int32_t _n_tokens
    cdef int check_token(self, int32_t token) except -1


cdef object int32_buffer(object numbers)
