"""The daemon: bind, prune, listen, and end in good order."""

import asyncio
import contextlib
import errno
import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Protocol

import anyio
from anyio.abc import TaskStatus

from lcrt.config.address import Address
from lcrt.config.settings import Settings
from lcrt.core.model import CacheBudget
from lcrt.errors import ConfigError
from lcrt.modelfile.catalog import Catalog
from lcrt.registry.options import from_settings
from lcrt.registry.service import Registries
from lcrt.scheduler.scheduler import Scheduler
from lcrt.scheduler.settings import SchedulerSettings
from lcrt.server.app import App
from lcrt.server.connection import Listener
from lcrt.server.limits import Limits, fit_to_files
from lcrt.server.publish import HubModels
from lcrt.server.security import Guard
from lcrt.server.services import Models, Services, user_agent
from lcrt.store.states import States
from lcrt.store.store import Store

CACHE_RAM_MAX = 8 << 30
DRAIN_GRACE = 20.0
"""Seconds that running answers get after the first signal to stop."""

_LOG = logging.getLogger("lcrt.server")
_RUNNER_GRACE = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class RunningModels(Models, Protocol):
    """A scheduler with its loop."""

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """The loop."""

    async def close(self, grace: float) -> None:
        """End it."""


async def serve(
    settings: Settings,
    version: str,
    *,
    limits: Limits | None = None,
    leash_fd: int | None = None,
    on_listening: Callable[[Address], None] | None = None,
    models: RunningModels | None = None,
) -> None:
    """Serve until a signal comes or the other end of ``leash_fd``, a socket, is closed.

    The first signal lets running answers end, the second stops at once. ``on_listening`` is
    told the address, with the real port. ConfigError when it cannot be bound.
    """
    limits = fit_to_files(limits or Limits(max_body=settings.max_body))
    sockets = bind(settings.host)
    address = Address(host=settings.host.host, port=sockets[0].getsockname()[1])
    scheduler = models or Scheduler(_scheduler_settings(settings))
    store = Store(settings.models, States(settings.cache_dir))
    services = Services(scheduler, store, Catalog(store), version, keep_old=settings.noprune)
    options = from_settings(settings, user_agent(version))
    services.registries = Registries(store, options, maker=HubModels(store))
    guard = Guard(settings.origins, loopback=_is_loopback(sockets))
    listener = Listener(App(services, guard, limits), limits)
    if not settings.noprune:
        await asyncio.to_thread(store.prune)
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        with _signals(stop, tasks.cancel_scope), contextlib.ExitStack() as ending:
            ending.callback(listener.stop)
            await tasks.start(scheduler.run)
            await listener.open(sockets)
            tasks.start_soon(_get_to_know, services.catalog)
            _LOG.info("listening on %s", address)
            if on_listening is not None:
                on_listening(address)
            if leash_fd is not None:
                tasks.start_soon(_watch_leash, leash_fd, stop)
            await stop.wait()
            _LOG.info("stopping")
            await listener.close(DRAIN_GRACE)
            await asyncio.to_thread(services.registries.close)
            await scheduler.close(_RUNNER_GRACE)
            tasks.cancel_scope.cancel()


def bind(address: Address) -> list[socket.socket]:
    """Bind every address that the host stands for; a port of 0 is chosen once for all."""
    if address.scheme != "http":
        raise ConfigError(f"cannot serve {address}: only http, put a proxy in front for https")
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot resolve {address.host}: {error.strerror}") from error
    sockets: list[socket.socket] = []
    port = address.port
    for family, kind, protocol, _, place in dict.fromkeys(found):
        # Named, the protocol tells asyncio to turn Nagle's delay off for what is accepted.
        sock = socket.socket(family, kind, protocol)
        sockets.append(sock)
        try:
            _bind_one(sock, (place[0], port, *place[2:]))
        except OSError as error:
            for each in sockets:
                each.close()
            raise _bind_error(address, error) from error
        port = sock.getsockname()[1]
    return sockets


def _bind_one(sock: socket.socket, place: tuple[object, ...]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.settimeout(0)
    sock.bind(place)
    sock.listen()


def _bind_error(address: Address, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"address already in use: {address.netloc}", "is another server running? LCRT_HOST picks another address"
        )
    return ConfigError(f"cannot listen on {address.netloc}: {error.strerror}")


def _is_loopback(sockets: list[socket.socket]) -> bool:
    places = [sock.getsockname()[0] for sock in sockets]
    return all(Address(host=place).is_loopback for place in places)


def _scheduler_settings(settings: Settings) -> SchedulerSettings:
    return SchedulerSettings(
        keep_alive=_finite(settings.keep_alive),
        max_loaded_models=settings.max_loaded_models,
        max_queue=settings.max_queue,
        load_timeout=_finite(settings.load_timeout),
        num_parallel=settings.num_parallel,
        context_length=settings.context_length,
        flash_attention=settings.flash_attention,
        kv_cache_type=settings.kv_cache_type,
        latency_target=settings.prefill_latency,
        stream_interval=settings.stream_interval,
        cache=CacheBudget(_cache_ram(settings.cache_ram), settings.cache_disk, str(settings.cache_dir)),
        speculation=settings.speculation,
    )


def _cache_ram(wanted: int | None) -> int:
    """Take a tenth of the machine's memory when nothing else is wanted, up to a limit."""
    if wanted is not None:
        return wanted
    return min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10, CACHE_RAM_MAX)


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


@contextlib.contextmanager
def _signals(stop: anyio.Event, scope: anyio.CancelScope) -> Iterator[None]:
    """The first signal sets ``stop``, the next cancels ``scope``."""
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            scope.cancel()
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _get_to_know(catalog: Catalog) -> None:
    """Read all models once, so that the first list does not wait for it."""
    await anyio.to_thread.run_sync(catalog.models, abandon_on_cancel=True)


async def _watch_leash(fd: int, stop: anyio.Event) -> None:
    """Stop when whoever holds the other end lets go, or dies."""
    with socket.socket(fileno=fd) as leash:
        leash.settimeout(0)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while await loop.sock_recv(leash, 1):
                pass
    stop.set()
