"""One question for vectors or scores on its way through the passes that it shares with others."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from lcrt.core.question import Embed, Rank, Reply, Scores, Vectors
from lcrt.errors import InvalidRequest
from lcrt.native.embed import json_array
from lcrt.runner.adapters import Pairs

Rows = NDArray[np.float32]
Ints: TypeAlias = "array[int]"

TOO_LONG_TEXT = "the input length exceeds the context length"
NOTHING_LEFT_TEXT = "input after truncation exceeds maximum context length"
NOT_FINITE_TEXT = "embedding contains NaN or Inf values"


class Vocab(Protocol):
    """Text to tokens. Any thread."""

    @property
    def bos(self) -> int | None:
        """The token that begins a text."""

    @property
    def eos(self) -> int | None:
        """The token that ends a text."""

    @property
    def sep(self) -> int | None:
        """The token between two texts."""

    @property
    def adds_bos(self) -> bool:
        """Whether texts begin with BOS."""

    @property
    def adds_eos(self) -> bool:
        """Whether texts end with EOS."""

    def tokenise(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> Ints:
        """The tokens of a text."""


class Frame(msgspec.Struct, frozen=True):
    """The special tokens around every text of a model."""

    before: Ints
    behind: Ints

    def __len__(self) -> int:
        return len(self.before) + len(self.behind)


def frame_of(vocab: Vocab) -> Frame:
    """Find the special tokens by looking at what stands around a letter and around nothing."""
    empty, letter = vocab.tokenise(""), vocab.tokenise("a")
    n_before = 0
    while n_before < len(empty) and empty[n_before] == letter[n_before]:
        n_before += 1
    return Frame(empty[:n_before], empty[n_before:])


class Limit(msgspec.Struct, frozen=True):
    """How many tokens a text may have: ``n_default`` where the question does not say, ``n_max`` at most."""

    n_default: int
    n_max: int

    def of(self, wanted: int | None) -> int:
        """The tokens of one text of a question that wants so many."""
        return min(self.n_default if wanted is None else wanted, self.n_max)


class Ticket(ABC):
    """A question with several texts. ``take`` is called once for each, from one thread at a time.

    Its passes apply ``adapters``.
    """

    def __init__(self, number: int, texts: Sequence[str]) -> None:
        self.number = number
        self.texts = texts
        self.n_left = len(texts)
        self.n_tokens = 0
        self.cancelled = False
        self.adapters: Pairs = ()

    @abstractmethod
    def tokens(self, text: str) -> Ints:
        """The tokens of one text. Any thread; raises ``InvalidRequest`` when it is too long."""

    @abstractmethod
    def take(self, index: int, row: Rows) -> None:
        """Keep what the model made of one text."""

    @abstractmethod
    def reply(self) -> Reply:
        """The answer, when nothing is left."""


class VectorTicket(Ticket):
    """Vectors of length one."""

    def __init__(self, number: int, question: Embed, vocab: Vocab, frame: Frame, limit: Limit) -> None:
        super().__init__(number, question.texts)
        self._vocab = vocab
        self._frame = frame
        self._n_max = limit.of(question.n_ctx)
        self._truncate = question.truncate
        self._dimensions = question.dimensions
        self._as_json = question.as_json
        self._rows: list[bytes] = [b""] * len(question.texts)

    def tokens(self, text: str) -> Ints:
        """The whole text, or its beginning with the special tokens around it."""
        tokens = self._vocab.tokenise(text)
        if len(tokens) <= self._n_max:
            return tokens
        if not self._truncate:
            raise InvalidRequest(TOO_LONG_TEXT)
        room = self._n_max - len(self._frame)
        if room <= 0:
            raise InvalidRequest(NOTHING_LEFT_TEXT)
        return self._frame.before + self._vocab.tokenise(text, add_special=False)[:room] + self._frame.behind

    def take(self, index: int, row: Rows) -> None:
        """Cut and normalise."""
        row = normalised(row[: self._dimensions] if 0 < self._dimensions < len(row) else row)
        self._rows[index] = json_array(row) if self._as_json else row.astype("<f4", copy=False).tobytes()

    def reply(self) -> Reply:
        """All vectors."""
        return Vectors(self._rows, self.n_tokens)


def normalised(row: Rows) -> Rows:
    """The vector of length one in this direction; nothing stays nothing."""
    length = np.sqrt(np.dot(row, row))
    if not np.isfinite(length):
        raise InvalidRequest(NOT_FINITE_TEXT)
    return row if length == 0 else row / length


class RankTicket(Ticket):
    """Scores of a reranker: it reads the query and one document together."""

    def __init__(self, number: int, question: Rank, vocab: Vocab, limit: Limit, template: str | None) -> None:
        super().__init__(number, question.documents)
        self._vocab = vocab
        self._n_max = limit.n_max
        self._template = template
        self._query = question.query
        self._front = _opening(vocab, question.query)
        self._end = array("i", [vocab.eos] if vocab.eos is not None else [])
        self._scores: list[float] = [0.0] * len(question.documents)
        self._labels = 1

    def tokens(self, text: str) -> Ints:
        """Both texts, the document cut to what has room."""
        if self._template is not None:
            filled = self._template.replace("{query}", self._query).replace("{document}", text)
            tokens = self._vocab.tokenise(filled)
            if len(tokens) > self._n_max:
                raise InvalidRequest(TOO_LONG_TEXT)
            return tokens
        room = self._n_max - len(self._front) - len(self._end)
        if room <= 0:
            raise InvalidRequest(TOO_LONG_TEXT)
        return self._front + self._vocab.tokenise(text, add_special=False, parse_special=False)[:room] + self._end

    def take(self, index: int, row: Rows) -> None:
        """Keep the first number: the score, or the share of yes."""
        if not np.isfinite(row[0]):
            raise InvalidRequest(NOT_FINITE_TEXT)
        self._scores[index] = float(row[0])
        self._labels = len(row)

    def reply(self) -> Reply:
        """All scores."""
        return Scores(self._scores, self.n_tokens, self._labels)


def _opening(vocab: Vocab, query: str) -> Ints:
    """BOS, the query, EOS and the token between two texts, of which some models have only one."""
    tokens = array("i", [vocab.bos] if vocab.bos is not None else [])
    tokens += vocab.tokenise(query, add_special=False, parse_special=False)
    between = [token for token in (vocab.eos, vocab.sep) if token is not None]
    return tokens + array("i", between)


class NearTicket(VectorTicket):
    """Cosines between a query and documents, by their vectors."""

    def __init__(self, number: int, question: Rank, vocab: Vocab, frame: Frame, limit: Limit) -> None:
        super().__init__(number, Embed((question.query, *question.documents)), vocab, frame, limit)
        self._vectors: list[Rows] = [np.empty(0, np.float32)] * len(self.texts)

    def take(self, index: int, row: Rows) -> None:
        """Keep the vector."""
        self._vectors[index] = normalised(row)

    def reply(self) -> Reply:
        """All cosines."""
        query, *documents = self._vectors
        return Scores([float(np.dot(query, document)) for document in documents], self.n_tokens, 0)
