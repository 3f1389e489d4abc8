"""Connections: reading, writing, deadlines, and how many there may be."""

import asyncio
import contextlib
import logging
import socket
from enum import Enum
from functools import partial
from typing import Any

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from lcrt.server.edge import GuardedH11, Tasks
from lcrt.server.limits import Limits

_LOG = logging.getLogger("lcrt.server")
_NO_TLS = False
_READ_SIZE = 64 << 10
_WRITE_HIGH = 64 << 10
_LINGER = 1.0
_BACKLOG = 1024
_TURNED_AWAY_MAX = 64
_MAX_REQUESTS = 1 << 30
_OVERLOADED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _State(Enum):
    IDLE = 0
    HEADER = 1
    BUSY = 2
    CLOSING = 3


class Connection:
    """One client. Everything runs on the event loop that accepted it."""

    def __init__(
        self, listener: "Listener", app: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._listener = listener
        self._app = app
        self._reader = reader
        self._writer = writer
        self._state = _State.HEADER
        self._timer: asyncio.TimerHandle | None = None
        self._closing_since = 0.0
        self._tasks = Tasks(asyncio.get_running_loop())
        self._protocol = self._speak()

    async def run(self) -> None:
        """Serve until either side closes."""
        try:
            async with self._tasks:
                if self._state is not _State.CLOSING:
                    self._enter(_State.HEADER)
                await self._read()
        except BaseException:
            self._writer.transport.abort()
            raise
        finally:
            self._stop_timer()
            await self._finish()

    async def turn_away(self) -> None:
        """Say that there are too many connections, and read a little so that it can be heard."""
        self._writer.write(_OVERLOADED)
        self._writer.write_eof()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_READ_SIZE):
                    pass
        self._writer.transport.abort()

    async def _finish(self) -> None:
        """Close, and give what was written a while to leave."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._listener.limits.write_timeout):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def _speak(self) -> GuardedH11:
        sock = self._writer.get_extra_info("socket")
        peer = self._writer.get_extra_info("peername")
        return GuardedH11(
            self._listener.limits,
            self._app,
            self._listener.config,
            self._listener.context,
            self._tasks,
            ConnectionState({}),
            _NO_TLS,
            parse_socket_addr(sock.family, peer) if peer else None,
            parse_socket_addr(sock.family, sock.getsockname()),
            self._send,
        )

    def drain(self) -> None:
        """Close if nothing is being answered; the protocol closes after the answer otherwise."""
        if self._state in (_State.IDLE, _State.HEADER):
            self._begin_close()

    async def _read(self) -> None:
        while True:
            try:
                data = await self._reader.read(_READ_SIZE)
            except OSError:
                break
            if not data:
                break
            if self._state is _State.CLOSING:
                continue
            if self._state is _State.IDLE:
                self._enter(_State.HEADER)
            await self._protocol.handle(RawData(data=data))
            await self._protocol.room.wait()
        await self._protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self._begin_close()
        elif isinstance(event, Updated) and self._state is not _State.CLOSING:
            waits = _State.HEADER if self._protocol.has_part else _State.IDLE
            self._enter(waits if event.idle else _State.BUSY)

    async def _write(self, data: bytes) -> None:
        if self._writer.transport.is_closing():
            return
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() <= _WRITE_HIGH:
            return
        try:
            async with asyncio.timeout(self._listener.limits.write_timeout):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def _enter(self, state: _State) -> None:
        self._stop_timer()
        self._state = state
        limits = self._listener.limits
        timeouts = {_State.IDLE: limits.idle_timeout, _State.HEADER: limits.header_timeout, _State.CLOSING: _LINGER}
        if state in timeouts:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(timeouts[state], self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self._state is _State.HEADER and self._protocol.has_part:
            self._tasks.spawn(self._protocol.refuse, 408)
        elif self._state is not _State.CLOSING:
            self._begin_close()
        elif self._writer.transport.get_write_buffer_size() and not self._is_stuck():
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._expire)
        else:
            self._writer.transport.abort()

    def _is_stuck(self) -> bool:
        now = asyncio.get_running_loop().time()
        return now - self._closing_since > self._listener.limits.write_timeout

    def _begin_close(self) -> None:
        """Send the end of our side and wait a moment for theirs, so that the last answer is not lost."""
        if self._state is _State.CLOSING:
            return
        self._enter(_State.CLOSING)
        self._closing_since = asyncio.get_running_loop().time()
        self._protocol.room.set()
        if not self._writer.transport.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write_eof()


class Listener:
    """Accepts connections, up to a number, and ends them."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self.limits = limits
        self.context = WorkerContext(None)
        self.config = Config()
        self.config.errorlog = None
        self.config.include_server_header = False
        self.config.h11_max_incomplete_size = limits.max_header
        self.config.keep_alive_max_requests = _MAX_REQUESTS
        self._app = app
        self._connections: dict[Connection, asyncio.Task[Any]] = {}
        self._servers: list[asyncio.Server] = []
        self._empty = asyncio.Event()

    async def open(self, sockets: list[socket.socket]) -> None:
        """Begin to accept on sockets that are bound."""
        for sock in sockets:
            self._servers.append(await asyncio.start_server(self._accept, sock=sock, backlog=_BACKLOG))

    async def close(self, grace: float) -> None:
        """Accept nothing more, let running answers end for ``grace`` seconds, then cut them."""
        for server in self._servers:
            server.close()
        await self.context.terminated.set()
        self._empty.clear()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._empty.wait()
        self.stop()
        await asyncio.gather(*self._connections.values(), return_exceptions=True)

    def stop(self) -> None:
        """Cut every connection now."""
        for task in self._connections.values():
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.context.terminated.is_set():
            writer.close()
            return
        n_open = len(self._connections)
        if n_open >= self.limits.max_connections + _TURNED_AWAY_MAX:
            writer.transport.abort()
            return
        connection = Connection(self, self._app, reader, writer)
        is_full = n_open >= self.limits.max_connections
        task = asyncio.create_task(connection.turn_away() if is_full else connection.run())
        self._connections[connection] = task
        task.add_done_callback(partial(self._forget, connection))

    def _forget(self, connection: Connection, task: asyncio.Task[None]) -> None:
        del self._connections[connection]
        if not self._connections:
            self._empty.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a connection failed", exc_info=error)
