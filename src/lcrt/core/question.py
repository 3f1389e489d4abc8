"""What a runner is asked besides generations, and its answers: one for each question."""

import msgspec

from lcrt.core.event import Failure
from lcrt.core.request import Applied, InferenceRequest


class Embed(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Vectors of texts, of length one.

    ``n_ctx`` bounds the tokens of each, None for the default; longer texts are cut with ``truncate`` and
    refused without. ``dimensions`` of 0 or more than there are: all. ``as_json``: vectors as JSON arrays,
    else as 32-bit floats, low byte first. ``adapters``: see ``Applied``.
    """

    texts: tuple[str, ...]
    n_ctx: int | None = None
    truncate: bool = True
    dimensions: int = 0
    as_json: bool = True
    adapters: Applied = None


class Rank(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """How well each document answers a query.

    ``by_vectors`` compares embeddings, for models that are no rerankers. ``adapters``: see ``Applied``.
    """

    query: str
    documents: tuple[str, ...]
    by_vectors: bool = False
    adapters: Applied = None


class Tokenise(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """The tokens of a text, or of a rendered conversation when ``request`` is given."""

    text: str = ""
    request: InferenceRequest | None = None
    add_special: bool = True
    parse_special: bool = True
    want_pieces: bool = False


class Detokenise(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """The text of tokens."""

    tokens: tuple[int, ...]


class Vectors(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """One for each text, in order; ``n_tokens`` in all, special ones included."""

    rows: list[bytes]
    n_tokens: int


class Scores(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """One for each document, in order. ``labels``: how many numbers the model gives, 0 for compared vectors."""

    scores: list[float]
    n_tokens: int
    labels: int = 1


class Tokens(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """Tokens, and the bytes of each when they were wanted."""

    tokens: list[int]
    pieces: list[bytes]


class PlainText(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """A text."""

    text: str


class Refused(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """No answer, and why."""

    error: Failure


Question = Embed | Rank | Tokenise | Detokenise
Reply = Vectors | Scores | Tokens | PlainText | Refused
