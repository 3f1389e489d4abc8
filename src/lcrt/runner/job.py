"""What a request becomes before the engine sees it, and what must be there to run it."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from lcrt.chat.parsers.split import Splitter
from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.core.question import Question, Reply

FinishKind = Literal["stop", "length", "cancel", "error"]


class Bound(msgspec.Struct, frozen=True):
    """What binds one answer: the grammar's state, and what tells the answer from the thoughts in front of it."""

    grammar: object
    splitter: Splitter | None = None


class Job(msgspec.Struct, frozen=True):
    """Everything decided: the prompt's tokens, limits, sampling with a seed, stop strings.

    ``prompt`` is the prompt before it was cut, for requests that want their context back.
    ``grammar`` is the state of what the answer may say; the engine takes it over. With a ``splitter`` thoughts come
    before the answer; it sees control tokens as they are written. ``adapters`` are loaded ones with their scales,
    None: the model's own.
    """

    tokens: Sequence[int]
    max_tokens: int
    n_ctx: int
    n_keep: int
    shift: bool
    sampling: Sampling
    stops: tuple[str, ...] = ()
    n_logprobs: int = -1
    ignore_eog: bool = False
    prompt: Sequence[int] | None = None
    grammar: object = None
    splitter: Splitter | None = None
    adapters: Sequence[tuple[object, float]] | None = None


class Step(Protocol):
    """What one job got in one step.

    ``finish`` is None until the end, ``usage`` comes with the start and the end. ``logprobs`` are
    pairs of token and natural logarithm in groups, one group per token of ``tokens``: the token
    itself, then its alternatives.
    """

    @property
    def id(self) -> int:
        """The job's number."""

    @property
    def text(self) -> str:
        """What became visible; whole characters."""

    @property
    def tokens(self) -> Sequence[int]:
        """The generated tokens behind the text."""

    @property
    def logprobs(self) -> Sequence[tuple[int, float]]:
        """Empty when they were not asked for."""

    @property
    def usage(self) -> Usage | None:
        """Counts so far."""

    @property
    def finish(self) -> FinishKind | None:
        """Why it ended."""

    @property
    def error(self) -> str:
        """What went wrong, for an end with ``error``."""


class Vocab(Protocol):
    """Text to tokens and back. Any thread."""

    @property
    def adds_bos(self) -> bool:
        """Whether ``tokenise`` begins with BOS."""

    @property
    def fill(self) -> tuple[int, int, int] | None:
        """The tokens before prefix, suffix and middle of a text with a gap."""

    def tokenise(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> Sequence[int]:
        """Tokens of a text, with the special ones that the model wants; control tokens are read."""

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, control tokens written out."""

    def piece(self, token: int) -> bytes:
        """The bytes of one token, control tokens written out."""


class Answerer(Protocol):
    """Answers questions that are no generations. One thread."""

    def fileno(self) -> int:
        """Readable when answers wait."""

    def ask(self, number: int, question: Question) -> None:
        """Start on a question."""

    def cancel(self, number: int) -> None:
        """Nobody waits for the answer any more. Unknown numbers are ignored."""

    def take(self) -> Sequence[tuple[int, Reply]]:
        """Answers since the last call."""

    def close(self) -> None:
        """Stop; what is not answered is dropped."""


class Engine(Protocol):
    """Runs jobs. One thread, which may be another than the engine's own."""

    def fileno(self) -> int:
        """Readable when steps wait."""

    def submit(self, number: int, job: Job) -> bool:
        """Take a job; False when the queue is full. Raises ``InvalidRequest`` for one that makes no sense."""

    def cancel(self, number: int) -> None:
        """End a job within one step; it still finishes once. Unknown numbers are ignored."""

    def events(self) -> Sequence[Step]:
        """What happened since the last call, oldest first. Never waits."""

    def close(self) -> None:
        """Stop; what runs is dropped."""
