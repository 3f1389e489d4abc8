"""A daemon in this process, and a client that can say anything to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import h11
import msgspec

from lcrt.config.address import Address
from lcrt.server.app import App
from lcrt.server.connection import Listener
from lcrt.server.limits import Limits
from lcrt.server.security import Guard
from lcrt.server.serve import bind
from lcrt.server.services import Services


class Reply(msgspec.Struct):
    """An answer; ``headers`` by lower-case name, the last of each."""

    status: int
    headers: dict[str, str]
    body: bytes
    parts: list[bytes]

    @property
    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.body, type=dict[str, object])

    @property
    def lines(self) -> list[dict[str, object]]:
        return [msgspec.json.decode(line, type=dict[str, object]) for line in self.body.splitlines()]

    @property
    def events(self) -> list[str]:
        return [block.removeprefix("data: ") for block in self.body.decode().split("\n\n") if block]

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")


class Client:
    """Speaks to one port; every request on a connection of its own."""

    def __init__(self, port: int, listener: Listener) -> None:
        self.port = port
        self.listener = listener
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        """Close what is still open."""
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request; a body that is not bytes is sent as JSON."""
        data = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        reader, writer = await self.connect()
        connection = h11.Connection(h11.CLIENT)
        every = {"host": "localhost", "content-length": str(len(data)), "connection": "close"} | dict(headers or {})
        head = connection.send(h11.Request(method=method, target=path, headers=list(every.items())))
        writer.write((head or b"") + (connection.send(h11.Data(data=data)) if data else b""))
        connection.send(h11.EndOfMessage())
        reply = await receive(connection, reader)
        writer.close()
        return reply

    async def post(self, path: str, body: object) -> Reply:
        return await self.send("POST", path, body)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.send("GET", path, headers=headers)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, and read until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


async def receive(connection: h11.Connection, reader: asyncio.StreamReader) -> Reply:
    """Read one answer."""
    reply = Reply(0, {}, b"", [])
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            reply.status = event.status_code
            reply.headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            reply.parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            reply.body = b"".join(reply.parts)
            return reply


@asynccontextmanager
async def daemon(services: Services, limits: Limits | None = None, guard: Guard | None = None) -> AsyncIterator[Client]:
    """Serve on a free port for as long as the block runs."""
    limits = limits or Limits()
    listener = Listener(App(services, guard or Guard((), loopback=True), limits), limits)
    sockets = bind(Address(port=0))
    await listener.open(sockets)
    client = Client(sockets[0].getsockname()[1], listener)
    try:
        yield client
    finally:
        await client.close()
        await listener.close(grace=0)
