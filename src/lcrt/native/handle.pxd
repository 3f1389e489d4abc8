cdef class Handle:
    cdef int _n_users
    cdef bint _closed
    cdef int alive(self) except -1
    cdef int enter(self) except -1
    cdef void leave(self) noexcept
    cdef void release(self) noexcept
