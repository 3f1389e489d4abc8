from libc.stdint cimport int32_t

from lcrt.native.c_grammar cimport lcrt_grammar
from lcrt.native.handle cimport Handle


cdef class Grammar(Handle):
    cdef lcrt_grammar _grammar
    cdef readonly int32_t n_vocab
    cdef void taken(self) noexcept
