"""What a generation may say: schemas, regular expressions and Lark texts, token by token."""

import os
from array import array

from lcrt.errors import InvalidRequest
from lcrt.native.values import GuideStats

cimport cython
from libc.stdint cimport int32_t, uint32_t

from lcrt.native cimport c_guide as c, c_status as s
from lcrt.native.handle cimport Handle
from lcrt.native.model cimport Model, int32_buffer
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 4096
    N_FORCED_MAX = 1024

_KINDS = {
    "schema": c.LCRT_GUIDE_SCHEMA, "regex": c.LCRT_GUIDE_REGEX, "lark": c.LCRT_GUIDE_LARK, "list": c.LCRT_GUIDE_LIST,
}


@cython.final
cdef class Grammar(Handle):
    """The state of one generation; made by ``Guide.compile``. One thread at a time.

    ``Engine.submit`` takes it over, after which it counts as closed.
    """

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        if self._grammar.vtable != NULL:
            self._grammar.vtable.free(self._grammar.self)
        self._grammar.vtable = NULL

    cdef void taken(self) noexcept:
        """Somebody else owns the state now."""
        self._grammar.vtable = NULL
        self._closed = True

    def mask(self, uint32_t[::1] bits not None):
        """Write which tokens may come next: bit ``t % 32`` of ``bits[t // 32]`` is token ``t``."""
        cdef s.lcrt_status status
        self.alive()
        if bits.shape[0] != (self.n_vocab + 31) // 32:
            raise InvalidRequest(f"a mask of {bits.shape[0]} words for a vocabulary of {self.n_vocab}")
        self.enter()
        try:
            with nogil:
                status = self._grammar.vtable.mask(self._grammar.self, &bits[0], <int32_t>bits.shape[0])
        finally:
            self.leave()
        check(status, b"")

    def accept(self, tokens):
        """These have come. Raises ``InvalidGrammar`` when one was not allowed; then only ``close`` makes sense."""
        cdef const int32_t[::1] view = int32_buffer(tokens)
        self.alive()
        if view.shape[0] > 0:
            check(self._grammar.vtable.accept(self._grammar.self, &view[0], <int32_t>view.shape[0]), b"")

    def rewind(self, int32_t n_tokens):
        """Take back the last accepted ones."""
        self.alive()
        check(self._grammar.vtable.rewind(self._grammar.self, n_tokens), b"")

    def forced(self):
        """The tokens that must come next, not accepted by this; empty when there is a choice."""
        cdef int32_t out[N_FORCED_MAX]
        cdef int32_t n
        cdef int32_t i
        self.alive()
        n = self._grammar.vtable.forced(self._grammar.self, out, N_FORCED_MAX)
        return array("i", [out[i] for i in range(n)])

    def valid(self, tokens):
        """How many of these, from the first on, may come next. Accepts none."""
        cdef const int32_t[::1] view = int32_buffer(tokens)
        self.alive()
        if view.shape[0] == 0:
            return 0
        return self._grammar.vtable.valid(self._grammar.self, &view[0], <int32_t>view.shape[0])

    @property
    def accepting(self):
        """Whether the text may end here."""
        self.alive()
        return self._grammar.vtable.accepting(self._grammar.self)

    @property
    def stopped(self):
        """Whether the text is complete: nothing but the end may follow."""
        self.alive()
        return self._grammar.vtable.stopped(self._grammar.self)


@cython.final
cdef class Guide(Handle):
    """Compiles texts for one model's vocabulary and remembers them. Any thread, several at a time.

    ``library`` is the path of llguidance's shared object. ``seconds`` is how long a compilation may
    take (0: two seconds), ``n_kept`` how many texts are remembered (0: 64).
    """

    cdef c.lcrt_guide *_guide
    cdef readonly int32_t n_vocab

    def __cinit__(self, Model model not None, library, *, double seconds=0.0, int32_t n_kept=0):
        cdef c.lcrt_guide_params params
        cdef bytes name = os.fsencode(library)
        cdef const char *path = name
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        err[0] = 0
        self.n_vocab = model.info.n_vocab
        params.text_max = 0
        params.n_kept = n_kept
        params.compile_ms = <int32_t>(min(max(0.0, seconds), 1e6) * 1000)
        params.lexer_states_max = 0
        model.enter()
        try:
            with nogil:
                status = c.lcrt_guide_init(model._model, path, &params, &self._guide, err, ERR_CAP)
        finally:
            model.leave()
        check(status, err)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        c.lcrt_guide_free(self._guide)
        self._guide = NULL

    def compile(self, str kind not None, str text not None):
        """A grammar at its beginning; ``kind`` is schema, regex, lark, or list for several in one.

        Raises ``InvalidGrammar`` for a text that is wrong or asks for what cannot be done,
        ``InvalidRequest`` for one that is too long or takes too long, ``BusyError`` when there are
        too many of these.
        """
        cdef bytes utf8 = text.encode("utf-8", "replace")
        cdef const char *data = utf8
        cdef size_t data_len = len(utf8)
        cdef Grammar out = Grammar.__new__(Grammar)
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        cdef c.lcrt_guide_kind c_kind = _kind(kind)
        err[0] = 0
        out.n_vocab = self.n_vocab
        self.enter()
        try:
            with nogil:
                status = c.lcrt_guide_compile(self._guide, c_kind, data, data_len, &out._grammar, err, ERR_CAP)
        finally:
            self.leave()
        check(status, err)
        return out

    def check(self, str kind not None, str text not None):
        """What is wrong with a text, empty when it could be compiled. Nothing is remembered."""
        cdef bytes utf8 = text.encode("utf-8", "replace")
        cdef const char *data = utf8
        cdef size_t data_len = len(utf8)
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        cdef c.lcrt_guide_kind c_kind = _kind(kind)
        err[0] = 0
        self.enter()
        try:
            with nogil:
                status = c.lcrt_guide_check(self._guide, c_kind, data, data_len, err, ERR_CAP)
        finally:
            self.leave()
        if status == s.LCRT_ERR_GRAMMAR:
            return (<bytes>err).decode("utf-8", "replace")
        check(status, err)
        return ""

    def stats(self):
        """What was compiled and what was remembered."""
        cdef c.lcrt_guide_stats t
        self.alive()
        c.lcrt_guide_stats_get(self._guide, &t)
        return GuideStats(t.n_compiled, t.n_copied, t.n_kept)


cdef c.lcrt_guide_kind _kind(str kind) except *:
    if kind not in _KINDS:
        raise InvalidRequest(f"unknown kind of grammar: {kind}")
    return _KINDS[kind]
