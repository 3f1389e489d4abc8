"""Answers that take time: watching for a client that leaves, and work on other threads."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Self, TypeVar

from lcrt.errors import Cancelled
from lcrt.server.exchange import Exchange

_T = TypeVar("_T")


class Attended:
    """A block that ends at once, with Cancelled, when the client goes away.

    The request's body must have been read. One task watches for the whole block.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._gone = False
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and self._task is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise Cancelled("the client went away") from error

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        if self._task is not None and not self._exchange.ended:
            self._gone = True
            self._task.cancel()


async def steps(iterator: Iterator[_T]) -> AsyncIterator[_T]:
    """Advance a generator on other threads, one step at a time; it is closed when the caller stops."""
    step: asyncio.Future[_T | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, iterator, None))
            item = await asyncio.shield(step)
            if item is None:
                return
            yield item
    finally:
        if step is not None and not step.done():
            await asyncio.wait([step])
        if isinstance(iterator, Generator):
            await asyncio.to_thread(iterator.close)
