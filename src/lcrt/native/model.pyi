"""A loaded GGUF and its vocabulary."""

from array import array
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from lcrt.native.handle import Handle
from lcrt.native.values import ModelInfo, ModelParams

_Tokens: TypeAlias = Sequence[int] | NDArray[np.integer] | Buffer

@final
class Model(Handle):
    """A GGUF file in memory. Any thread; contexts and engines keep what they need of it alive.

    ``progress`` is called while loading with a fraction from 0 to 1; returning False gives up with
    ``Cancelled``. Raises ``LoadError`` (cannot be read), ``ModelFormatError`` (not a GGUF, truncated,
    contradictory), ``UnsupportedModel`` (an architecture or tokenizer unknown here), ``OutOfMemory``.
    """

    def __new__(
        cls,
        path: str | bytes | PathLike[str] | PathLike[bytes],
        params: ModelParams | None = None,
        *,
        progress: Callable[[float], bool | None] | None = None,
    ) -> Self: ...
    @property
    def info(self) -> ModelInfo:
        """Facts; ``size`` is the weights' bytes."""

    @property
    def vocab(self) -> Vocab:
        """The model's vocabulary."""

    @property
    def chat_template(self) -> str | None:
        """The Jinja template in the file, None when there is none."""

    def meta(self, key: str) -> str | None:
        """A scalar of the metadata as text, None when it is absent or a list."""

@final
class Vocab:
    """Text to tokens and back. Any thread; raises ``ClosedError`` after its model was closed."""

    def __new__(cls, model: Model) -> Self: ...
    def __len__(self) -> int: ...
    def tokenise(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> array[int]:
        """The tokens of a text as ``array('i')``, which numpy takes without a copy.

        ``add_special`` puts BOS and EOS where the model wants them, ``parse_special`` reads control
        tokens that are written in the text.
        """

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """The bytes of one token, half characters possible; ``special`` writes control tokens out."""

    def text(self, tokens: _Tokens, *, special: bool = True) -> str:
        """The text of tokens; what is no UTF-8 becomes U+FFFD. ``InvalidRequest`` for unknown numbers."""

    def is_eog(self, token: int) -> bool:
        """Whether this token ends a generation."""

    def is_control(self, token: int) -> bool:
        """Whether this is a control token."""

    @property
    def bos(self) -> int | None:
        """The token that begins a text, None when there is none."""

    @property
    def eos(self) -> int | None:
        """The token that ends a text, None when there is none."""

    @property
    def suppressed(self) -> tuple[int, ...]:
        """The tokens that the model says must never be generated; an ``Engine`` keeps to it."""

    @property
    def sep(self) -> int | None:
        """The token between two texts of one sequence, None when there is none."""

    @property
    def fill(self) -> tuple[int, int, int] | None:
        """The tokens before prefix, suffix and middle of a text with a gap, None when there are none."""

    @property
    def adds_bos(self) -> bool:
        """Whether ``tokenise`` begins with BOS."""

    @property
    def adds_eos(self) -> bool:
        """Whether ``tokenise`` ends with EOS."""
