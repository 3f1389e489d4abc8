"""A loaded GGUF and its vocabulary."""

import os
from array import array

from lcrt.errors import InvalidRequest, LoadError
from lcrt.native.values import ModelInfo, ModelParams

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from lcrt.native cimport c_model as c, c_status as s, c_vocab as v
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024
    PIECE_CAP = 256
    N_TEXT_MAX = 1 << 24


cdef object int32_buffer(object numbers):
    """The same numbers as something whose buffer holds 32-bit integers."""
    cdef const int32_t[::1] _view
    try:
        _view = numbers
        return numbers
    except (TypeError, ValueError, BufferError):
        pass
    try:
        return array("i", numbers)
    except (TypeError, OverflowError) as error:
        raise InvalidRequest(f"not a list of token numbers: {error}") from None


cdef class _Progress:
    """A Python callable on its way through C; what it raises is kept until the load is over."""

    cdef object call
    cdef object error

    def __cinit__(self, call):
        self.call = call


cdef c.c_bool _report(float fraction, void *data) noexcept with gil:
    cdef _Progress progress = <_Progress>data
    try:
        return progress.call(fraction) is not False
    except BaseException as error:
        progress.error = error
        return False


@cython.final
cdef class Model(Handle):
    """A GGUF file in memory. Any thread; contexts and engines keep what they need of it alive."""

    def __cinit__(self, path, params=None, *, progress=None):
        cdef bytes name = os.fsencode(path)
        cdef const char *c_name = NULL
        cdef char err[ERR_CAP]
        cdef c.lcrt_model_params c_params = c.lcrt_model_params_default()
        cdef s.lcrt_status status
        cdef _Progress reporter = _Progress(progress)
        err[0] = 0
        if b"\0" in name:
            raise LoadError(f"cannot open `{path!r}`: the path holds a NUL character")
        c_name = name
        params = ModelParams() if params is None else params
        try:
            c_params.n_gpu_layers = params.n_gpu_layers
            c_params.main_gpu = params.main_gpu
        except OverflowError as error:
            raise InvalidRequest(f"a model parameter is out of range: {error}") from None
        c_params.use_mmap = -1 if params.use_mmap is None else params.use_mmap
        c_params.vocab_only = params.vocab_only
        c_params.check_tensors = params.check_tensors
        c_params.heads = params.heads
        if progress is not None:
            c_params.progress = _report
            c_params.progress_data = <void *>reporter
        with nogil:
            status = c.lcrt_model_load(c_name, &c_params, &self._model, err, ERR_CAP)
        if reporter.error is not None:
            raise reporter.error
        check(status, err)
        self.info = _info(self._model)
        self._vocab = Vocab.__new__(Vocab, self)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        cdef c.lcrt_model *model = self._model
        self._model = NULL
        with nogil:
            c.lcrt_model_free(model)

    @property
    def vocab(self):
        """The model's vocabulary."""
        return self._vocab

    @property
    def chat_template(self):
        """The Jinja template in the file, None when there is none."""
        cdef const char *text
        self.alive()
        text = c.lcrt_model_chat_template(self._model)
        return None if text == NULL else text.decode("utf-8", "replace")

    def meta(self, str key not None):
        """A scalar of the metadata as text, None when it is absent or a list."""
        cdef bytes name = key.encode("utf-8", "replace")
        cdef int32_t length
        cdef bytes out
        self.alive()
        length = c.lcrt_model_meta(self._model, name, NULL, 0)
        if length < 0:
            return None
        out = PyBytes_FromStringAndSize(NULL, length + 1)
        c.lcrt_model_meta(self._model, name, <char *>out, length + 1)
        return out[:length].decode("utf-8", "replace")


cdef object _info(const c.lcrt_model *model):
    cdef c.lcrt_model_info i
    c.lcrt_model_info_get(model, &i)
    return ModelInfo(
        i.n_vocab, i.n_ctx_train, i.n_embd, i.n_layer, i.n_head, i.n_head_kv, i.n_swa, i.n_params, i.size,
        i.has_decoder, i.has_encoder, i.recurrent, i.hybrid, i.embedding, i.n_heads_ahead,
    )


@cython.final
cdef class Vocab:
    """Text to tokens and back. Any thread; raises ``ClosedError`` after its model was closed."""

    def __cinit__(self, Model model not None):
        self._owner = model
        self._n_tokens = model.info.n_vocab

    def __len__(self):
        return self._n_tokens

    cdef int check_token(self, int32_t token) except -1:
        if token < 0 or token >= self._n_tokens:
            raise InvalidRequest(f"token {token} is not in the vocabulary")
        return 0

    def tokenise(self, str text not None, *, bint add_special=True, bint parse_special=True):
        """The tokens of a text as ``array('i')``.

        ``add_special`` puts BOS and EOS where the model wants them, ``parse_special`` reads control
        tokens that are written in the text.
        """
        cdef bytes utf8 = text.encode("utf-8", "replace")
        if len(utf8) > (1 << 30):
            raise InvalidRequest("a text of more than 1 GiB")
        cdef const char *data = utf8
        cdef int32_t text_len = <int32_t>len(utf8)
        cdef int64_t cap = v.lcrt_vocab_tokens_max(text_len)
        cdef int32_t n_tokens = s.LCRT_ERR_TOO_LONG
        cdef int32_t *out = NULL
        self._owner.enter()
        try:
            while n_tokens == s.LCRT_ERR_TOO_LONG and cap <= (1 << 30):
                free(out)
                out = <int32_t *>malloc(<size_t>cap * sizeof(int32_t))
                if out == NULL:
                    raise MemoryError
                with nogil:
                    n_tokens = v.lcrt_vocab_tokenise(
                        self._owner._model, data, text_len, add_special, parse_special, out, <int32_t>cap
                    )
                cap *= 4
            check(<s.lcrt_status>min(n_tokens, 0), NULL)
            tokens = array("i")
            tokens.frombytes((<char *>out)[:n_tokens * sizeof(int32_t)])
            return tokens
        finally:
            free(out)
            self._owner.leave()

    def piece(self, int32_t token, *, bint special=True):
        """The bytes of one token, half characters possible; ``special`` writes control tokens out."""
        cdef char small[PIECE_CAP]
        cdef int32_t length
        cdef bytes out
        self._owner.alive()
        self.check_token(token)
        length = v.lcrt_vocab_piece(self._owner._model, token, special, small, PIECE_CAP)
        if length >= 0:
            return small[:length]
        out = PyBytes_FromStringAndSize(NULL, -length)
        v.lcrt_vocab_piece(self._owner._model, token, special, <char *>out, -length)
        return out

    def text(self, tokens, *, bint special=True):
        """The text of tokens; what is no UTF-8 becomes U+FFFD."""
        cdef object numbers = int32_buffer(tokens)
        cdef const int32_t[::1] view = numbers
        if view.shape[0] > N_TEXT_MAX:
            raise InvalidRequest(f"{view.shape[0]} tokens, a text has at most {N_TEXT_MAX}")
        cdef int32_t n_tokens = <int32_t>view.shape[0]
        cdef int32_t length = n_tokens * 8 + 64
        cdef int32_t cap = 0
        cdef int32_t i
        cdef bytes out = b""
        self._owner.alive()
        if n_tokens == 0:
            return ""
        for i in range(n_tokens):
            self.check_token(view[i])
        while length > cap:
            cap = length
            out = PyBytes_FromStringAndSize(NULL, cap)
            length = v.lcrt_vocab_text(self._owner._model, &view[0], n_tokens, special, <char *>out, cap)
            length = -length if length < 0 else length
        return out[:length].decode("utf-8", "replace")

    def is_eog(self, int32_t token):
        """Whether this token ends a generation."""
        self._owner.alive()
        return v.lcrt_vocab_is_eog(self._owner._model, token)

    def is_control(self, int32_t token):
        """Whether this is a control token."""
        self._owner.alive()
        return v.lcrt_vocab_is_control(self._owner._model, token)

    @property
    def bos(self):
        """The token that begins a text, None when there is none."""
        self._owner.alive()
        return _token(v.lcrt_vocab_bos(self._owner._model))

    @property
    def eos(self):
        """The token that ends a text, None when there is none."""
        self._owner.alive()
        return _token(v.lcrt_vocab_eos(self._owner._model))

    @property
    def suppressed(self):
        """The tokens that the model says must never be generated; an ``Engine`` keeps to it."""
        cdef const int32_t *tokens = NULL
        cdef int32_t n
        cdef int32_t i
        self._owner.alive()
        n = v.lcrt_vocab_suppressed(self._owner._model, &tokens)
        return tuple([tokens[i] for i in range(n)])

    @property
    def sep(self):
        """The token between two texts of one sequence, None when there is none."""
        self._owner.alive()
        return _token(v.lcrt_vocab_token(self._owner._model, v.LCRT_VOCAB_SEP))

    @property
    def fill(self):
        """The tokens before prefix, suffix and middle of a text with a gap, None when there are none."""
        cdef int32_t prefix, suffix, middle
        self._owner.alive()
        prefix = v.lcrt_vocab_token(self._owner._model, v.LCRT_VOCAB_FIM_PREFIX)
        suffix = v.lcrt_vocab_token(self._owner._model, v.LCRT_VOCAB_FIM_SUFFIX)
        middle = v.lcrt_vocab_token(self._owner._model, v.LCRT_VOCAB_FIM_MIDDLE)
        return None if min(prefix, suffix, middle) < 0 else (prefix, suffix, middle)

    @property
    def adds_bos(self):
        """Whether ``tokenise`` begins with BOS."""
        self._owner.alive()
        return v.lcrt_vocab_adds_bos(self._owner._model)

    @property
    def adds_eos(self):
        """Whether ``tokenise`` ends with EOS."""
        self._owner.alive()
        return v.lcrt_vocab_adds_eos(self._owner._model)


cdef object _token(int32_t token):
    return None if token < 0 else token
