"""A runner process with a fake model, and the client that speaks to it."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lcrt.core.model import LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.runner.client import RunnerClient
from lcrt.runner.spawn import spawn

FAKE_COMMAND = (sys.executable, str(Path(__file__).with_name("fake_model.py")))

Connect = Callable[[], Awaitable[RunnerClient]]


def load_request(path: str = "/letters") -> LoadRequest:
    return LoadRequest(ModelSpec("letters", path, "0", 1), LoadOptions())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def start() -> RunnerClient:
            client = await RunnerClient.connect(spawn(FAKE_COMMAND), lambda: None)
            stack.push_async_callback(client.kill)
            return client

        yield start


@pytest.fixture
async def runner(connect: Connect) -> RunnerClient:
    client = await connect()
    await client.load(load_request(), lambda _: None)
    return client
