"""One blob over several connections into its partial file, hashed on the way.

Parts are taken in order, so the hash follows close behind and reads what is still in the page cache:
no byte comes from the disk again, unless it was there before.
"""

import contextlib
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from lcrt.errors import LcrtError
from lcrt.registry.client import Reply
from lcrt.registry.failure import RangeIgnored, Transient
from lcrt.registry.options import Options
from lcrt.registry.pace import LOOK_EVERY, Flow, Flows, Pace
from lcrt.registry.partial import Part, Partial
from lcrt.registry.rate import Limit
from lcrt.registry.source import Source, check_range, range_header
from lcrt.registry.stop import Patience, Stop

_LOG = logging.getLogger("lcrt.registry")
_READ_SIZE = 1 << 20
_RECEIVE_SIZE = 1 << 20
_OPENED_AT_ONCE = 2


class Line(msgspec.Struct, frozen=True):
    """What a download may use. ``limits`` are those of the daemon and of whoever asked."""

    source: Source
    options: Options
    limits: tuple[Limit, ...] = ()


class _Lagging(Transient):
    """A connection that was cut since it was far slower than the others: another may be faster."""


class Download:
    """Runs in the thread that calls ``run``; ``completed`` may be read by any."""

    def __init__(self, partial: Partial, line: Line, stop: Stop) -> None:
        self._partial = partial
        self._line = line
        self._outer = stop
        self._stop = Stop()
        self._changed = threading.Condition()
        self._queue: deque[Part] = deque()
        self._threads: list[threading.Thread] = []
        self._pace = Pace(0)
        self._flows = Flows(line.options.slow_window)
        self._error: BaseException | None = None

    @property
    def completed(self) -> int:
        """Bytes that have come."""
        return self._partial.completed

    def run(self) -> str:
        """Fetch what is missing; returns the digest of the whole. Cancelled when told to stop."""
        try:
            with self._outer.calling(self._stop.set):
                return self._in_parts()
        except RangeIgnored:
            _LOG.debug("%s: the server sends no parts", self._partial.path.name)
        self._stop = Stop()
        with self._outer.calling(self._stop.set):
            return self._whole()

    def _in_parts(self) -> str:
        self._queue.extend(part for part in self._partial.parts if part.left)
        self._pace = Pace(self.completed)
        try:
            self._open_more()
            return self._hash()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _open_more(self) -> None:
        """Begin on a few more connections, as many as there may be."""
        for _ in range(min(_OPENED_AT_ONCE, self._line.options.parts - len(self._threads), len(self._queue))):
            thread = threading.Thread(target=self._work, name="lcrt-pull", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        """Fetch one part after another."""
        try:
            while (part := self._next()) is not None:
                self._fetch(part)
        except BaseException as error:  # noqa: BLE001 -- a thread's main: the caller's thread raises it
            self._fail(error)

    def _next(self) -> Part | None:
        try:
            return self._queue.popleft()
        except IndexError:
            return None

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()
        self._stop.set()

    def _fetch(self, part: Part) -> None:
        options = self._line.options
        patience = Patience(self._stop, options.first_wait, options.tries)
        while part.left:
            try:
                self._stop.check()
                self._attempt(part)
            except _Lagging:
                _LOG.debug("%s part %d at %d: too slow", self._partial.path.name, part.n, part.completed)
            except Transient as error:
                self._partial.save(part)
                _LOG.debug("%s part %d at %d: %s", self._partial.path.name, part.n, part.completed, error.message)
                patience.wait(error, part.completed)

    def _attempt(self, part: Part) -> None:
        is_whole = part.at == 0 and part.end == self._partial.size
        headers = {} if is_whole else range_header(part.at, part.end)
        with (
            self._line.source.open(headers) as reply,
            self._stop.calling(reply.abort),
            self._flows.watching(part.n, reply.abort) as flow,
        ):
            check_range(reply, part.at, part.end, self._partial.size)
            self._read(reply, part, flow)

    def _read(self, reply: Reply, part: Part, flow: Flow) -> None:
        """Take what a connection brings until the part is full."""
        try:
            for chunk in reply.chunks():
                flow.n_bytes += len(chunk)
                self._take(part, chunk)
                if not part.left:
                    return
                if flow.is_fast and reply.can_receive:
                    self._receive(reply, part, flow)
                    return
        except Transient as error:
            if flow.was_cut:
                raise _Lagging("the connection was too slow") from error
            raise
        raise Transient("the connection ended early")

    def _receive(self, reply: Reply, part: Part, flow: Flow) -> None:
        """Take what a fast connection brings, with as little work as possible."""
        buffer = memoryview(bytearray(_RECEIVE_SIZE))
        length = int(reply.headers["content-length"])
        while part.left:
            n_wanted = min(part.left, length - flow.n_bytes, _RECEIVE_SIZE)
            if n_wanted <= 0:
                raise Transient("the server sent less than it was asked for")
            n_bytes = reply.receive(buffer[:n_wanted])
            flow.n_bytes += n_bytes
            self._take(part, buffer[:n_bytes])

    def _take(self, part: Part, chunk: bytes | memoryview) -> None:
        self._stop.check()
        for limit in self._line.limits:
            limit.take(len(chunk), self._stop)
        if self._partial.write(part, chunk):
            with self._changed:
                self._changed.notify_all()

    def _hash(self) -> str:
        """Hash in order, as far as the bytes have come, until all have."""
        hasher = hashlib.sha256()
        buffer = memoryview(bytearray(_READ_SIZE))
        for part in self._partial.parts:
            position = part.offset
            while position < part.end:
                ready = self._wait_past(part, position)
                begin = position
                while position < ready:
                    n = os.preadv(self._partial.fd, [buffer[: min(_READ_SIZE, ready - position)]], position)
                    if not n:
                        raise LcrtError(
                            f"`{self._partial.path.name}` was cut short by another program",
                            "pull again when nothing else writes to that folder",
                        )
                    hasher.update(buffer[:n])
                    position += n
                self._write_back(begin, position)
        return f"sha256:{hasher.hexdigest()}"

    def _write_back(self, begin: int, end: int) -> None:
        """Let the kernel begin to write to the disk now, so that little is left to sync at the end."""
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._partial.fd, begin, end - begin, os.POSIX_FADV_DONTNEED)

    def _wait_past(self, part: Part, position: int) -> int:
        """Wait until there is more of a part than up to ``position``; returns how far it goes now."""
        with self._changed:
            while True:
                if self._error is not None:
                    raise self._error
                if part.at > position:
                    return part.at
                self._outer.check()
                if self._pace.is_slow(self.completed):
                    self._open_more()
                if not any(limit.is_set for limit in self._line.limits):
                    self._flows.cut_lagging()
                self._changed.wait(LOOK_EVERY)

    def _whole(self) -> str:
        """Fetch everything in one go, again from the start when that breaks off: the server gives no other way."""
        options = self._line.options
        patience = Patience(self._stop, options.first_wait, options.tries)
        while True:
            self._partial.begin_whole()
            part = self._partial.parts[0]
            hasher = hashlib.sha256()
            try:
                self._stream(part, hasher.update)
                return f"sha256:{hasher.hexdigest()}"
            except Transient as error:
                patience.wait(error)

    def _stream(self, part: Part, update: Callable[[bytes], None]) -> None:
        with self._line.source.open({}) as reply, self._stop.calling(reply.abort):
            check_range(reply, 0, part.size, part.size)
            for chunk in reply.chunks():
                update(chunk[: part.left])
                self._take(part, chunk)
        if part.left:
            raise Transient("the connection ended early")
