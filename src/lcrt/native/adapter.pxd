from libc.stdint cimport int32_t, uint64_t

from lcrt.native cimport c_adapter as a
from lcrt.native.handle cimport Handle

cdef enum:
    ADAPTERS_MAX = 64


cdef class Adapter(Handle):
    cdef a.lcrt_adapter *_adapter
    cdef readonly str identity
    cdef object __weakref__


cdef class AdapterSet:
    cdef a.lcrt_adapter *adapters[ADAPTERS_MAX]
    cdef float scales[ADAPTERS_MAX]
    cdef int32_t n
    cdef list identities
    cdef uint64_t key(self) except 0
