"""Threads that prepare requests while the loop goes on; results come back through a descriptor."""

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Workers(Generic[In, Out]):
    """``work`` on threads of their own. ``put``, ``take`` and ``close`` belong to one thread.

    ``work`` must not raise. Results come in the order in which they are ready.
    """

    def __init__(self, work: Callable[[In], Out], n_threads: int) -> None:
        self._work = work
        self._todo: queue.SimpleQueue[In | None] = queue.SimpleQueue()
        self._done: deque[Out] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n_threads)]
        for thread in self._threads:
            thread.start()

    def fileno(self) -> int:
        """Readable when results wait."""
        return self._reader

    def put(self, item: In) -> None:
        """Queue one piece of work."""
        self._todo.put(item)

    def take(self) -> list[Out]:
        """Results so far, maybe none."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return []
        out: list[Out] = []
        while self._done:
            out.append(self._done.popleft())
        return out

    def close(self) -> None:
        """End the threads after what they do now; queued work is still done."""
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _run(self) -> None:
        while (item := self._todo.get()) is not None:
            self._done.append(self._work(item))
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"\0")
