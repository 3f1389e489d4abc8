"""What a generation may say: schemas, regular expressions and Lark texts, token by token."""

from array import array
from os import PathLike
from typing import Literal, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from lcrt.native.handle import Handle
from lcrt.native.model import Model, _Tokens
from lcrt.native.values import GuideStats

_Kind: TypeAlias = Literal["schema", "regex", "lark", "list"]

@final
class Grammar(Handle):
    """The state of one generation; made by ``Guide.compile``. One thread at a time.

    ``Engine.submit`` takes it over, after which it counts as closed.
    """

    @property
    def n_vocab(self) -> int:
        """Tokens of the vocabulary."""

    def mask(self, bits: NDArray[np.uint32]) -> None:
        """Write which tokens may come next: bit ``t % 32`` of ``bits[t // 32]`` (uint32) is token ``t``."""

    def accept(self, tokens: _Tokens) -> None:
        """These have come. Raises ``InvalidGrammar`` when one was not allowed; then only ``close`` makes sense."""

    def rewind(self, n_tokens: int) -> None:
        """Take back the last accepted ones."""

    def forced(self) -> array[int]:
        """The tokens that must come next, not accepted by this; empty when there is a choice."""

    def valid(self, tokens: _Tokens) -> int:
        """How many of these, from the first on, may come next. Accepts none."""

    @property
    def accepting(self) -> bool:
        """Whether the text may end here."""

    @property
    def stopped(self) -> bool:
        """Whether the text is complete: nothing but the end may follow."""

@final
class Guide(Handle):
    """Compiles texts for one model's vocabulary and remembers them. Any thread, several at a time.

    ``library`` is the path of llguidance's shared object. ``seconds`` is how long a compilation may
    take (0: two seconds), ``n_kept`` how many texts are remembered (0: 64). Raises ``LoadError`` when
    the library cannot be opened and ``UnsupportedModel`` when it is another version than is needed.
    """

    def __new__(
        cls, model: Model, library: str | bytes | PathLike[str], *, seconds: float = 0.0, n_kept: int = 0
    ) -> Self: ...
    @property
    def n_vocab(self) -> int:
        """Tokens of the vocabulary."""

    def compile(self, kind: _Kind, text: str) -> Grammar:
        """A grammar at its beginning; ``kind`` is schema, regex, lark, or list for several in one.

        Raises ``InvalidGrammar`` for a text that is wrong or asks for what cannot be done,
        ``InvalidRequest`` for one that is too long or takes too long, ``BusyError`` when there are
        too many of these.
        """

    def check(self, kind: _Kind, text: str) -> str:
        """What is wrong with a text, empty when it could be compiled. Nothing is remembered."""

    def stats(self) -> GuideStats:
        """What was compiled and what was remembered."""
