"""From a row of logits to one token."""

import secrets

from lcrt.core.options import Sampling
from lcrt.errors import InvalidRequest

cimport cython
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, free

from lcrt.native cimport c_sampling as c, c_status as s
from lcrt.native.handle cimport Handle
from lcrt.native.status cimport check

cdef enum:
    N_CANDIDATES_MAX = 1024

NEVER = float("-inf")


@cython.final
cdef class SamplingArgument:
    """A ``Sampling`` as C has it, with its biases, for the time of a call. A seed of None is a random one.

    The tokens in ``suppressed`` never come out.
    """

    def __cinit__(self, sampling not None, tuple suppressed=()):
        self.c = c.lcrt_sampling_default()
        try:
            self.c.seed = secrets.randbits(64) if sampling.seed is None else sampling.seed
            self.c.temperature = sampling.temperature
            self.c.top_k = sampling.top_k
            self.c.top_p = sampling.top_p
            self.c.min_p = sampling.min_p
            self.c.typical_p = sampling.typical_p
            self.c.repeat_penalty = sampling.repeat_penalty
            self.c.frequency_penalty = sampling.frequency_penalty
            self.c.presence_penalty = sampling.presence_penalty
            self.c.repeat_last_n = sampling.repeat_last_n
            self.set_bias((*sampling.logit_bias, *[(token, NEVER) for token in suppressed]))
        except OverflowError as error:
            raise InvalidRequest(f"a sampling parameter is out of range: {error}") from None

    def __dealloc__(self):
        free(self._bias)

    cdef int set_bias(self, tuple biases) except -1:
        cdef int32_t i
        if not biases:
            return 0
        self._bias = <c.lcrt_logit_bias *>calloc(len(biases), sizeof(c.lcrt_logit_bias))
        if self._bias == NULL:
            raise MemoryError
        for i, (token, bias) in enumerate(biases):
            self._bias[i].token = token
            self._bias[i].bias = bias
        self.c.bias = self._bias
        self.c.n_bias = <int32_t>len(biases)
        return 0


@cython.final
cdef class Sampler(Handle):
    """Draws tokens as one request wants them. ``n_vocab`` is the length of a row of logits."""

    cdef c.lcrt_sampler *_sampler
    cdef readonly int32_t n_vocab

    def __cinit__(self, int32_t n_vocab, sampling=None):
        cdef SamplingArgument argument = SamplingArgument(Sampling() if sampling is None else sampling)
        cdef s.lcrt_status status
        self.n_vocab = n_vocab
        status = c.lcrt_sampler_init(&argument.c, n_vocab, &self._sampler)
        check(status, b"a sampling parameter is out of range" if status == s.LCRT_ERR_INVALID else b"")

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        c.lcrt_sampler_free(self._sampler)
        self._sampler = NULL

    def sample(self, const float[::1] logits not None, const uint32_t[::1] mask=None):
        """Draw a token from float32 logits of shape (n_vocab,); -1 when ``mask`` allows none.

        Bit ``t % 32`` of ``mask[t // 32]`` (uint32) says whether token ``t`` may come out.
        """
        cdef const uint32_t *bits = NULL
        self.check_row(logits, mask)
        if mask is not None:
            bits = &mask[0]
        return c.lcrt_sampler_sample(self._sampler, &logits[0], bits)

    def candidates(self, const float[::1] logits not None, const uint32_t[::1] mask=None):
        """What could come out: at most 1024 pairs of token and probability, the likeliest first."""
        cdef c.lcrt_candidate out[N_CANDIDATES_MAX]
        cdef int32_t n
        cdef int32_t i
        cdef const uint32_t *bits = NULL
        self.check_row(logits, mask)
        if mask is not None:
            bits = &mask[0]
        n = c.lcrt_sampler_candidates(self._sampler, &logits[0], bits, out, N_CANDIDATES_MAX)
        return [(out[i].token, out[i].p) for i in range(n)]

    def accept(self, int32_t token):
        """Put a token of the prompt or the answer into the window of the penalties."""
        self.alive()
        c.lcrt_sampler_accept(self._sampler, token)

    cdef int check_row(self, const float[::1] logits, const uint32_t[::1] mask) except -1:
        self.alive()
        if logits.shape[0] != self.n_vocab:
            raise InvalidRequest(f"{logits.shape[0]} logits for a vocabulary of {self.n_vocab}")
        if mask is not None and mask.shape[0] * 32 < self.n_vocab:
            raise InvalidRequest(f"a mask of {mask.shape[0] * 32} bits for a vocabulary of {self.n_vocab}")
        return 0
