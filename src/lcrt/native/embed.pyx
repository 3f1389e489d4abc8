"""Vectors and scores of whole texts."""

from threading import Lock

import numpy as np

from lcrt.errors import InvalidRequest
from lcrt.native.values import EmbedderInfo, EmbedderParams

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

from lcrt.native cimport c_adapter as a, c_embed as c, c_status as s
from lcrt.native.adapter cimport AdapterSet
from lcrt.native.backend cimport own_adapters
from lcrt.native.handle cimport Handle
from lcrt.native.model cimport Model, int32_buffer
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024


@cython.final
cdef class Embedder(Handle):
    """A context that pools, over the weights of a model that may have an engine too.

    Calls of several threads wait for each other, except ``interrupt``.
    """

    cdef c.lcrt_embedder *_embedder
    cdef object _lock
    cdef readonly object info

    def __cinit__(self, Model model not None, params=None):
        cdef c.lcrt_embed_params p = c.lcrt_embed_params_default()
        cdef c.lcrt_embed_info i
        cdef s.lcrt_status status
        cdef char err[ERR_CAP]
        cdef AdapterSet own
        err[0] = 0
        self._lock = Lock()
        params = EmbedderParams() if params is None else params
        own = own_adapters(model, params)
        try:
            p.n_ctx = params.n_ctx
            p.n_batch = params.n_batch
            p.n_threads = params.n_threads
        except OverflowError as error:
            raise InvalidRequest(f"an embedder's parameter is out of range: {error}") from None
        p.flash_attention = -1 if params.flash_attention is None else params.flash_attention
        model.enter()
        try:
            with nogil:
                status = c.lcrt_embed_init(model._model, &p, &self._embedder, err, ERR_CAP)
        finally:
            model.leave()
        check(status, err)
        with nogil:
            status = a.lcrt_embed_adapt(self._embedder, own.adapters, own.scales, own.n)
        check(status, b"an adapter of another model")
        c.lcrt_embed_info_get(self._embedder, &i)
        self.info = EmbedderInfo(i.n_out, i.n_ctx, i.n_batch, i.n_seq_max, i.n_threads, i.rank, i.host)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        cdef c.lcrt_embedder *embedder = self._embedder
        self._embedder = NULL
        with nogil:
            c.lcrt_embed_free(embedder)

    @property
    def size(self):
        """Bytes of the context and its buffers now, without the weights."""
        self.alive()
        with self._lock:
            self.alive()
            return c.lcrt_embed_size(self._embedder)

    def run(self, tokens, lengths):
        """Compute texts in one pass: their tokens one after the other, and how many each has."""
        cdef object token_buffer = int32_buffer(tokens)
        cdef object length_buffer = int32_buffer(lengths)
        cdef const int32_t[::1] token_view = token_buffer
        cdef const int32_t[::1] length_view = length_buffer
        cdef Py_ssize_t n = length_view.shape[0]
        cdef int64_t n_tokens = 0
        cdef Py_ssize_t i
        cdef float[:, ::1] rows
        cdef const int32_t *c_tokens
        cdef const int32_t *c_lengths
        cdef float *c_out
        cdef s.lcrt_status status
        for i in range(n):
            if length_view[i] < 1:
                raise InvalidRequest("a text without tokens")
            n_tokens += length_view[i]
        if n == 0 or n > self.info.n_seq_max or n_tokens != token_view.shape[0]:
            raise InvalidRequest("lengths that do not fit the tokens")
        out = np.empty((n, self.info.n_out), np.float32)
        rows = out
        c_tokens, c_lengths, c_out = &token_view[0], &length_view[0], &rows[0, 0]
        self.enter()
        try:
            with self._lock, nogil:
                status = c.lcrt_embed_run(self._embedder, c_tokens, c_lengths, <int32_t>n, c_out)
        finally:
            self.leave()
        check(status, NULL)
        return out

    def adapt(self, adapters):
        """Apply these pairs of ``Adapter`` and scale in all passes from now on, in place of those before."""
        cdef AdapterSet wanted = AdapterSet(adapters)
        cdef s.lcrt_status status
        self.enter()
        try:
            with self._lock, nogil:
                status = a.lcrt_embed_adapt(self._embedder, wanted.adapters, wanted.scales, wanted.n)
        finally:
            self.leave()
        check(status, b"an adapter of another model")

    def interrupt(self, bint on=True):
        """Make a running pass of another thread give up with ``Cancelled``; False allows passes again."""
        self.alive()
        c.lcrt_embed_interrupt(self._embedder, on)


def json_array(numbers):
    """The numbers as a JSON array, each with as many digits as make it the same 32-bit number again."""
    cdef const float[::1] view = numbers
    cdef int32_t n = <int32_t>view.shape[0]
    cdef int32_t cap
    cdef int32_t length
    cdef char *out
    cdef const float *first
    if n == 0:
        return b"[]"
    first = &view[0]
    cap = -c.lcrt_embed_json(first, n, NULL, 0)
    out = <char *>malloc(<size_t>cap)
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            length = c.lcrt_embed_json(first, n, out, cap)
        return PyBytes_FromStringAndSize(out, length)
    finally:
        free(out)
