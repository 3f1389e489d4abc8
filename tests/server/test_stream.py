import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from lcrt.core.event import Finish, Text, Usage
from lcrt.server.stream import steps
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

REQUEST = {"model": "tiny", "prompt": "x"}


async def open_request(client: Client, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await client.connect()
    head = b"POST /api/generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    return reader, writer


@pytest.mark.parametrize("body", [b'{"model":"tiny","prompt":"x"}', b'{"model":"tiny","prompt":"x","stream":false}'])
async def test_a_client_that_leaves_ends_its_generation(client: Client, models: FakeModels, body: bytes) -> None:
    models.go.clear()
    _, writer = await open_request(client, body)
    await models.sent.wait()
    assert models.running == 1
    writer.close()
    await models.idle.wait()
    assert (models.running, models.released) == (0, 1)


async def test_what_arrived_together_leaves_together(client: Client) -> None:
    reply = await client.post("/api/generate", REQUEST)
    assert [part.count(b"\n") for part in reply.parts] == [1, 2, 1]


async def test_a_slow_client_holds_up_only_its_own_answer(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("x" * 65536),)] * 200 + [(Finish("stop", Usage()),)]
    reader, _ = await open_request(client, b'{"model":"tiny","prompt":"x"}')
    await models.sent.wait()
    assert (await client.get("/api/version")).status == 200
    assert models.running == 1
    assert b'"done":true' in (await reader.read())[-1000:]


def counted(closed: threading.Event, *, hold: threading.Event | None = None) -> Iterator[int]:
    try:
        for number in range(3):
            if hold is not None:
                hold.wait()
            yield number
    finally:
        closed.set()


async def test_steps_yield_what_the_generator_yields() -> None:
    closed = threading.Event()
    assert [number async for number in steps(counted(closed))] == [0, 1, 2]
    assert closed.is_set()


async def first(numbers: AsyncIterator[int]) -> int:
    return await anext(numbers)


async def test_steps_that_are_cut_close_the_generator() -> None:
    closed, hold = threading.Event(), threading.Event()
    task = asyncio.create_task(first(steps(counted(closed, hold=hold))))
    await asyncio.sleep(0)
    task.cancel()
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
