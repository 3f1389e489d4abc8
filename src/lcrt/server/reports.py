"""Work that reports what it does, on a thread of its own, for one client."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Generic, TypeVar

import msgspec

from lcrt.server.exchange import JSON_PLAIN, NDJSON, Exchange
from lcrt.server.stream import Attended

_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode


async def report(exchange: Exchange, iterator: Iterator[object], *, stream: bool) -> None:
    """Send every report as a line, or only the last one. The work is given up when the client leaves."""
    last: object = None
    async with Attended(exchange):
        async for last in reports(iterator):
            if stream:
                if not exchange.status:
                    await exchange.start(NDJSON)
                await exchange.write(_encode(last) + b"\n")
    if stream:
        await exchange.end()
    else:
        await exchange.reply(200, _encode(last), JSON_PLAIN)


async def reports(iterator: Iterator[_T]) -> AsyncIterator[_T]:
    """Advance a generator on its own thread. When the caller stops, it is closed after its next step."""
    pump = _Pump(iterator)
    threading.Thread(target=pump.run, name="lcrt-report", daemon=True).start()
    try:
        while (item := await pump.next()) is not None:
            yield item
    finally:
        pump.left.set()


class _Pump(Generic[_T]):
    """Carries items from the thread to the loop."""

    def __init__(self, iterator: Iterator[_T]) -> None:
        self.left = threading.Event()
        self._iterator = iterator
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_T | BaseException | None] = asyncio.Queue()

    def run(self) -> None:
        """Advance until the end, an error, or until nobody listens."""
        end: BaseException | None = None
        try:
            for item in self._iterator:
                if self.left.is_set():
                    break
                self._post(item)
        except BaseException as error:  # noqa: BLE001 -- a thread's main: the loop's side raises it
            end = error
        finally:
            if isinstance(self._iterator, Generator):
                self._iterator.close()
            self._post(end)

    async def next(self) -> _T | None:
        """Wait for an item; None at the end."""
        item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def _post(self, item: _T | BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
