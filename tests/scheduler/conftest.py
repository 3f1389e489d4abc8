"""A scheduler in a fake world."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest

from lcrt.scheduler.scheduler import Scheduler
from lcrt.scheduler.settings import SchedulerSettings
from tests.scheduler.fake import FakeEffects, House, settle

OpenHouse = Callable[[SchedulerSettings], AbstractAsyncContextManager[House]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def open_house(settings: SchedulerSettings) -> AsyncIterator[House]:
    world = FakeEffects()
    scheduler = Scheduler(settings, world)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scheduler.run)
        await settle()
        yield House(scheduler, world, tasks)
        tasks.cancel_scope.cancel()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house(SchedulerSettings(max_loaded_models=2, max_queue=4)) as house:
        yield house
