"""The body of a request: read once, under a limit, with a deadline between two bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from lcrt.errors import Cancelled, TooLarge, TooSlow
from lcrt.server.limits import Limits

Receive = Callable[[], Awaitable[Any]]


class Body:
    """What the client sends after its headers. ``declared`` is its announced length, None for chunked.

    ``unpack``, when set, decompresses what ``read`` has read.
    """

    def __init__(self, receive: Receive, declared: int | None, limits: Limits) -> None:
        self.complete = declared == 0
        self.unpack: Callable[[bytes], bytes] | None = None
        self._stalled = False
        self._receive = receive
        self._declared = declared
        self._limits = limits

    async def read(self) -> bytes:
        """Read everything; TooLarge past the limit, TooSlow when the client stalls."""
        limit = self._limits.max_body
        if self._declared is not None and self._declared > limit:
            raise TooLarge(f"request body is larger than {limit} bytes")
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit:
                raise TooLarge(f"request body is larger than {limit} bytes")
            parts.append(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        return await asyncio.to_thread(self.unpack, data) if self.unpack and data else data

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        while not (self.complete or self._stalled):
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise Cancelled("the client went away while sending")
            self.complete = not message.get("more_body", False)
            if part := message.get("body"):
                yield part

    async def discard(self, at_most: int | None = None) -> bool:
        """Drop what is left, so that the client can read its answer; False when that took too much or too long."""
        if at_most is not None and self._declared is not None and self._declared > at_most:
            return self.complete
        size = 0
        with contextlib.suppress(TooSlow):
            async for part in self.chunks():
                size += len(part)
                if at_most is not None and size > at_most:
                    break
        return self.complete

    async def _next(self) -> Any:
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                return await self._receive()
        except TimeoutError as error:
            self._stalled = True
            raise TooSlow("the request body stopped arriving") from error
