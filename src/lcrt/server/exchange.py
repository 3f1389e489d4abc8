"""One request and its answer."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from lcrt.server.body import Body, Receive
from lcrt.server.limits import Limits

Send = Callable[[Any], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json; charset=utf-8"
JSON_PLAIN = b"application/json"
NDJSON = b"application/x-ndjson"
SSE = b"text/event-stream"
TEXT = b"text/plain; charset=utf-8"
TEXT_PLAIN = b"text/plain"
HTML = b"text/html; charset=utf-8"

_CLOSE = ((b"connection", b"close"),)
_DISCARD_MAX = 1 << 20


class Outcome(msgspec.Struct):
    """What the log line says of a generation; durations in seconds."""

    model: str = ""
    finish: str = ""
    n_prompt: int = 0
    n_cached: int = 0
    n_generated: int = 0
    load: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0


class Exchange:
    """Wraps what ASGI hands over. ``param`` is the open end of the path, ``content_type`` the answer's."""

    def __init__(self, scope: Any, receive: Receive, send: Send, limits: Limits) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.body = Body(receive, self._declared(), limits)
        self.receive = receive
        self.param = ""
        self.status = 0
        self.ended = False
        self.content_type = b""
        self.started_at = time.monotonic()
        self.outcome: Outcome | None = None
        self.common_headers: tuple[Header, ...] = ()
        self._send = send

    def _declared(self) -> int | None:
        length = self.headers.get(b"content-length")
        if length is not None:
            return int(length)
        return None if b"transfer-encoding" in self.headers else 0

    def header(self, name: bytes) -> str:
        """Read a header by its lower-case name, empty when it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    async def reply(
        self, status: int, body: bytes = b"", content_type: bytes = b"", headers: Iterable[Header] = ()
    ) -> None:
        """Answer at once; what the client still sends is dropped first, within reason."""
        closing = () if self.body.complete or await self.body.discard(_DISCARD_MAX) else _CLOSE
        length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
        await self._start(status, content_type, (*headers, *length, *closing))
        await self.end(body)

    async def start(self, content_type: bytes, headers: Iterable[Header] = ()) -> None:
        """Begin a streamed answer of unknown length."""
        await self._start(200, content_type, headers)

    async def write(self, data: bytes) -> None:
        """Send a part of a streamed answer; waits while the client is slow."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last part."""
        self.ended = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _start(self, status: int, content_type: bytes, headers: Iterable[Header]) -> None:
        self.status = status
        self.content_type = content_type
        kind = ((b"content-type", content_type),) if content_type else ()
        every = [*kind, *headers, *self.common_headers]
        await self._send({"type": "http.response.start", "status": status, "headers": every})
