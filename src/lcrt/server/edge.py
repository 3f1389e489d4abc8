"""HTTP/1.1 of hypercorn with the doors closed that it leaves open.

Refused with a status and a closed connection: a body announced twice, HTTP/2 and other versions,
targets that are no path, too many headers or too long ones. Upgrades are ignored. What a client
sends behind a request that is still being answered waits in a buffer, so that its end is noticed.
Deadlines are in ``connection`` and ``body``.
"""

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import urlsplit

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from lcrt.server.limits import Limits

_VERSIONS = (b"1.0", b"1.1")
_BEHIND_MAX = 256 << 10
INBOX_MAX = 8
_END = EndBody(stream_id=STREAM_ID)
_DISCONNECT = {"type": "http.disconnect"}


class RefusedError(Exception):
    """A request that gets a status and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Inbox:
    """What one application call can receive. Bounded while it is open; closed, it takes and says nothing more."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._is_open = True
        self._changed = asyncio.Event()

    async def put(self, message: Any) -> None:
        """Add a message, when there is room for it; the disconnect needs none, and closes."""
        if message["type"] == "http.disconnect":
            self._is_open = False
        while self._is_open and len(self._messages) >= INBOX_MAX:
            await self._wait()
        if self._is_open:
            self._messages.append(message)
        self._changed.set()

    async def get(self) -> Any:
        """Take a message; only the disconnect once the client is gone."""
        while self._is_open and not self._messages:
            await self._wait()
        if not self._is_open:
            return _DISCONNECT
        self._changed.set()
        return self._messages.popleft()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Tasks(TaskGroup):
    """The tasks of one connection."""

    async def spawn_app(self, app: Any, config: Any, scope: Any, send: Any) -> Any:  # noqa: ARG002 -- hypercorn's
        """Start the application on one request; returns how to give it messages."""
        inbox = Inbox()
        self.spawn(_call, app, scope, inbox, send)
        return inbox.put


async def _call(app: Any, scope: Any, inbox: Inbox, send: Any) -> None:
    try:
        await app(scope, inbox.get, send)
    finally:
        await send(None)


class GuardedH11(H11Protocol):
    """The requests of one connection, one after the other. ``room`` is set while more bytes may be read."""

    def __init__(self, limits: Limits, *args: Any) -> None:
        super().__init__(*args)
        self.room = asyncio.Event()
        self.room.set()
        self._limits = limits
        self._turn = asyncio.Lock()
        self._is_waiting = False
        self._is_chunked = False

    @property
    def _h11(self) -> h11.Connection:
        """The state machine; it is never that of a websocket here."""
        return cast("h11.Connection", self.connection)

    @property
    def has_part(self) -> bool:
        """Whether the beginning of a request has arrived."""
        return bool(self._h11.trailing_data[0])

    async def handle(self, event: Event) -> None:
        """Take bytes from the client, or the end of the connection."""
        if not isinstance(event, RawData):
            await super().handle(event)
            return
        async with self._turn:
            self._h11.receive_data(event.data)
            if self._is_waiting and len(self._h11.trailing_data[0]) > _BEHIND_MAX:
                self.room.clear()
            await self._guarded_events()

    async def refuse(self, status: int) -> None:
        """Answer with an empty body, if nothing was answered yet, and close."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_error_response(status)
        await self.send(Closed())

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on what the application sends; parts of a chunked body take the short way past h11."""
        if isinstance(event, Body) and self._is_chunked:
            await self.send(RawData(data=b"%x\r\n%b\r\n" % (len(event.data), event.data)))
            return
        if isinstance(event, Response):
            self._is_chunked = self._will_chunk(event)
        await super().stream_send(event)

    def _will_chunk(self, response: Response) -> bool:
        has_length = any(name in (b"content-length", b"transfer-encoding") for name, _ in response.headers)
        return not has_length and self._h11.their_http_version == b"1.1"

    async def _guarded_events(self) -> None:
        try:
            await self._handle_events()
        except h11.RemoteProtocolError as error:
            await self.refuse(error.error_status_hint)
        except RefusedError as refused:
            await self.refuse(refused.status)

    async def _handle_events(self) -> None:
        while True:
            if self._h11.they_are_waiting_for_100_continue:
                await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                await self.send(Updated(idle=False))
                await self._create_stream(check(event, self._limits))
            elif event is h11.PAUSED:
                self._is_waiting = True
                return
            elif self.stream is None or event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(_END)

    async def _create_stream(self, request: h11.Request) -> None:
        if self.context.terminated.is_set():
            raise RefusedError(503)
        where = (self.ssl, self.client, self.server)
        self.stream = HTTPStream(
            self.app, self.config, self.context, self.task_group, *where, self.stream_send, STREAM_ID
        )
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def _maybe_recycle(self) -> None:
        await super()._maybe_recycle()
        if self._is_waiting and self._h11.our_state is h11.IDLE:
            self._is_waiting = False
            self.room.set()
            self.task_group.spawn(self._resume)

    async def _resume(self) -> None:
        async with self._turn:
            await self._guarded_events()


def check(request: h11.Request, limits: Limits) -> h11.Request:
    """Refuse what is ambiguous or too much; returns the request with a path as its target."""
    if request.http_version not in _VERSIONS:
        raise RefusedError(505)
    names = [name for name, _ in request.headers]
    size = sum(len(name) + len(value) for name, value in request.headers) + len(request.target)
    if len(names) > limits.max_header_count or size > limits.max_header:
        raise RefusedError(431)
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise RefusedError(400)
    if request.target.startswith(b"/"):
        return request
    return _origin_form(request)


def _origin_form(request: h11.Request) -> h11.Request:
    """Rewrite an absolute target to its path; its authority stands in for the Host header."""
    try:
        parts = urlsplit(request.target)
    except ValueError as error:
        raise RefusedError(400) from error
    if parts.scheme not in (b"http", b"https") or not parts.netloc or b"@" in parts.netloc:
        raise RefusedError(400)
    target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=target,
        headers=[*headers, (b"host", parts.netloc)],
        http_version=request.http_version,
    )
