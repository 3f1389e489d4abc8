"""The one loop that decides which models are loaded: events in, effects out, no locks."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from math import inf

import anyio
from anyio.abc import TaskStatus

from lcrt.core.model import LoadedModel, LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.errors import BusyError, LcrtError, LoadError
from lcrt.scheduler.effects import Effects, ProcessEffects
from lcrt.scheduler.event import Acquire, Close, Ended, Expire, Failed, Lost, Message, Progressed, Ready, Release, Tick
from lcrt.scheduler.lease import Lease
from lcrt.scheduler.policy import Plan, plan, serves
from lcrt.scheduler.settings import SchedulerSettings
from lcrt.scheduler.state import Resident, Waiter

log = logging.getLogger("lcrt.scheduler")

BUSY_TEXT = "server busy, please try again.  maximum pending requests exceeded"
CLOSING_TEXT = "the server is shutting down"
STALLED_TEXT = "timed out waiting for the model to load: no progress for {:.0f} seconds"
LOAD_DURATION_MIN = 1e-9


class Scheduler:
    """Loads models on demand, keeps them while they are used, and sends them away."""

    def __init__(self, settings: SchedulerSettings, effects: Effects | None = None) -> None:
        self._settings = settings
        self._effects: Effects = effects or ProcessEffects()
        self._residents: dict[str, Resident] = {}
        self._waiting: list[Waiter] = []
        self._serial = 0
        self._closing = False
        self._close_at = inf
        self._wake_at: float | None = None
        self._ended = anyio.Event()
        self._inbox: deque[Message] = deque()
        self._news = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """The loop; ends after ``close``."""
        try:
            async with anyio.create_task_group() as tasks:
                self._effects.open(tasks, self._post)
                task_status.started()
                await self._loop()
        finally:
            self._effects.wake_at(None)
            self._closing = True
            self._waiting += [m.waiter for m in self._inbox if isinstance(m, Acquire)]
            self._fail_waiting(BusyError(CLOSING_TEXT))
            self._ended.set()

    async def acquire(
        self, spec: ModelSpec, options: LoadOptions, *, shift: bool = True, keep_alive: float | None = None
    ) -> Lease:
        """Wait for a model, loading it if need be.

        ``keep_alive`` in seconds stays in force for the model, negative means for ever, None names none.
        Raises ``BusyError`` when too many wait already, the ``EngineError`` of a load that failed.
        """
        if self._closing:
            raise BusyError(CLOSING_TEXT)
        since = self._effects.now()
        answer: asyncio.Future[Resident] = asyncio.get_running_loop().create_future()
        waiter = Waiter(spec, options, shift, keep_alive, answer)
        self._post(Acquire(waiter))
        release = partial(self._post, Release(waiter))
        try:
            resident = await answer
        except BaseException:
            release()
            raise
        if resident.info is None or resident.runner is None:
            raise LoadError("the model is not loaded")
        waited = max(self._effects.now() - since, LOAD_DURATION_MIN)
        return Lease(spec, resident.info, waited, resident.runner, release)

    async def expire(self, key: str) -> bool:
        """Unload a model as soon as it is idle; answers at once, False when it is not loaded."""
        resident = self._residents.get(key)
        if resident is None or resident.state == "leaving":
            return False
        self._post(Expire(key))
        return True

    def loaded(self) -> tuple[LoadedModel, ...]:
        """What is loaded, loading or leaving, in the order in which it was loaded."""
        now, wall = self._effects.now(), self._effects.wall()
        return tuple(resident.row(now, wall) for resident in self._residents.values())

    async def close(self, grace: float) -> None:
        """Take no more requests, let those that run end, then stop all runners; returns when they are gone."""
        self._closing = True
        self._post(Close(grace))
        await self._ended.wait()

    async def _loop(self) -> None:
        while self._close_at == inf or self._residents or self._inbox:
            while self._inbox:
                self._handle(self._inbox.popleft())
                self._settle()
            if self._residents or self._close_at == inf:
                self._news = anyio.Event()
                await self._news.wait()

    def _post(self, message: Message) -> None:
        self._inbox.append(message)
        self._news.set()

    def _handle(self, message: Message) -> None:
        if isinstance(message, Acquire):
            self._on_acquire(message.waiter)
        elif isinstance(message, Release):
            self._on_release(message.waiter)
        elif isinstance(message, Expire):
            self._on_expire(message.key)
        elif isinstance(message, Close):
            self._close_at = self._effects.now() + message.grace
            self._fail_waiting(BusyError(CLOSING_TEXT))
        elif isinstance(message, Tick):
            self._wake_at = None
        elif isinstance(message, Progressed | Ready | Failed | Lost | Ended):
            resident = next((r for r in self._residents.values() if r.serial == message.serial), None)
            if resident is not None:
                self._on_news(resident, message)

    def _on_acquire(self, waiter: Waiter) -> None:
        if waiter.answer.done():
            return
        if len(self._waiting) >= self._settings.max_queue and waiter not in self._plan([*self._waiting, waiter]).grants:
            waiter.answer.set_exception(BusyError(BUSY_TEXT))
        else:
            self._waiting.append(waiter)

    def _on_release(self, waiter: Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        resident, waiter.resident = waiter.resident, None
        if resident is not None:
            resident.users -= 1
            if not resident.users and resident.session is not None and resident.state == "ready":
                resident.deadline = self._effects.now() + resident.session

    def _on_expire(self, key: str) -> None:
        resident = self._residents.get(key)
        if resident is not None and resident.state != "leaving":
            resident.session = 0.0
            if not resident.users:
                resident.deadline = self._effects.now()

    def _on_news(self, resident: Resident, news: Progressed | Ready | Failed | Lost | Ended) -> None:
        if isinstance(news, Progressed):
            resident.progress_at = self._effects.now()
        elif isinstance(news, Ready):
            if resident.state == "loading":
                resident.state, resident.runner, resident.info = "ready", news.runner, news.info
                log.info("loaded %s: %s", resident.spec.name, news.info)
                if resident.session is not None:
                    resident.deadline = self._effects.now() + resident.session
        elif isinstance(news, Lost):
            if resident.state == "ready":
                resident.state, resident.deadline = "leaving", None
        else:
            if isinstance(news, Failed) and resident.state == "loading":
                self._fail_waiting(news.error, resident)
            del self._residents[resident.key]

    def _fail_waiting(self, error: LcrtError, resident: Resident | None = None) -> None:
        """Answer those that wait for a resident, or all, with an error."""
        left: list[Waiter] = []
        for waiter in self._waiting:
            if resident is not None and not self._served_by(resident, waiter):
                left.append(waiter)
            elif not waiter.answer.done():
                waiter.answer.set_exception(type(error)(error.message, error.hint))
        self._waiting = left

    def _served_by(self, resident: Resident, waiter: Waiter) -> bool:
        return waiter.key == resident.key and serves(resident, waiter, self._settings.context_length)

    def _settle(self) -> None:
        """Do what the state asks for: serve, load, send away, and set the alarm for the next change."""
        self._stop_stalled()
        now = self._plan(self._waiting)
        for waiter in now.grants:
            self._grant(waiter)
        for resident in now.stops:
            self._stop(resident)
        for resident in self._residents.values():
            if self._should_go(resident):
                self._stop(resident)
        for waiter in now.loads:
            self._load(waiter)
        self._set_alarm()

    def _plan(self, waiting: Sequence[Waiter]) -> Plan:
        settings = self._settings
        return plan(waiting, self._residents, settings.max_loaded_models, settings.context_length)

    def _grant(self, waiter: Waiter) -> None:
        self._waiting.remove(waiter)
        if waiter.answer.done():
            return
        resident = self._residents[waiter.key]
        _keep(resident, waiter.keep_alive)
        resident.users += 1
        resident.deadline = None
        waiter.resident = resident
        waiter.answer.set_result(resident)

    def _load(self, waiter: Waiter) -> None:
        settings = self._settings
        self._serial += 1
        resident = Resident(self._serial, waiter.spec, waiter.options, settings.keep_alive, self._effects.now())
        _keep(resident, waiter.keep_alive)
        self._residents[waiter.key] = resident
        request = LoadRequest(
            waiter.spec,
            waiter.options,
            shift=waiter.shift,
            n_parallel=settings.num_parallel,
            context_length=settings.context_length,
            flash_attention=settings.flash_attention,
            kv_cache_type=settings.kv_cache_type,
            latency_target=settings.latency_target,
            stream_interval=settings.stream_interval,
            cache=settings.cache,
            speculation=settings.speculation,
        )
        log.info("loading %s", waiter.spec.name)
        self._effects.load(resident.serial, request)

    def _stop(self, resident: Resident) -> None:
        if resident.state != "leaving":
            log.info("unloading %s", resident.spec.name)
            resident.state = "leaving"
            resident.deadline = None
            self._effects.stop(resident.serial)

    def _should_go(self, resident: Resident) -> bool:
        now = self._effects.now()
        if self._closing:
            return not resident.users or now >= self._close_at
        if resident.state == "loading":
            return not any(self._served_by(resident, waiter) for waiter in self._waiting)
        return not resident.users and resident.deadline is not None and now >= resident.deadline

    def _stop_stalled(self) -> None:
        timeout = self._settings.load_timeout
        if timeout is None:
            return
        for resident in self._residents.values():
            if resident.state == "loading" and self._effects.now() >= resident.progress_at + timeout:
                self._fail_waiting(LoadError(STALLED_TEXT.format(timeout)), resident)
                self._stop(resident)

    def _set_alarm(self) -> None:
        timeout = inf if self._settings.load_timeout is None else self._settings.load_timeout
        times: list[float] = []
        for resident in self._residents.values():
            if resident.state == "loading":
                times.append(resident.progress_at + timeout)
            elif resident.state == "ready":
                times.append(self._close_at if resident.deadline is None else resident.deadline)
        soonest = min(times, default=inf)
        wake_at = None if soonest == inf else soonest
        if wake_at != self._wake_at:
            self._wake_at = wake_at
            self._effects.wake_at(wake_at)


def _keep(resident: Resident, keep_alive: float | None) -> None:
    """A request that names a keep-alive changes it for good; negative is for ever."""
    if keep_alive is not None:
        resident.session = keep_alive if keep_alive >= 0 else None
