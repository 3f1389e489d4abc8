"""The client against a real process with a fake model."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from lcrt.core.event import Event, Finish, Rendered, Start, Text
from lcrt.core.message import Message
from lcrt.core.options import Options
from lcrt.core.request import InferenceRequest
from lcrt.errors import LoadError, OutOfMemory
from lcrt.runner.client import DIED_TEXT, RunnerClient
from lcrt.runner.spawn import spawn
from lcrt.runner.stream import Stream
from tests.runner.conftest import FAKE_COMMAND, Connect, load_request
from tests.runner.fake_model import QUEUE_MAX

pytestmark = pytest.mark.anyio

FAKE_DAEMON = Path(__file__).with_name("fake_daemon.py")
ENDLESS = InferenceRequest(prompt="go on", options=Options(num_predict=1 << 30))


async def answer(client: RunnerClient, request: InferenceRequest) -> list[Event]:
    async with client.submit(request) as batches:
        return [event async for batch in batches for event in batch]


def text(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text | Finish))


async def test_a_request_starts_speaks_and_finishes_once(runner: RunnerClient) -> None:
    first, *middle, last = await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=3)))
    assert isinstance(first, Start)
    assert text(middle) == "abc"
    assert isinstance(last, Finish)
    assert (last.reason, last.usage.n_prompt, last.usage.n_generated) == ("length", 2, 3)


async def test_a_stop_string_ends_it(runner: RunnerClient) -> None:
    *_, last = events = await answer(runner, InferenceRequest(prompt="hi", options=Options(stop=("d",))))
    assert text(events) == "abc"
    assert isinstance(last, Finish)
    assert last.reason == "stop"


async def test_the_context_is_prompt_and_answer(runner: RunnerClient) -> None:
    request = InferenceRequest(prompt="hi", options=Options(num_predict=2), want_context=True)
    last = (await answer(runner, request))[-1]
    assert isinstance(last, Finish)
    assert last.context == tuple(map(ord, "hiab"))


async def test_logprobs_have_as_many_alternatives_as_asked(runner: RunnerClient) -> None:
    events = await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=2), n_logprobs=2))
    entries = [entry for event in events if isinstance(event, Text) for entry in event.logprobs]
    assert [entry.chosen.token for entry in entries] == ["a", "b"]
    assert [[alternative.bytes for alternative in entry.top] for entry in entries] == [[b"A", b"B"]] * 2


async def test_memory_that_requests_take_is_known_while_they_run(runner: RunnerClient) -> None:
    assert runner.grown() == 0
    async with runner.submit(ENDLESS) as batches:
        assert await anext(batches)
        assert runner.grown() == 100
        assert await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=3)))
        assert runner.grown() == 100
    assert await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=3)))
    assert runner.grown() == 0


async def test_render_only_answers_with_the_prompt(runner: RunnerClient) -> None:
    messages = (Message("user", "one"), Message("user", "two"))
    assert await answer(runner, InferenceRequest(messages=messages, render_only=True)) == [Rendered("one\ntwo")]


async def test_many_requests_do_not_mix(runner: RunnerClient) -> None:
    results: dict[int, str] = {}

    async def ask(n: int) -> None:
        results[n] = text(await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=n))))

    async with anyio.create_task_group() as tasks:
        for n in range(1, 27):
            tasks.start_soon(ask, n)
    assert results == {n: "abcdefghijklmnopqrstuvwxyz"[:n] for n in range(1, 27)}


async def test_leaving_early_makes_room_for_one_that_waits(runner: RunnerClient) -> None:
    async with anyio.create_task_group() as tasks:
        streams = [runner.submit(ENDLESS) for _ in range(QUEUE_MAX)]
        for stream in streams:
            await anext(stream)
        waiting = runner.submit(InferenceRequest(prompt="hi", options=Options(num_predict=1)))
        for stream in streams[1:]:
            tasks.start_soon(_read_on, stream)
        async with streams[0]:
            pass
        assert text([event async for batch in waiting for event in batch]) == "a"
        tasks.cancel_scope.cancel()


async def _read_on(stream: Stream) -> None:
    async for _ in stream:
        pass


async def test_a_slow_reader_is_cut_off_and_others_go_on(runner: RunnerClient) -> None:
    slow = runner.submit(ENDLESS)
    await anext(slow)
    while not slow.closed:
        await answer(runner, InferenceRequest(prompt="hi", options=Options(num_predict=26)))
    last = [event async for batch in slow for event in batch][-1]
    assert isinstance(last, Finish)
    assert last.error is not None


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (InferenceRequest(prompt="odd"), "an odd request"),
        (InferenceRequest(prompt=""), "the prompt has no tokens"),
        (InferenceRequest(messages=(Message("user", "look", images=(b"x",)),)), "Multimodal data provided"),
        (InferenceRequest(prompt="x" * 5000, shift=False), "the prompt is longer than the context length"),
    ],
)
async def test_what_cannot_be_answered_finishes_with_the_reason(
    runner: RunnerClient, request_: InferenceRequest, message: str
) -> None:
    [last] = await answer(runner, request_)
    assert isinstance(last, Finish)
    assert last.error is not None
    assert (last.reason, last.error.kind) == ("error", "InvalidRequest")
    assert last.error.message.startswith(message)


async def test_a_killed_process_ends_all_its_requests(runner: RunnerClient) -> None:
    streams = [runner.submit(ENDLESS) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    os.kill(runner.pid, signal.SIGKILL)
    for stream in streams:
        last = [event async for batch in stream for event in batch][-1]
        assert isinstance(last, Finish)
        assert last.error is not None
        assert (last.error.kind, last.error.message) == ("RunnerDied", DIED_TEXT)
    assert await runner.ended() == "signal SIGKILL"


async def test_a_dead_process_answers_with_its_death(runner: RunnerClient) -> None:
    await runner.kill()
    await runner.ended()
    [last] = await answer(runner, InferenceRequest(prompt="hi"))
    assert isinstance(last, Finish)
    assert last.error is not None
    assert last.error.kind == "RunnerGone"


async def test_a_request_of_which_nothing_was_said_may_be_asked_again(runner: RunnerClient) -> None:
    [last] = await answer(runner, InferenceRequest(prompt="die"))
    assert isinstance(last, Finish)
    assert last.error is not None
    assert last.error.kind == "RunnerGone"


async def test_a_load_that_fails_raises_what_the_runner_says(connect: Connect) -> None:
    client = await connect()
    with pytest.raises(OutOfMemory, match="the weights do not fit"):
        await client.load(load_request("/refuse"), lambda _: None)
    assert await client.ended() == "exit status 1"


async def test_a_crash_while_loading_says_how_it_ended(connect: Connect) -> None:
    client = await connect()
    with pytest.raises(LoadError, match="SIGABRT"):
        await client.load(load_request("/crash"), lambda _: None)


async def test_progress_is_reported(connect: Connect) -> None:
    seen: list[float] = []
    client = await connect()
    await client.load(load_request(), seen.append)
    assert seen == [1.0]


async def test_a_load_can_be_stopped(connect: Connect) -> None:
    client = await connect()
    stalled = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.load, load_request("/stall"), lambda _: stalled.set())
        await stalled.wait()
        tasks.cancel_scope.cancel()
    await client.stop(0)
    assert await client.ended() == "signal SIGKILL"


async def test_stop_lets_the_process_exit_by_itself(runner: RunnerClient) -> None:
    await runner.stop(10)
    assert await runner.ended() == "exit status 0"


@pytest.mark.parametrize("path", ["/letters", "/stall"])
async def test_a_closed_socket_ends_the_process(connect: Connect, path: str) -> None:
    client = await connect()
    loaded = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.load, load_request(path), lambda _: loaded.set())
        await loaded.wait()
        tasks.cancel_scope.cancel()
    client.disconnect()
    assert (await client.ended()).startswith("exit status")


def test_a_runner_has_a_session_of_its_own_and_inherits_only_its_socket() -> None:
    report = "import os, sys; fd = int(sys.argv[2]); s = os.getsid(0) == os.getpid(); n = os.listdir('/proc/self/fd');"
    spawned = spawn((sys.executable, "-c", report + "os.write(fd, f'{s} {len(n)}'.encode())"))
    spawned.process.wait()
    with spawned.sock as sock:
        assert sock.recv(100) == b"True 5"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it happens at the next progress")
@pytest.mark.parametrize("path", ["/letters", "/hang"])
def test_a_killed_daemon_takes_its_runner_along(path: str) -> None:
    with subprocess.Popen([sys.executable, FAKE_DAEMON, path, *FAKE_COMMAND], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        pidfd = os.pidfd_open(int(daemon.stdout.readline()))
        assert not readable(pidfd, 0)
        daemon.kill()
    ended = readable(pidfd, 10)
    os.close(pidfd)
    assert ended


def readable(descriptor: int, timeout: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])
