"""A model's memory of sequences and forward passes over them, without the engine."""

from threading import Lock

import numpy as np

from lcrt.errors import InvalidRequest
from lcrt.native.values import ContextParams

cimport cython
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

from lcrt.native cimport c_backend as b, c_status as s
from lcrt.native.backend cimport make_backend, own_adapters
from lcrt.native.handle cimport Handle
from lcrt.native.model cimport Model, int32_buffer
from lcrt.native.status cimport check


@cython.final
cdef class _Rows:
    """Rows of logits inside the context, which stays as long as they do. Read only."""

    cdef Context _owner
    cdef const float *_data
    cdef Py_ssize_t _shape[2]
    cdef Py_ssize_t _strides[2]

    def __cinit__(self, Context owner not None, Py_ssize_t n_rows):
        owner.enter()
        owner._n_views += 1
        self._owner = owner
        self._shape[0] = n_rows
        self._shape[1] = owner._backend.info.n_vocab
        self._strides[0] = self._shape[1] * sizeof(float)
        self._strides[1] = sizeof(float)

    def __dealloc__(self):
        if self._owner is not None:
            self._owner._n_views -= 1
            self._owner.leave()

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self._data == NULL:
            raise BufferError("these rows hold nothing")
        view.buf = <void *>self._data
        view.obj = self
        view.len = self._shape[0] * self._strides[0]
        view.readonly = 1
        view.itemsize = sizeof(float)
        view.format = b"f"
        view.ndim = 2
        view.shape = self._shape
        view.strides = self._strides
        view.suboffsets = NULL
        view.internal = NULL


@cython.final
cdef class Context(Handle):
    """Sequences of one model, numbered from 0, and what was computed for them.

    Calls of several threads wait for each other, except ``interrupt``.
    """

    cdef b.lcrt_backend _backend
    cdef b.lcrt_row *_rows
    cdef int32_t _n_outputs_max
    cdef int32_t _n_outputs_seen
    cdef int _n_views
    cdef object _lock
    cdef list _next
    cdef readonly object info

    def __cinit__(self, Model model not None, params=None):
        params = ContextParams() if params is None else params
        self.info = make_backend(model, params, own_adapters(model, params), &self._backend)
        self._n_outputs_seen = params.n_parallel
        self._n_outputs_max = max(params.n_outputs, params.n_parallel)
        self._lock = Lock()
        self._next = [0] * params.n_parallel
        self._rows = <b.lcrt_row *>calloc(self._backend.info.n_batch, sizeof(b.lcrt_row))
        if self._rows == NULL:
            raise MemoryError

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        free(self._rows)
        self._rows = NULL
        cdef b.lcrt_backend backend = self._backend
        self._backend.vtable = NULL
        if backend.vtable != NULL:
            with nogil:
                backend.vtable.free(backend.self)

    def decode(self, tokens, *, int32_t seq=0, pos=None, bint every=False):
        """Compute tokens of a sequence; return logits as float32, read only and without a copy.

        ``pos`` is the position of the first token, by default behind the last one. The shape is
        (n_vocab,), for the last token, or with ``every`` (n_tokens, n_vocab), which takes at most
        ``ContextParams.n_outputs`` tokens. The values are those of the latest call. Raises
        ``InvalidRequest`` for tokens and positions out of range, ``BusyError`` for a full context,
        ``Cancelled`` after ``interrupt``, ``BufferError`` when more rows than ever are wanted while
        earlier logits are still in use.
        """
        cdef object numbers = int32_buffer(tokens)
        cdef const int32_t[::1] view = numbers
        cdef Py_ssize_t n_tokens = view.shape[0]
        self.alive()
        self.check_seq(seq)
        if n_tokens == 0:
            raise InvalidRequest("no tokens")
        with self._lock:
            self.enter()
            try:
                if every:
                    self.check_outputs(n_tokens)
                return self.compute(view, seq, self._next[seq] if pos is None else pos, every)
            finally:
                self.leave()

    cdef object compute(self, const int32_t[::1] view, int32_t seq, Py_ssize_t pos, bint every):
        cdef Py_ssize_t n_tokens = view.shape[0]
        cdef Py_ssize_t n_batch = self._backend.info.n_batch
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end = 0
        if pos < 0 or pos + n_tokens > self._backend.info.n_ctx:
            raise InvalidRequest(f"positions {pos} to {pos + n_tokens} are not in the context")
        while end < n_tokens:
            start = end
            end = min(start + n_batch, n_tokens)
            self.one_pass(view, start, end, seq, pos, every)
            self._next[seq] = pos + end
        return self.rows(start, end, every)

    cdef int one_pass(self, const int32_t[::1] view, Py_ssize_t start, Py_ssize_t end, int32_t seq, Py_ssize_t pos,
                      bint every) except -1:
        cdef s.lcrt_status status
        cdef Py_ssize_t i
        for i in range(start, end):
            self._rows[i - start].token = view[i]
            self._rows[i - start].pos = <int32_t>(pos + i)
            self._rows[i - start].seq = seq
            self._rows[i - start].output = every or i == view.shape[0] - 1
        with nogil:
            status = self._backend.vtable.decode(self._backend.self, self._rows, <int32_t>(end - start))
        return check(status, b"a token or position is out of range" if status == s.LCRT_ERR_INVALID else b"")

    cdef object rows(self, Py_ssize_t start, Py_ssize_t end, bint every):
        cdef Py_ssize_t n_rows = end - start if every else 1
        cdef _Rows rows = _Rows.__new__(_Rows, self, n_rows)
        cdef const float *last
        with nogil:
            rows._data = self._backend.vtable.logits(self._backend.self, 0 if every else <int32_t>(end - start - 1))
            last = self._backend.vtable.logits(self._backend.self, <int32_t>(end - start - 1))
        if rows._data == NULL or last != rows._data + (n_rows - 1) * rows._shape[1]:
            check(s.LCRT_ERR_BACKEND, b"the logits are not where they should be")
        out = np.asarray(rows)
        return out if every else out[0]

    cdef int check_outputs(self, Py_ssize_t n_outputs) except -1:
        if n_outputs > self._n_outputs_max or n_outputs > self._backend.info.n_batch:
            raise InvalidRequest(f"{n_outputs} rows of logits, n_outputs is {self._n_outputs_max}")
        if n_outputs > self._n_outputs_seen:
            if self._n_views > 0:
                raise BufferError("logits of an earlier decode are still in use")
            self._n_outputs_seen = <int32_t>n_outputs
        return 0

    cdef int check_seq(self, int32_t seq) except -1:
        if seq < 0 or seq >= self._backend.info.n_seq_max:
            raise InvalidRequest(f"there is no sequence {seq}")
        return 0

    def trim(self, int32_t seq, int32_t p0=0, int32_t p1=-1):
        """Forget positions [p0, p1) of a sequence, to the end when ``p1`` is negative. Raises ``UnsupportedModel``."""
        cdef s.lcrt_status status
        self.alive()
        self.check_seq(seq)
        with self._lock:
            self.alive()
            status = self._backend.vtable.trim(self._backend.self, seq, p0, p1)
            check(status, NULL)
            if p1 < 0 or p1 >= self._next[seq]:
                self._next[seq] = min(self._next[seq], max(p0, 0))

    def shift(self, int32_t seq, int32_t p0, int32_t p1, int32_t delta):
        """Move positions [p0, p1) of a sequence by ``delta``, to the end when ``p1`` is negative.

        What falls below 0 is forgotten. Raises ``UnsupportedModel``, and ``InvalidRequest`` for positions
        that would leave the context.
        """
        cdef s.lcrt_status status
        self.alive()
        self.check_seq(seq)
        with self._lock:
            self.alive()
            if self._next[seq] + delta > self._backend.info.n_ctx:
                raise InvalidRequest(f"moved by {delta}, positions are not in the context")
            status = self._backend.vtable.shift(self._backend.self, seq, p0, p1, delta)
            check(status, NULL)
            if p1 < 0 or p1 >= self._next[seq]:
                self._next[seq] = max(self._next[seq] + delta, 0)

    def share(self, int32_t src, int32_t dst, int32_t n):
        """Let ``dst``, which must be empty, begin with the first ``n`` positions of ``src``."""
        cdef s.lcrt_status status
        self.alive()
        self.check_seq(src)
        self.check_seq(dst)
        with self._lock:
            self.alive()
            if self._next[dst] > 0:
                raise InvalidRequest(f"sequence {dst} is not empty")
            status = self._backend.vtable.share(self._backend.self, src, dst, n)
            check(status, NULL)
            self._next[dst] = min(n, self._next[src])

    def interrupt(self, bint on=True):
        """Make a running decode of another thread give up with ``Cancelled``; False allows decoding again."""
        self.alive()
        self._backend.vtable.interrupt(self._backend.self, on)
