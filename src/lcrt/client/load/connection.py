"""One HTTP/1.1 connection that reads streams with as little work per token as asyncio allows."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from lcrt.client.load.events import Seen
from lcrt.client.stream import Lines

_ERROR_STATUS = 400
_HEAD_MAX = 65536
_TEXT_MAX = 500
_SPACE = 65536


class StaleConnection(Exception):
    """The server closed a connection that was kept for this request, before it answered."""


class Record:
    """When what arrived of one answer; times from ``time.perf_counter``, in seconds."""

    __slots__ = ("ended", "error", "first", "gaps", "last", "n_events", "n_prompt", "n_tokens", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.first = self.last = self.ended = 0.0
        self.n_events = self.n_prompt = self.n_tokens = 0
        self.gaps: list[float] = []
        self.error = ""

    def see(self, seen: Seen, now: float) -> None:
        """Take note of one line."""
        if seen.shows:
            if self.n_events:
                self.gaps.append(now - self.last)
            else:
                self.first = now
            self.n_events += 1
            self.last = now
        self.n_prompt = seen.n_prompt or self.n_prompt
        self.n_tokens = seen.n_tokens or self.n_tokens
        self.error = seen.error or self.error


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and fills a Record with its answer."""

    def __init__(self, read: Callable[[bytes], Seen]) -> None:
        self._read = read
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._record = Record(0.0)
        self._n_asked = 0
        self._space = memoryview(bytearray(_SPACE))
        self._reset()

    def _reset(self) -> None:
        self._buffer = b""
        self._in_head = True
        self._left: int | None = None
        self._closes = False
        self._chunked = False
        self._status = 0
        self._lines = Lines()
        self._text = b""

    @property
    def is_open(self) -> bool:
        """True while another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Record:
        """Send a request and return what its answer looked like, also when it is a bad one.

        Raises StaleConnection when the request should be sent again over a new connection.
        """
        self._reset()
        self._n_asked += 1
        self._record = record = Record(time.perf_counter())
        if self._transport is None:
            raise ConnectionError("not connected")
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await self._done
        finally:
            self._done = None
        return record

    def close(self) -> None:
        """Drop the connection; an answer that is under way ends with an error."""
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer: where no length was given, this is its proper end."""
        self._transport = None
        if self._n_asked > 1 and self._in_head and not self._buffer and self._done and not self._done.done():
            self._done.set_exception(StaleConnection())
            return
        has_length = self._chunked or self._left is not None
        if self._in_head or has_length:
            self._finish(f"connection lost: {exc}" if exc else "connection closed before the answer ended")
        else:
            self._finish("")

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the space for what arrives; asyncio's own would be a new 256 KiB for every read."""
        del sizehint
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        """Cut what arrived into head, chunks and lines."""
        now = time.perf_counter()
        if self._done is None:
            return
        data = bytes(self._space[:nbytes])
        try:
            if self._in_head:
                data = self._head(self._buffer + data)
            if not self._in_head:
                self._body(data, now)
        except (ValueError, msgspec.MsgspecError) as error:
            self._finish(f"unreadable answer: {error}")
            self.close()

    def _head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _HEAD_MAX:
                raise ValueError("head too long")
            self._buffer = data
            return b""
        status, *fields = data[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip().lower() for name, _, value in (f.partition(":") for f in fields)}
        self._status = int(status.split(" ")[1])
        self._chunked = headers.get("transfer-encoding") == "chunked"
        self._closes = headers.get("connection") == "close"
        length = headers.get("content-length")
        self._left = int(length) if length is not None else None
        self._buffer, self._in_head = b"", False
        return data[end + 4 :]

    def _body(self, data: bytes, now: float) -> None:
        if self._chunked:
            self._chunks(data, now)
            return
        self._take(data, now)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._finish("")

    def _chunks(self, data: bytes, now: float) -> None:
        if self._buffer:
            data = self._buffer + data
        start, size = 0, len(data)
        while (mark := data.find(b"\r\n", start)) >= 0:
            length = int(data[start:mark].partition(b";")[0], 16)
            end = mark + 2 + length
            if end + 2 > size:
                break
            if length == 0:
                self._finish("")
                return
            self._take(data[mark + 2 : end], now)
            start = end + 2
        self._buffer = data[start:]

    def _take(self, data: bytes, now: float) -> None:
        if self._status >= _ERROR_STATUS:
            self._text += data[:_TEXT_MAX]
            return
        for line in self._lines.feed(data):
            self._record.see(self._read(line), now)

    def _finish(self, error: str) -> None:
        if self._done is None or self._done.done():
            return
        record = self._record
        record.ended = time.perf_counter()
        if self._status >= _ERROR_STATUS:
            error = f"{self._status} {self._text.decode('utf-8', 'replace').strip()}"
        record.error = record.error or error
        self._done.set_result(None)
        if self._closes:
            self.close()
