"""A real model in a real process, through the scheduler."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from lcrt.core.event import Event, Finish, Rendered, Start, Text
from lcrt.core.message import Message
from lcrt.core.model import LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions, Options, Sampling
from lcrt.core.request import InferenceRequest
from lcrt.errors import LoadError, ModelFormatError, OutOfMemory
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams
from lcrt.runner import model as real
from lcrt.runner.spawn import RUNNER_COMMAND
from lcrt.runner.stream import Stream
from lcrt.scheduler.lease import Lease
from lcrt.scheduler.scheduler import Scheduler
from lcrt.scheduler.settings import SchedulerSettings

BUILT = Path(__file__).parents[2] / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOL = Path(os.environ.get("LCRT_TEST_MODEL", BUILT))

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(120)]

GREEDY = Sampling(temperature=0)
N_CTX = 64
ONE_THREAD = LoadOptions(num_thread=1)
"""Threads that wait for each other stand still on a machine that has other work."""


def spec(path: Path = SMOL, **more: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(path.name, str(path), "0", 1, **more)  # type: ignore[arg-type]


def greedy(n: int) -> Options:
    return Options(sampling=GREEDY, num_predict=n)


def write_broken_models(folder: Path) -> None:
    (folder / "text").write_text("not a model " * 100)
    with SMOL.open("rb") as whole:
        (folder / "short").write_bytes(whole.read(3_000_000))


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(SchedulerSettings(num_parallel=4, context_length=N_CTX))
    async with anyio.create_task_group() as tasks:
        await tasks.start(scheduler.run)
        yield scheduler
        await scheduler.close(0)


@pytest.fixture
async def lease(scheduler: Scheduler) -> AsyncIterator[Lease]:
    async with await scheduler.acquire(spec(), ONE_THREAD) as lease:
        yield lease


async def ask(lease: Lease, request: InferenceRequest) -> list[Event]:
    async with lease.generate(request) as batches:
        return [event async for batch in batches for event in batch]


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text | Finish))


async def test_the_runner_says_what_it_loaded(lease: Lease) -> None:
    info = lease.info
    assert (info.n_ctx, info.n_ctx_train, info.n_vocab, info.n_slots) == (N_CTX, 8192, 49152, 4)
    assert info.size > 50_000_000
    assert info.load > 0


async def test_a_prompt_is_continued_and_the_same_seed_says_the_same(lease: Lease) -> None:
    request = InferenceRequest(prompt="The sky is", options=Options(sampling=Sampling(seed=1 << 63), num_predict=12))
    first, second = await ask(lease, request), await ask(lease, request)
    assert isinstance(first[0], Start)
    assert text(first) == text(second) != ""
    finish = first[-1]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.usage.n_prompt, finish.usage.n_generated) == ("length", 3, 12)


async def test_a_chat_is_rendered_by_the_template_of_the_file(lease: Lease) -> None:
    request = InferenceRequest(messages=(Message("system", "Be brief."), Message("user", "hi")), render_only=True)
    assert await ask(lease, request) == [
        Rendered("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    ]


async def test_a_stop_string_is_never_shown(lease: Lease) -> None:
    request = InferenceRequest(prompt="1, 2, 3, 4,", options=Options(sampling=GREEDY, num_predict=50, stop=(", 9",)))
    *_, finish = events = await ask(lease, request)
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
    assert text(events).endswith("8")


async def test_every_token_has_its_logprob_and_the_context_all_tokens(lease: Lease) -> None:
    request = InferenceRequest(prompt="The sky is", options=greedy(5), n_logprobs=3, want_context=True)
    events = await ask(lease, request)
    entries = [entry for event in events if isinstance(event, Text | Finish) for entry in event.logprobs]
    assert "".join(entry.chosen.token for entry in entries) == text(events)
    for entry in entries:
        assert entry.chosen == entry.top[0]
        assert [top.logprob for top in entry.top] == sorted((top.logprob for top in entry.top), reverse=True)
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.context is not None
    assert len(finish.context) == 3 + 5


async def test_an_answer_goes_on_past_the_context_unless_that_is_forbidden(lease: Lease) -> None:
    story = InferenceRequest(prompt="Once upon a time", options=greedy(N_CTX + 10))
    shifted = (await ask(lease, story))[-1]
    assert isinstance(shifted, Finish)
    assert shifted.usage.n_shifts > 0
    story = InferenceRequest(prompt="Once upon a time", options=greedy(N_CTX + 10), shift=False)
    full = (await ask(lease, story))[-1]
    assert isinstance(full, Finish)
    assert (full.reason, full.usage.n_shifts) == ("length", 0)
    assert full.usage.n_prompt + full.usage.n_generated == N_CTX


async def test_who_leaves_makes_room_for_one_that_waits(lease: Lease) -> None:
    endless = InferenceRequest(prompt="Once upon a time", options=greedy(10 * N_CTX))
    left, *others = (lease.generate(endless) for _ in range(4))
    async with left as batches, anyio.create_task_group() as tasks:
        await anext(batches)
        tasks.start_soon(left.__aexit__, None, None, None)
        assert text(await ask(lease, InferenceRequest(prompt="The sky is", options=greedy(3))))
    for stream in others:
        assert isinstance(stream, Stream)
        assert not stream.closed, "the one that waited got its place from one that had finished"


async def test_a_killed_runner_is_replaced(scheduler: Scheduler, lease: Lease) -> None:
    async with lease.generate(InferenceRequest(prompt="Once", options=greedy(600))) as batches:
        await anext(batches)
        os.kill(lease.info.pid, signal.SIGKILL)
        last = [event async for batch in batches for event in batch][-1]
    assert isinstance(last, Finish)
    assert last.error is not None
    assert last.error.kind == "RunnerDied"
    async with await scheduler.acquire(spec(), ONE_THREAD) as new:
        assert text(await ask(new, InferenceRequest(prompt="The sky is", options=greedy(3))))


async def test_files_that_are_no_models_are_told_apart(scheduler: Scheduler, tmp_path: Path) -> None:
    write_broken_models(tmp_path)
    for path, kind in (("text", ModelFormatError), ("short", ModelFormatError), ("missing", LoadError)):
        with pytest.raises(kind):
            await scheduler.acquire(spec(tmp_path / path), LoadOptions())


async def test_an_adapter_that_cannot_be_read_stops_the_load(scheduler: Scheduler) -> None:
    with pytest.raises(ModelFormatError, match="adapter"):
        await scheduler.acquire(spec(adapters=("/adapter",)), LoadOptions())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it happens at the next progress")
def test_a_killed_daemon_takes_its_runner_along() -> None:
    fake_daemon = Path(__file__).with_name("fake_daemon.py")
    arguments = [sys.executable, str(fake_daemon), str(SMOL), *RUNNER_COMMAND]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        pidfd = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
    ended, _, _ = select.select([pidfd], [], [], 10)
    os.close(pidfd)
    assert ended


class Cramped:
    """An engine for which there is too little memory at first; remembers the contexts that were tried."""

    def __init__(self, n_failures: int) -> None:
        self.tried: list[tuple[int, int]] = []
        self._n_failures = n_failures

    def __call__(self, model: Model, context: ContextParams, params: EngineParams, draft: Model | None) -> Engine:
        self.tried.append((context.n_parallel, context.kv_cells_max))
        if len(self.tried) <= self._n_failures:
            raise OutOfMemory("no room")
        return Engine(model, context, params, draft)


def test_a_load_that_has_no_room_is_tried_once_more_with_half(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cramped = Cramped(1)
    monkeypatch.setattr(real, "Engine", cramped)
    request = LoadRequest(spec(), ONE_THREAD, n_parallel=4, context_length=N_CTX)
    loaded = real.load_model(request, lambda _: True)
    loaded.engine.close()
    assert cramped.tried == [(4, 4 * N_CTX), (2, 2 * N_CTX)]
    assert (loaded.info.n_slots, loaded.info.n_ctx) == (2, N_CTX)
    assert "no room: trying again with 64 tokens for each of 2 slots, 128 in all" in caplog.messages


def test_a_load_that_has_no_room_twice_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    cramped = Cramped(2)
    monkeypatch.setattr(real, "Engine", cramped)
    with pytest.raises(OutOfMemory, match="no room"):
        real.load_model(LoadRequest(spec(), ONE_THREAD), lambda _: True)
    assert len(cramped.tried) == 2
