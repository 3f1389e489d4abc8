"""The same torture for a whole daemon: clients ask over HTTP, a step of the answer is its last.

``python -m tests.store.crash.daemon --points 100`` kills daemons; with ``--serve FOLDER`` it is one,
whose models are made up, and prints its port.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import msgspec

import lcrt.registry.auth
import lcrt.registry.client
import lcrt.registry.pull  # noqa: F401 -- once here, not in every daemon that is forked
from lcrt.client.api import Api
from lcrt.config.address import Address
from lcrt.config.settings import Settings
from lcrt.errors import LcrtError
from lcrt.server.serve import serve
from lcrt.store.store import Store
from tests.registry.server import MODEL, Registry
from tests.server.fake import FakeModels
from tests.store.crash import look
from tests.store.crash.plans import World, digest_of
from tests.store.crash.steps import Steps
from tests.store.crash.torture import Case, Cases, Point, ending, run_all, workplace

Ask = Callable[[Api], None]

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_DEATH = 5.0


def serve_folder(root: Path, told: Callable[[Address], None]) -> None:
    """Be a daemon until a signal comes."""
    settings = Settings(host=Address(port=0), models=root, cache_disk=0, cache_dir=root.parent / "cache")
    anyio.run(partial(serve, settings, "0", on_listening=told, models=FakeModels()))


class Published(Registry):
    """A registry with a model in it."""

    def __init__(self) -> None:
        super().__init__()
        self.add("library/m", {self.put(bytes(range(256)) * 1000): MODEL, self.put(b"{ }"): "params"})
        self._own = set(self.blobs)

    def forget_pushes(self) -> None:
        """Have only its own model again."""
        for digest in set(self.blobs) - self._own:
            del self.blobs[digest]


class DaemonCase(Case):
    """Operations are requests; the plan's functions get an ``Api``."""

    def __init__(self, name: str, asks: tuple[Ask, ...], base: Path, folder: Path) -> None:
        self.asks = asks
        super().__init__(name, tuple(partial(_never, ask) for ask in asks), base, folder)

    def _rehearse(self) -> int:
        root, report = self.fresh(), self.folder / "report"
        pid, api = start(root, Steps(root), report)
        assert api is not None
        self.states = [look.models(root)]
        for ask in self.asks:
            ask(api)
            self.states.append(look.models(root))
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        return int(msgspec.msgpack.decode(report.read_bytes()))

    def _crash(self, root: Path, point: Point) -> int:
        pid, api = start(root, Steps(root, point.step, point.lost))
        acked = 0
        if api is None:
            return acked
        try:
            for ask in self.asks:
                ask(api)
                acked += 1
        except LcrtError as error:
            if not _ends(pid):
                raise SystemExit(f"{point}: the daemon lives, but {error}") from error
        else:
            _kill(pid)
        return acked

    @contextlib.contextmanager
    def _started(self, root: Path) -> Iterator[Callable[[object], None]]:
        pid, api = start(root)
        assert api is not None
        yield lambda operation: self.asks[self.plan.index(operation)](api)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _never(_ask: Ask, _store: Store) -> None:
    raise AssertionError("a request is not for a store")


def start(root: Path, steps: Steps | None = None, report: Path | None = None) -> tuple[int, Api | None]:
    """Fork a daemon; no Api when it ended before it listened."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with ending():
            os.close(reading)
            if steps is not None:
                steps.install()
            serve_folder(root, lambda address: void(os.write(writing, str(address.port).encode())))
            if report is not None and steps is not None:
                report.write_bytes(msgspec.msgpack.encode(steps.count))
    os.close(writing)
    port = os.read(reading, 16)
    os.close(reading)
    if not port:
        os.waitpid(pid, 0)
        return pid, None
    return pid, Api(Address(port=int(port)))


def void(_value: object) -> None:
    """Drop a result."""


def _ends(pid: int) -> bool:
    """Wait for the end of a process that is dying."""
    deadline = time.monotonic() + _DEATH
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    _kill(pid)
    return False


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def create(world: World, seed: int, name: str) -> Ask:
    """Upload a file and make a model of it."""

    def ask(api: Api) -> None:
        data = world.files[seed].read_bytes()
        digest = digest_of(data)
        if not api.has_blob(digest):
            api.upload(digest, [data], len(data))
        _create(api, {"model": name, "files": {"m.gguf": digest}, "system": name})

    return ask


def convert(world: World, seed: int, name: str) -> Ask:
    """Upload a folder of safetensors and make a model of it."""

    def ask(api: Api) -> None:
        digests: dict[str, str] = {}
        for path, data in world.safetensors(seed).items():
            digests[path] = digest_of(data)
            if not api.has_blob(digests[path]):
                api.upload(digests[path], [data], len(data))
        _create(api, {"model": name, "files": digests})

    return ask


def quantize(name: str, base: str) -> Ask:
    """Make a model of another one whose weights get another type."""
    return lambda api: _create(api, {"model": name, "from": base, "quantize": "q8_0"})


def _create(api: Api, request: dict[str, object]) -> None:
    with api.create(request) as statuses:
        assert [status.status for status in statuses][-1] == "success"


def pull(registry: Registry) -> Ask:
    """Fetch a model from a registry."""

    def ask(api: Api) -> None:
        with api.pull({"model": f"{registry.host}/library/m", "insecure": True}) as statuses:
            assert [status.status for status in statuses][-1] == "success"

    return ask


def push(registry: Registry) -> Ask:
    """Give a model to a registry."""

    def ask(api: Api) -> None:
        with api.push({"model": f"{registry.host}/library/pushed", "insecure": True}) as statuses:
            assert [status.status for status in statuses][-1] == "success"

    return ask


def plans(world: World, registry: Registry) -> dict[str, tuple[Ask, ...]]:
    """What clients do."""
    return {
        "daemon: pull": (pull(registry),),
        "daemon: push": (
            create(world, 2, "new"),
            lambda api: api.copy("new", f"{registry.host}/library/pushed"),
            push(registry),
        ),
        "daemon: create, copy, delete": (
            create(world, 2, "new"),
            lambda api: api.copy("new", "a"),
            lambda api: api.delete("other"),
            create(world, 3, "new"),
        ),
        "daemon: convert, quantize": (convert(world, 1, "new"), quantize("small", "new"), quantize("other", "b")),
    }


def cases(folder: Path, registry: Published, only: int) -> Cases:
    """Make a case of each plan again and again."""
    world = World(folder / "world")
    base = folder / "base"
    store = Store(base)
    world.prepare(store)
    store.close()
    while True:
        for name, asks in plans(world, registry).items():
            yield DaemonCase(name, asks, base, folder), only
            registry.forget_pushes()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100, help="how many points at least")
    parser.add_argument("--seed", type=int, default=1, help="where points and power cuts are drawn from")
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help="be a daemon on this store")
    given = parser.parse_args()
    for name in _PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    if given.serve:
        serve_folder(given.serve, lambda address: print(address.port, flush=True))  # noqa: T201
        return 0
    started = time.monotonic()
    with workplace() as folder, Published() as registry:
        n_done, wrong = run_all(cases(folder, registry, max(given.points // 4, 10)), given.points, given.seed)
    for text in wrong:
        print(text)  # noqa: T201
    print(f"{n_done} points in {time.monotonic() - started:.1f} s, seed {given.seed}: {len(wrong)} wrong")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
