"""A world for the scheduler that does only what a test says, on a clock that a test turns."""

from collections.abc import Callable

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from lcrt.core.event import Finish, Usage
from lcrt.core.model import CachedTokens, DraftedTokens, LoadRequest, ModelSpec, RunnerInfo
from lcrt.core.options import LoadOptions
from lcrt.core.question import PlainText, Question, Reply
from lcrt.core.request import InferenceRequest
from lcrt.errors import LcrtError
from lcrt.runner.stream import Stream
from lcrt.scheduler.event import Ended, Failed, Happening, Lost, Progressed, Ready, Tick
from lcrt.scheduler.lease import Lease
from lcrt.scheduler.scheduler import Scheduler

N_CTX_TRAIN = 8192
WALL = 1_000_000.0


async def settle() -> None:
    """Let everything that can go on do so; no chain of wakes in the scheduler is longer than this."""
    for _ in range(12):
        await anyio.lowlevel.checkpoint()


class FakeRunner:
    """Answers every request with its end."""

    def __init__(self) -> None:
        self.alive = True
        self.n_grown = 0

    def cached(self) -> CachedTokens:
        return CachedTokens(device=3, host=2, disk=1)

    def drafted(self) -> DraftedTokens:
        return DraftedTokens()

    def grown(self) -> int:
        return self.n_grown

    def submit(self, _request: InferenceRequest, /) -> Stream:
        stream = Stream(lambda: None)
        stream.feed(Finish("stop", Usage()))
        return stream

    async def ask(self, _question: Question, /) -> Reply:
        return PlainText("")


class FakeEffects:
    """Remembers orders; ``ready``, ``fail`` and ``end`` carry them out."""

    def __init__(self) -> None:
        self.time = 100.0
        self.loading: dict[str, int] = {}
        self.running: dict[str, tuple[int, FakeRunner]] = {}
        self.stopping: dict[str, int] = {}
        self.requests: list[LoadRequest] = []
        self.alarm: float | None = None
        self.post: Callable[[Happening], None]

    def open(self, _tasks: TaskGroup, post: Callable[[Happening], None], /) -> None:
        self.post = post

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return WALL + self.time

    def load(self, serial: int, request: LoadRequest) -> None:
        path = request.model.path
        assert not {path} & {*self.loading, *self.running, *self.stopping}, "two runners for one model"
        self.loading[path] = serial
        self.requests.append(request)

    def stop(self, serial: int) -> None:
        [path] = [p for p, s in (self.loading | {p: s for p, (s, _) in self.running.items()}).items() if s == serial]
        self.loading.pop(path, None)
        self.running.pop(path, None)
        self.stopping[path] = serial

    def wake_at(self, when: float | None) -> None:
        self.alarm = when

    async def ready(self, path: str) -> None:
        serial, runner = self.loading.pop(path), FakeRunner()
        self.running[path] = serial, runner
        n_ctx = self.requests[-1].options.num_ctx or 4096
        self.post(Ready(serial, runner, RunnerInfo(n_ctx, N_CTX_TRAIN, 26, 4, 1000, 0, 0.0, serial)))
        await settle()

    async def progress(self, path: str) -> None:
        self.post(Progressed(self.loading[path]))
        await settle()

    async def fail(self, path: str, error: LcrtError) -> None:
        self.post(Failed(self.loading.pop(path), error))
        await settle()

    async def end(self, path: str) -> None:
        self.post(Ended(self.stopping.pop(path), "as told"))
        await settle()

    async def die(self, path: str) -> None:
        """Lost at once; ``end`` makes the process go."""
        serial, runner = self.running.pop(path)
        runner.alive = False
        self.stopping[path] = serial
        self.post(Lost(serial))
        await settle()

    async def advance(self, seconds: float) -> None:
        self.time += seconds
        while self.alarm is not None and self.alarm <= self.time:
            self.alarm = None
            self.post(Tick())
            await settle()


class House:
    """A scheduler, its world, and requests that run beside the test."""

    def __init__(self, scheduler: Scheduler, world: FakeEffects, tasks: TaskGroup) -> None:
        self.scheduler = scheduler
        self.world = world
        self.tasks = tasks

    async def ask(self, path: str, keep_alive: float | None = None, **options: int | bool) -> "Ask":
        asked = Ask(path, LoadOptions(**options), keep_alive)  # type: ignore[arg-type]
        self.tasks.start_soon(asked.run, self.scheduler)
        await settle()
        return asked

    async def load(self, path: str, keep_alive: float | None = None, **options: int | bool) -> "Ask":
        """Ask for a model and let it get ready."""
        asked = await self.ask(path, keep_alive, **options)
        await self.world.ready(path)
        assert asked.lease is not None
        return asked

    def states(self) -> dict[str, str]:
        return {row.model.path: row.state for row in self.scheduler.loaded()}


class Ask:
    """One request: waits for its lease, holds it until ``done``, or leaves before."""

    def __init__(self, path: str, options: LoadOptions, keep_alive: float | None) -> None:
        self.spec = ModelSpec(path, path, "0", 1)
        self.options = options
        self.keep_alive = keep_alive
        self.lease: Lease | None = None
        self.error: LcrtError | None = None
        self.left = False
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._over = False

    @property
    def answered(self) -> bool:
        return self.lease is not None or self.error is not None or self.left

    @property
    def holds(self) -> bool:
        """Whether it has a lease now."""
        return self.lease is not None and not self._over

    async def run(self, scheduler: Scheduler) -> None:
        with self._scope:
            try:
                async with await scheduler.acquire(self.spec, self.options, keep_alive=self.keep_alive) as lease:
                    self.lease = lease
                    await self._done.wait()
            except LcrtError as error:
                self.error = error
            finally:
                self._over = True

    async def done(self) -> None:
        self._done.set()
        await settle()

    async def leave(self) -> None:
        self.left = True
        self._scope.cancel()
        await settle()
