"""A daemon that says what a test tells it to, and remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


class Answer(NamedTuple):
    """An answer in pieces.

    ``hangs`` keeps the connection open after them until the client leaves, ``cut`` ends it before
    the answer is whole, ``closes`` after that, with a header that ``announces`` it or without.
    """

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    hangs: bool = False
    cut: bool = False
    closes: bool = False
    announces: bool = False


def objects(*values: object, status: int = 200, hangs: bool = False, cut: bool = False) -> Answer:
    """One JSON line per value."""
    return Answer(tuple(json.dumps(value).encode() + b"\n" for value in values), status, hangs, cut)


def failure(status: int, text: str) -> Answer:
    return objects({"error": text}, status=status)


Route = Answer | Callable[[Asked], Answer]


class FakeDaemon:
    """Serves on a loopback port in a thread of its own."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = {("HEAD", "/"): Answer()}
        self.asked: list[Asked] = []
        self.left = threading.Event()
        self.port = self.n_connections = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def on(self, method: str, path: str, route: Route) -> None:
        self.routes[method, path] = route

    def bodies(self, path: str) -> list[dict[str, object]]:
        """The JSON bodies that were sent to a path."""
        return [asked.json for asked in self.asked if asked.path == path and asked.body]

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        try:
            while True:
                asked = await self._read(reader)
                self.asked.append(asked)
                route = self.routes.get((asked.method, asked.path), failure(404, "404 page not found"))
                answer = route if isinstance(route, Answer) else route(asked)
                if not await self._write(asked, answer, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *fields = head.split("\r\n")
        length = next((int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length")), 0)
        method, path, _ = first.split(" ")
        return Asked(method, path, await reader.readexactly(length))

    async def _write(
        self, asked: Asked, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send an answer; False when the connection is of no more use."""
        close = "Connection: close\r\n" if answer.announces else ""
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{close}Transfer-Encoding: chunked\r\n\r\n".encode())
        if asked.method == "HEAD":
            return False
        for piece in answer.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if answer.hangs:
            await reader.read()
            self.left.set()
            return False
        if answer.cut:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not answer.closes
