"""The batcher: texts of all questions that wait share forward passes.

One lane is a thread with an embedder of its own. Where the CPU computes, several lanes with one or few
threads each do more than one pass on all threads, which wait for each other after every operation; so
only what cannot be cut runs on the wide embedder, and then nothing else does.
"""

import contextlib
import logging
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from lcrt.core.question import Refused, Reply
from lcrt.errors import Cancelled, LcrtError
from lcrt.native.values import EmbedderInfo
from lcrt.runner.adapters import Pairs
from lcrt.runner.failure import failure_of
from lcrt.runner.ticket import Ints, Ticket

log = logging.getLogger("lcrt.runner")

LANES_MAX = 8
ROWS_MIN = 64
"""A pass with fewer is computed row by row, which takes as long."""
GATHER = 0.002
"""How long a lane waits, in seconds, for company of what would not fill a pass, while others compute."""
TOKENS_PER_BYTE = 0.25
SMOOTHING = 0.1


class Embedder(Protocol):
    """Computes passes. One thread at a time."""

    @property
    def info(self) -> EmbedderInfo:
        """What a pass can take."""

    @property
    def size(self) -> int:
        """Bytes beside the weights."""

    def run(self, tokens: Ints, lengths: Ints) -> NDArray[np.float32]:
        """One pass: a row for each length."""

    def adapt(self, adapters: Pairs) -> None:
        """Apply these in all passes from now on, and no others."""

    def interrupt(self, on: bool = True) -> None:
        """Give up. Any thread."""

    def close(self) -> None:
        """Free it."""


class Piece(msgspec.Struct):
    """One text of a ticket of ``size`` bytes; ``tokens`` are made by the lane that takes it."""

    ticket: Ticket
    index: int
    size: int
    tokens: Ints = msgspec.field(default_factory=lambda: array("i"))


class Batcher:
    """``make`` gives an embedder with so many threads, 0 for all that there are.

    ``put`` from one thread; ``done`` is called from a lane, once for each ticket that is not cancelled. A pass has
    texts of one set of adapters; embedders begin with ``own``.
    """

    def __init__(
        self,
        make: Callable[[int], Embedder],
        done: Callable[[int, Reply], None],
        *,
        lanes: bool,
        own: Pairs = (),
    ) -> None:
        self._make = make
        self._done = done
        self._many = lanes
        self._own = own
        self._applied: dict[Embedder, Pairs] = {}
        self._wide = make(0)
        self._narrow: dict[int, Embedder] = {}
        info = self._wide.info
        self.info = info
        self._warm()
        self._n_lanes = min(info.n_threads, LANES_MAX) if lanes and info.host else 1
        self._ratio = TOKENS_PER_BYTE
        self._waiting: deque[Piece] = deque()
        self._n_running = 0
        self._wide_runs = False
        self._open = True
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=(lane,), daemon=True) for lane in range(self._n_lanes)]
        for thread in self._threads:
            thread.start()

    def put(self, ticket: Ticket) -> None:
        """Queue all texts of a ticket, short ones first, so that a pass has texts of one kind."""
        pieces = [Piece(ticket, i, len(text.encode("utf-8", "replace"))) for i, text in enumerate(ticket.texts)]
        pieces.sort(key=lambda piece: piece.size)
        with self._changed:
            self._waiting.extend(pieces)
            self._changed.notify_all()

    @property
    def size(self) -> int:
        """Bytes beside the weights, of all embedders so far."""
        return sum(embedder.size for embedder in (self._wide, *self._narrow.values()))

    def _warm(self) -> None:
        """Compute a full pass once: memory is touched and threads have started before anybody waits."""
        tokens = array("i", [0]) * self.info.n_batch
        self._wide.run(tokens, array("i", [self.info.n_batch]))

    def close(self) -> None:
        """End the lanes; what still waits is dropped."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
            embedders = [self._wide, *self._narrow.values()]
        for embedder in embedders:
            embedder.interrupt()
        for thread in self._threads:
            thread.join()
        for embedder in embedders:
            embedder.close()

    def _run(self, lane: int) -> None:
        while True:
            with self._changed:
                taken = self._next()
                if taken is None:
                    return
                pieces, wide = taken
                self._n_running += 1
                self._wide_runs = wide
            try:
                embedder = self._embedder(lane, wide)
                self._compute(embedder, pieces)
                self._rest(embedder)
            except LcrtError as error:
                self._refuse(pieces, error)
            except Exception:
                log.exception("a pass failed")
                self._refuse(pieces, LcrtError("the embeddings could not be computed"))
            finally:
                with self._changed:
                    self._n_running -= 1
                    self._wide_runs = False
                    self._changed.notify_all()

    def _embedder(self, lane: int, wide: bool) -> Embedder:
        if wide:
            return self._wide
        embedder = self._narrow.get(lane)
        if embedder is None:
            embedder = self._make(max(self.info.n_threads // self._n_lanes, 1))
            with self._changed:
                self._narrow[lane] = embedder
        return embedder

    def _next(self) -> tuple[list[Piece], bool] | None:
        """Wait for texts and take some, with whether they go wide; None at the end. Under the lock."""
        deadline: float | None = None
        while self._open:
            n_rows = self._n_rows()
            if n_rows == 0 or self._wide_runs:
                deadline = None
                self._changed.wait()
                continue
            if n_rows < ROWS_MIN and self._n_running:
                now = time.monotonic()
                deadline = deadline or now + GATHER
                if now < deadline:
                    self._changed.wait(deadline - now)
                    continue
            return self._take(n_rows)
        return None

    def _n_rows(self) -> int:
        """About how many rows wait; enough to fill all lanes counts as that."""
        enough = self.info.n_batch * self._n_lanes
        n_rows = 0
        for piece in self._waiting:
            n_rows += self._rows_of(piece)
            if n_rows >= enough:
                break
        return n_rows

    def _rows_of(self, piece: Piece) -> int:
        return len(piece.tokens) or int(piece.size * self._ratio) + 2

    def _take(self, n_rows: int) -> tuple[list[Piece], bool]:
        n_idle = self._n_lanes - self._n_running
        alone = not self._n_running and (n_rows < 2 * ROWS_MIN or len(self._waiting) == 1)
        wide = self._n_lanes == 1 or alone
        most = self.info.n_batch if wide else min(max(n_rows // n_idle, ROWS_MIN), self.info.n_batch)
        pieces: list[Piece] = []
        n_taken = 0
        others: list[Piece] = []
        adapters = self._waiting[0].ticket.adapters
        while self._waiting and max(len(pieces), len(others)) < self.info.n_seq_max:
            if self._waiting[0].ticket.adapters != adapters:
                others.append(self._waiting.popleft())
                continue
            n_taken += self._rows_of(self._waiting[0])
            if pieces and n_taken > most:
                break
            pieces.append(self._waiting.popleft())
        self._waiting.extendleft(reversed(others))  # in front, so that every set has its turn
        return pieces, wide

    def _compute(self, embedder: Embedder, pieces: Sequence[Piece]) -> None:
        """One pass; what turns out to have no room in it waits again."""
        chosen, rest = self._cut(self._tokenised(pieces))
        if rest:
            with self._changed:
                self._waiting.extendleft(reversed(rest))
                self._changed.notify_all()
        if not chosen:
            return
        tokens = array("i")
        for piece in chosen:
            tokens += piece.tokens
        try:
            self._adapt(embedder, chosen[0].ticket.adapters)
            rows = embedder.run(tokens, array("i", (len(piece.tokens) for piece in chosen)))
        except LcrtError as error:
            self._refuse(chosen, error)
        else:
            self._deliver(chosen, rows)

    def _adapt(self, embedder: Embedder, adapters: Pairs) -> None:
        """Have an embedder apply a set, unless it does."""
        if self._applied.get(embedder, self._own) != adapters:
            embedder.adapt(adapters)
            self._applied[embedder] = adapters

    def _rest(self, embedder: Embedder) -> None:
        """With nothing to do next, an embedder keeps no adapters of requests in memory."""
        if not self._waiting:
            with contextlib.suppress(LcrtError):
                self._adapt(embedder, self._own)

    def _tokenised(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Those that can be computed; the others' tickets are refused."""
        good: list[Piece] = []
        n_bytes = n_tokens = 0
        for piece in pieces:
            if piece.ticket.cancelled:
                continue
            if piece.tokens:
                good.append(piece)
                continue
            try:
                piece.tokens = piece.ticket.tokens(piece.ticket.texts[piece.index])
            except LcrtError as error:
                self._refuse([piece], error)
                continue
            n_bytes += piece.size
            n_tokens += len(piece.tokens)
            good.append(piece)
        if n_bytes:
            self._ratio += SMOOTHING * (min(n_tokens / n_bytes, 1.0) - self._ratio)
        return good

    def _cut(self, pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
        """What one pass can take, and the rest; a text longer than a pass has one to itself."""
        n_rows = 0
        for i, piece in enumerate(pieces):
            n_rows += len(piece.tokens)
            if i > 0 and n_rows > self.info.n_batch:
                return pieces[:i], pieces[i:]
        return pieces, []

    def _deliver(self, pieces: Sequence[Piece], rows: NDArray[np.float32]) -> None:
        for piece, row in zip(pieces, rows, strict=True):
            ticket = piece.ticket
            if ticket.cancelled:
                continue
            try:
                ticket.take(piece.index, row)
            except LcrtError as error:
                self._refuse([piece], error)
                continue
            with self._changed:
                ticket.n_left -= 1
                ticket.n_tokens += len(piece.tokens)
                last = ticket.n_left == 0 and not ticket.cancelled
            if last:
                self._done(ticket.number, ticket.reply())

    def _refuse(self, pieces: Iterable[Piece], error: LcrtError) -> None:
        """End the tickets of these texts, each once."""
        for piece in pieces:
            with self._changed:
                first = not piece.ticket.cancelled
                piece.ticket.cancelled = True
            if first and not isinstance(error, Cancelled):
                self._done(piece.ticket.number, Refused(failure_of(error)))
