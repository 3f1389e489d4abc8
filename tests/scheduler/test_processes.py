"""The scheduler over real processes with a fake model."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from lcrt.core.event import Event, Finish, Text
from lcrt.core.model import ModelSpec
from lcrt.core.options import LoadOptions, Options
from lcrt.core.request import InferenceRequest
from lcrt.errors import LoadError, OutOfMemory
from lcrt.scheduler.effects import ProcessEffects
from lcrt.scheduler.scheduler import Scheduler
from lcrt.scheduler.settings import SchedulerSettings
from tests.runner.conftest import FAKE_COMMAND

pytestmark = pytest.mark.anyio

ENDLESS = InferenceRequest(prompt="go on", options=Options(num_predict=1 << 30))
SHORT = InferenceRequest(prompt="hi", options=Options(num_predict=3))


def spec(path: str) -> ModelSpec:
    return ModelSpec(path, path, "0", 1)


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(SchedulerSettings(max_loaded_models=2), ProcessEffects(FAKE_COMMAND))
    async with anyio.create_task_group() as tasks:
        await tasks.start(scheduler.run)
        yield scheduler
        await scheduler.close(0)


async def ask(scheduler: Scheduler, path: str, request: InferenceRequest = SHORT) -> list[Event]:
    async with await scheduler.acquire(spec(path), LoadOptions()) as lease, lease.generate(request) as batches:
        return [event async for batch in batches for event in batch]


async def test_a_request_loads_a_model_and_is_answered(scheduler: Scheduler) -> None:
    events = await ask(scheduler, "/a")
    assert "".join(event.text for event in events if isinstance(event, Text)) == "abc"


async def test_more_models_than_fit_take_turns(scheduler: Scheduler) -> None:
    async with anyio.create_task_group() as tasks:
        for path in ("/a", "/b", "/c", "/d", "/a", "/b"):
            tasks.start_soon(ask, scheduler, path)
    assert len(scheduler.loaded()) == 2


async def test_a_killed_runner_ends_its_requests_and_the_next_gets_a_new_one(scheduler: Scheduler) -> None:
    async with await scheduler.acquire(spec("/a"), LoadOptions()) as lease:
        async with lease.generate(ENDLESS) as batches:
            await anext(batches)
            os.kill(lease.info.pid, signal.SIGKILL)
            last = [event async for batch in batches for event in batch][-1]
        assert isinstance(last, Finish)
        assert last.error is not None
        assert last.error.kind == "RunnerDied"
        async with await scheduler.acquire(spec("/a"), LoadOptions()) as new:
            assert new.info.pid != lease.info.pid
    assert isinstance((await ask(scheduler, "/a"))[-1], Finish)


async def test_loads_that_fail_say_why_and_leave_nothing(scheduler: Scheduler) -> None:
    with pytest.raises(OutOfMemory, match="the weights do not fit"):
        await ask(scheduler, "/refuse")
    with pytest.raises(LoadError, match="SIGABRT"):
        await ask(scheduler, "/crash")
    assert scheduler.loaded() == ()


async def test_a_load_that_its_only_client_leaves_is_stopped_and_the_model_can_be_loaded_again(
    scheduler: Scheduler,
) -> None:
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, scheduler, "/stall")
            while not scheduler.loaded():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    await ask(scheduler, "/a")


async def test_a_scheduler_that_is_cancelled_leaves_no_process() -> None:
    scheduler = Scheduler(SchedulerSettings(), ProcessEffects(FAKE_COMMAND))
    async with anyio.create_task_group() as tasks:
        await tasks.start(scheduler.run)
        lease = await scheduler.acquire(spec("/a"), LoadOptions())
        tasks.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(lease.info.pid, 0)


def test_the_daemon_imports_neither_the_engine_nor_what_renders() -> None:
    heavy = "numpy", "lcrt.native", "lcrt.chat", "lcrt.runner.loop"
    code = f"import sys, lcrt.scheduler.scheduler; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
