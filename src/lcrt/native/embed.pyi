"""Vectors and scores of whole texts."""

from collections.abc import Iterable
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from lcrt.native.adapter import Adapter
from lcrt.native.handle import Handle
from lcrt.native.model import Model, _Tokens
from lcrt.native.values import EmbedderInfo, EmbedderParams

@final
class Embedder(Handle):
    """A context that pools, over the weights of a model that may have an engine too.

    Calls of several threads wait for each other, except ``interrupt``. Raises ``UnsupportedModel`` for a model
    that has nothing to pool, ``OutOfMemory``, ``InvalidRequest`` for parameters out of range.
    """

    def __new__(cls, model: Model, params: EmbedderParams | None = None) -> Self: ...
    @property
    def info(self) -> EmbedderInfo:
        """What it came out as."""

    @property
    def size(self) -> int:
        """Bytes of the context and its buffers now, without the weights."""

    def run(self, tokens: _Tokens, lengths: _Tokens) -> NDArray[np.float32]:
        """Compute texts in one pass: their tokens one after the other, and how many each has.

        The shape is (texts, ``info.n_out``); pooled as the model wants it, not normalised. Raises
        ``InvalidRequest`` for what a pass cannot take, ``Cancelled`` after ``interrupt``.
        """

    def adapt(self, adapters: Iterable[tuple[Adapter, float]]) -> None:
        """Apply these pairs of ``Adapter`` and scale in all passes from now on, in place of those before.

        Raises ``InvalidRequest`` for those of another model, and then keeps what it has.
        """

    def interrupt(self, on: bool = True) -> None:
        """Make a running pass of another thread give up with ``Cancelled``; False allows passes again."""

def json_array(numbers: NDArray[np.float32] | Buffer) -> bytes:
    """The numbers as a JSON array, each with as many digits as make it the same 32-bit number again."""
