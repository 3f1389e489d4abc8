"""Answers to questions that are no generations: vectors, scores and tokens."""

import contextlib
import logging
import os
import queue
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from lcrt.core.event import Rendered
from lcrt.core.question import (
    Detokenise,
    Embed,
    PlainText,
    Question,
    Rank,
    Refused,
    Reply,
    Scores,
    Tokenise,
    Tokens,
    Vectors,
)
from lcrt.core.request import InferenceRequest
from lcrt.errors import EngineError, InvalidRequest, LcrtError
from lcrt.runner.adapters import Pairs
from lcrt.runner.embed import Batcher
from lcrt.runner.failure import failure_of
from lcrt.runner.job import Job
from lcrt.runner.ticket import Frame, Limit, NearTicket, RankTicket, Ticket, VectorTicket, frame_of
from lcrt.runner.ticket import Vocab as TextVocab

log = logging.getLogger("lcrt.runner")

NO_RANK_TEXT = "this model is no reranker"
NO_VECTOR_TEXT = "this model is a reranker, which gives scores and no embeddings"


class Vocab(TextVocab, Protocol):
    """Text to tokens and back. Any thread."""

    def __len__(self) -> int: ...

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""

    def piece(self, token: int) -> bytes:
        """The bytes of one token."""


class AdapterSource(Protocol):
    """Loads adapters, or has them already. Any thread."""

    @property
    def own(self) -> Pairs:
        """Those of the model."""

    def take(self, wanted: Sequence[tuple[str, float]]) -> Pairs:
        """The adapters of these files, with their scales. Raises ``InvalidRequest`` when one does not fit."""


class Outbox:
    """Answers from any thread for one that is woken by a descriptor."""

    def __init__(self) -> None:
        self._items: deque[tuple[int, Reply]] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Readable when answers wait."""
        return self._reader

    def put(self, number: int, reply: Reply) -> None:
        """Any thread."""
        self._items.append((number, reply))
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def take(self) -> list[tuple[int, Reply]]:
        """Answers so far, maybe none."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)
        out: list[tuple[int, Reply]] = []
        while self._items:
            out.append(self._items.popleft())
        return out

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._reader)
        os.close(self._writer)


class Setup(msgspec.Struct, frozen=True):
    """What a model is for questions. ``pair_template`` is a reranker's own, None when it has none."""

    limit: Limit
    is_ranker: bool = False
    pair_template: str | None = None


class Answerer:
    """``ask``, ``cancel``, ``take`` and ``close`` belong to one thread.

    ``render`` makes the prompt of a conversation, ``batcher`` what computes vectors, when it is first wanted;
    ``adapters`` has what questions may name.
    """

    def __init__(
        self,
        vocab: Vocab,
        setup: Setup,
        render: Callable[[InferenceRequest], Job | Rendered],
        batcher: Callable[[Callable[[int, Reply], None]], Batcher],
        adapters: AdapterSource,
    ) -> None:
        self._vocab = vocab
        self._setup = setup
        self._render = render
        self._make_batcher = batcher
        self._adapters = adapters
        self._batcher: Batcher | None = None
        self._frame: Frame | None = None
        self._tickets: dict[int, Ticket] = {}
        self._outbox = Outbox()
        self.fileno = self._outbox.fileno
        self._queued: set[int] = set()
        self._todo: queue.SimpleQueue[tuple[int, Question] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def ask(self, number: int, question: Question) -> None:
        """Start on a question; its answer comes out of ``take`` unless it is cancelled."""
        if not isinstance(question, Embed | Rank) or self._batcher is None or question.adapters is not None:
            self._queued.add(number)
            self._todo.put((number, question))
            return
        self._start(number, question)

    def cancel(self, number: int) -> None:
        """Nobody waits any more. Unknown numbers are ignored."""
        self._queued.discard(number)
        ticket = self._tickets.pop(number, None)
        if ticket is not None:
            ticket.cancelled = True

    def take(self) -> list[tuple[int, Reply]]:
        """What has been answered since the last call."""
        out = self._outbox.take()
        for number, _ in out:
            self._tickets.pop(number, None)
        return out

    def close(self) -> None:
        """Drop what is not answered."""
        self._todo.put(None)
        self._thread.join()
        if self._batcher is not None:
            self._batcher.close()
        self._outbox.close()

    def warm_up(self) -> Batcher:
        """Make what computes vectors, before anybody asks."""
        if self._batcher is None:
            self._frame = frame_of(self._vocab)
            self._batcher = self._make_batcher(self._outbox.put)
        return self._batcher

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            number, question = item
            if number not in self._queued:
                continue  # cancelled before its turn
            try:
                if isinstance(question, Embed | Rank):
                    self.warm_up()
                    self._start(number, question, is_queued=True)
                else:
                    self._outbox.put(number, self._answer(question))
            except LcrtError as error:
                self._outbox.put(number, Refused(failure_of(error)))
            except Exception:
                log.exception("question %d could not be answered", number)
                self._outbox.put(number, Refused(failure_of(EngineError("the question could not be answered"))))
            finally:
                self._queued.discard(number)

    def _start(self, number: int, question: Embed | Rank, *, is_queued: bool = False) -> None:
        try:
            ticket = self._ticket(number, question)
            ticket.adapters = self._adapters_of(question)
        except LcrtError as error:
            self._outbox.put(number, Refused(failure_of(error)))
            return
        if ticket.n_left == 0:
            self._outbox.put(number, Vectors([], 0) if isinstance(question, Embed) else Scores([], 0))
            return
        self._tickets[number] = ticket
        if is_queued and number not in self._queued:  # cancelled while its adapters came
            self._tickets.pop(number, None)
            return
        self.warm_up().put(ticket)

    def _adapters_of(self, question: Embed | Rank) -> Pairs:
        return self._adapters.own if question.adapters is None else self._adapters.take(question.adapters)

    def _ticket(self, number: int, question: Embed | Rank) -> Ticket:
        setup, frame = self._setup, self._frame
        if frame is None:
            raise EngineError("the embedder is not there")
        if isinstance(question, Rank) and setup.is_ranker:
            return RankTicket(number, question, self._vocab, setup.limit, setup.pair_template)
        if setup.is_ranker:
            raise InvalidRequest(NO_VECTOR_TEXT)
        if isinstance(question, Embed):
            return VectorTicket(number, question, self._vocab, frame, setup.limit)
        if not question.by_vectors:
            raise InvalidRequest(NO_RANK_TEXT)
        return NearTicket(number, question, self._vocab, frame, setup.limit)

    def _answer(self, question: Tokenise | Detokenise) -> Reply:
        if isinstance(question, Detokenise):
            return PlainText(self._vocab.text(array("i", question.tokens)))
        text = question.text
        if question.request is not None:
            rendered = self._render(msgspec.structs.replace(question.request, render_only=True))
            text = rendered.prompt if isinstance(rendered, Rendered) else ""
        tokens = self._vocab.tokenise(text, add_special=question.add_special, parse_special=question.parse_special)
        pieces = [self._vocab.piece(token) for token in tokens] if question.want_pieces else []
        return Tokens(list(tokens), pieces)
