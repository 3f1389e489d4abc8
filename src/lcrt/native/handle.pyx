"""What all objects over a C pointer share: closed once, freed when nobody is inside."""

from lcrt.errors import ClosedError


cdef class Handle:
    """Base of the objects over a C pointer.

    A call that lets other threads run stands between ``enter`` and ``leave``, so that ``close`` in
    another thread frees nothing under it: the last one to leave does. All of it under the GIL.
    """

    cdef int alive(self) except -1:
        if self._closed:
            raise ClosedError(f"this {type(self).__name__} has been closed")
        return 0

    cdef int enter(self) except -1:
        self.alive()
        self._n_users += 1
        return 0

    cdef void leave(self) noexcept:
        self._n_users -= 1
        if self._closed and self._n_users == 0:
            self.release()

    cdef void release(self) noexcept:
        """Free the pointer; called once at most after ``close``, and by ``__dealloc__``."""

    def close(self):
        """Free everything now, or as soon as running calls have returned. Any number of times."""
        if self._closed:
            return
        self._closed = True
        if self._n_users == 0:
            self.release()

    @property
    def closed(self):
        """Whether ``close`` was called."""
        return self._closed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
