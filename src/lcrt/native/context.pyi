"""A model's memory of sequences and forward passes over them, without the engine."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from lcrt.native.handle import Handle
from lcrt.native.model import Model, _Tokens
from lcrt.native.values import ContextInfo, ContextParams

@final
class Context(Handle):
    """Sequences of one model, numbered from 0, and what was computed for them.

    Calls of several threads wait for each other, except ``interrupt``. Raises ``OutOfMemory`` for a
    context that does not fit, ``UnsupportedModel`` for a model that cannot generate, ``InvalidRequest``
    for parameters out of range.
    """

    def __new__(cls, model: Model, params: ContextParams | None = None) -> Self: ...
    @property
    def info(self) -> ContextInfo:
        """What it came out as; sizes in bytes."""

    def decode(
        self,
        tokens: _Tokens,
        *,
        seq: int = 0,
        pos: int | None = None,
        every: bool = False,
    ) -> NDArray[np.float32]:
        """Compute tokens of a sequence; return logits as float32, read only and without a copy.

        ``pos`` is the position of the first token, by default behind the last one. The shape is
        (n_vocab,), for the last token, or with ``every`` (n_tokens, n_vocab), which takes at most
        ``ContextParams.n_outputs`` tokens. The values are those of the latest call. Raises
        ``InvalidRequest`` for tokens and positions out of range, ``BusyError`` for a full context,
        ``Cancelled`` after ``interrupt``, ``BufferError`` when more rows than ever are wanted while
        earlier logits are still in use.
        """

    def trim(self, seq: int, p0: int = 0, p1: int = -1) -> None:
        """Forget positions [p0, p1) of a sequence, to the end when ``p1`` is negative. Raises ``UnsupportedModel``."""

    def shift(self, seq: int, p0: int, p1: int, delta: int) -> None:
        """Move positions [p0, p1) of a sequence by ``delta``, to the end when ``p1`` is negative.

        What falls below 0 is forgotten. Raises ``UnsupportedModel``, and ``InvalidRequest`` for positions
        that would leave the context.
        """

    def share(self, src: int, dst: int, n: int) -> None:
        """Let ``dst``, which must be empty, begin with the first ``n`` positions of ``src``.

        Raises ``InvalidRequest`` when it is not empty.
        """

    def interrupt(self, on: bool = True) -> None:
        """Make a running decode of another thread give up with ``Cancelled``; False allows decoding again."""
