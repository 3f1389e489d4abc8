"""The events of one request on their way from a runner to whoever asked."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lcrt.core.event import Event, Failure, Finish, Rendered, Start, Usage

EVENTS_MAX = 10_000
BYTES_MAX = 4 << 20
EVENT_LEN = 64
LOGPROB_LEN = 128


class Stream:
    """Batches of events; ends after a ``Finish`` or ``Rendered``.

    The runner's side calls ``feed`` and never waits. One consumer iterates; leaving the context
    before the end cancels the request. ``begun``: something has been said of it.
    """

    __slots__ = ("_cancel", "_ended", "_events", "_len", "_waiter", "begun", "closed")

    def __init__(self, cancel: Callable[[], None]) -> None:
        self.begun = False
        self.closed = False
        self._cancel = cancel
        self._events: deque[Event] = deque()
        self._len = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, event: Event) -> None:
        """Queue an event. A consumer that is too far behind loses the request, with a reason."""
        if self.closed:
            return
        self.begun = True
        self._events.append(event)
        self._len += event_len(event)
        if isinstance(event, Finish | Rendered):
            self.closed = True
        elif self._len > BYTES_MAX or len(self._events) > EVENTS_MAX:
            self._give_up()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _give_up(self) -> None:
        usage = Usage()
        self._events.clear()
        self._events.append(Finish("error", usage, error=Failure("Cancelled", "the client reads too slowly")))
        self.closed = True
        self._cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.closed:
            self.closed = True
            self._cancel()
        self._events.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        if self._ended:
            raise StopAsyncIteration
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch = tuple(self._events)
        self._events.clear()
        self._len = 0
        self._ended = isinstance(batch[-1], Finish | Rendered)
        return batch


def event_len(event: Event) -> int:
    """About how many bytes an event holds while it waits."""
    if isinstance(event, Start):
        return EVENT_LEN
    if isinstance(event, Rendered):
        return EVENT_LEN + len(event.prompt)
    size = EVENT_LEN + len(event.text) + len(event.thinking)
    if event.logprobs:
        size += LOGPROB_LEN * sum(1 + len(entry.top) for entry in event.logprobs)
    return size
