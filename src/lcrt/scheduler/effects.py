"""What the scheduler can do to the world, behind an interface; what happened comes back as events."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from anyio.abc import TaskGroup

from lcrt.core.model import LoadRequest
from lcrt.errors import LcrtError, LoadError
from lcrt.runner.client import RunnerClient
from lcrt.runner.spawn import RUNNER_COMMAND, spawn
from lcrt.scheduler.event import Ended, Failed, Happening, Lost, Progressed, Ready, Tick

log = logging.getLogger("lcrt.scheduler")

STOP_GRACE = 10.0


class Effects(Protocol):
    """What can be done; nothing here waits.

    Every ``load`` is answered by Ready or Failed unless it is stopped, and in the end by Ended
    unless it has failed. Lost comes as soon as a runner cannot be asked any more.
    """

    def open(self, tasks: TaskGroup, post: Callable[[Happening], None]) -> None:
        """Called once, before anything else."""

    def now(self) -> float:
        """Seconds that only grow."""

    def wall(self) -> float:
        """Unix seconds."""

    def load(self, serial: int, request: LoadRequest) -> None:
        """Start a process and load a model in it."""

    def stop(self, serial: int) -> None:
        """End a process, also in the middle of its load."""

    def wake_at(self, when: float | None) -> None:
        """One Tick at this time, instead of the one asked for before."""


class ProcessEffects:
    """The real ones: processes, and the clock of the event loop."""

    def __init__(self, command: Sequence[str] = RUNNER_COMMAND) -> None:
        self._command = command
        self._clients: dict[int, RunnerClient] = {}
        self._stopped: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def open(self, tasks: TaskGroup, post: Callable[[Happening], None]) -> None:
        """See ``Effects``."""
        self._tasks = tasks
        self._post = post

    def now(self) -> float:
        """See ``Effects``."""
        return time.monotonic()

    def wall(self) -> float:
        """See ``Effects``."""
        return time.time()

    def load(self, serial: int, request: LoadRequest) -> None:
        """See ``Effects``."""
        self._tasks.start_soon(self._live, serial, request)

    def stop(self, serial: int) -> None:
        """See ``Effects``."""
        self._stopped.add(serial)
        client = self._clients.get(serial)
        if client is not None:
            self._tasks.start_soon(client.stop, STOP_GRACE)

    def wake_at(self, when: float | None) -> None:
        """See ``Effects``."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None:
            delay = max(when - self.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._post, Tick())

    async def _live(self, serial: int, request: LoadRequest) -> None:
        """The life of one process."""
        try:
            client = await RunnerClient.connect(spawn(self._command), lambda: self._post(Lost(serial)))
        except OSError as error:
            self._post(Failed(serial, LoadError(f"the model's process could not be started: {error}")))
            return
        self._clients[serial] = client
        try:
            failure = await self._load(serial, client, request)
            how = await client.ended()
        finally:
            del self._clients[serial]
            await client.kill()
        log.info("runner %d of %s ended: %s", client.pid, request.model.name, how)
        stopped = serial in self._stopped
        self._stopped.discard(serial)
        self._post(Ended(serial, how) if failure is None or stopped else Failed(serial, failure))

    async def _load(self, serial: int, client: RunnerClient, request: LoadRequest) -> LcrtError | None:
        if serial in self._stopped:
            self._tasks.start_soon(client.stop, STOP_GRACE)
            return None
        try:
            info = await client.load(request, lambda _: self._post(Progressed(serial)))
        except LcrtError as error:
            return error
        self._post(Ready(serial, client, info))
        return None
