"""Batches, the end, leaving early, and readers that are too slow."""

import anyio
import pytest

from lcrt.core.event import Event, Finish, Logprob, Text, TokenLogprob, Usage
from lcrt.runner.stream import BYTES_MAX, EVENTS_MAX, Stream, event_len

pytestmark = pytest.mark.anyio

END = Finish("stop", Usage())


class Cancels:
    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


async def read(stream: Stream) -> list[tuple[Event, ...]]:
    return [batch async for batch in stream]


async def test_what_arrived_together_is_one_batch() -> None:
    stream = Stream(Cancels())
    stream.feed(Text("a"))
    stream.feed(Text("b"))
    assert await anext(stream) == (Text("a"), Text("b"))


async def test_a_waiting_reader_gets_what_comes_and_the_end() -> None:
    stream = Stream(Cancels())
    batches: list[tuple[Event, ...]] = []

    async def reader() -> None:
        batches.extend(await read(stream))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader)
        await anyio.wait_all_tasks_blocked()
        stream.feed(Text("a"))
        await anyio.wait_all_tasks_blocked()
        stream.feed(END)
    assert batches == [(Text("a"),), (END,)]


async def test_nothing_comes_after_the_end() -> None:
    stream = Stream(Cancels())
    stream.feed(END)
    stream.feed(Text("late"))
    assert await read(stream) == [(END,)]


async def test_leaving_early_cancels_once() -> None:
    cancels = Cancels()
    async with Stream(cancels) as stream:
        stream.feed(Text("a"))
    stream.feed(Text("b"))
    assert cancels.n == 1


async def test_leaving_after_the_end_cancels_nothing() -> None:
    cancels = Cancels()
    async with Stream(cancels) as stream:
        stream.feed(END)
    assert cancels.n == 0


@pytest.mark.parametrize(("text", "n"), [("a", EVENTS_MAX + 1), ("x" * (BYTES_MAX // 8), 9)])
async def test_a_reader_too_far_behind_loses_the_request_with_a_reason(text: str, n: int) -> None:
    cancels = Cancels()
    stream = Stream(cancels)
    for _ in range(n):
        stream.feed(Text(text))
    [(finish,)] = await read(stream)
    assert isinstance(finish, Finish)
    assert finish.error is not None
    assert "slowly" in finish.error.message
    assert cancels.n == 1


async def test_a_reader_that_keeps_up_may_read_any_number() -> None:
    stream = Stream(Cancels())
    for _ in range(4):
        for _ in range(EVENTS_MAX // 2):
            stream.feed(Text("a"))
        assert len(await anext(stream)) == EVENTS_MAX // 2


def test_logprobs_count_towards_the_length() -> None:
    token = TokenLogprob(Logprob("a", -1.0, b"a"), (Logprob("b", -2.0, b"b"),))
    assert event_len(Text("a", logprobs=(token,))) > event_len(Text("a"))
