"""Kill a process at every step by which it changes a store, start anew, and look at what is left.

``python -m tests.store.crash.torture --points 10000`` prints what it did; exit code 1 and a list of
what went wrong otherwise. A point is a plan, a step of it, and a kill or a power cut there.
"""

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lcrt.errors import LcrtError
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.crash import look, mistakes
from tests.store.crash.plans import Operation, Plan, World, drawn, fixed, stay_here
from tests.store.crash.steps import Steps

_DONE, _FAILED = 0, 3
_DRAWN_POINTS = 40
_ENOUGH = 20
"""Wrong outcomes after which there is no need for more."""


class Point(msgspec.Struct, frozen=True):
    """Where the process ends; ``lost`` is the seed of a power cut, None for a kill."""

    plan: str
    step: int
    lost: int | None = None


class Case:
    """A plan with the store that it starts from and the models that are there after each operation."""

    def __init__(self, name: str, plan: Plan, base: Path, folder: Path) -> None:
        self.name = name
        self.plan = plan
        self.base = base
        self.folder = folder
        self.states: list[look.Models] = []
        self.n_steps = self._rehearse()

    def _rehearse(self) -> int:
        """Run the plan to its end in a process of its own; returns how many steps it took."""
        root = self.fresh()
        report = self.folder / "report"
        pid = os.fork()
        if pid == 0:
            with ending():
                store, steps = Store(root), Steps(root)
                steps.install()
                states = [look.models(root)]
                for operation in self.plan:
                    operation(store)
                    steps.mark()
                    states.append(look.models(root))
                report.write_bytes(msgspec.msgpack.encode((steps.count, states)))
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != _DONE:
            raise SystemExit(f"the plan `{self.name}` fails without a crash")
        n_steps, self.states = msgspec.msgpack.decode(report.read_bytes(), type=tuple[int, list[look.Models]])
        report.unlink()
        return n_steps

    def run(self, point: Point) -> list[str]:
        """Crash at a point and say what is wrong afterwards."""
        root = self.fresh()
        acked = self._crash(root, point)
        wrong = look.wrong(root)
        allowed = self.states[acked : acked + 2]
        if look.models(root) not in allowed:
            wrong.append(f"models are neither those before operation {acked} nor those after it")
        if wrong:
            return wrong
        return self._go_on(root, self.states.index(look.models(root), acked))

    def _go_on(self, root: Path, done: int) -> list[str]:
        """Start anew, finish the plan, and collect."""
        before = look.models(root)
        with self._started(root) as do:
            wrong = [*look.wrong(root), *look.leftovers(root)]
            if look.models(root) != before:
                wrong.append("the next start changed the models")
            for operation in self.plan[done:]:
                do(operation)
            if look.models(root) != self.states[-1]:
                wrong.append("doing it again has another outcome")
        Store(root).collect(Ages(blob=-1, partial=-1))
        return [*wrong, *look.wrong(root), *look.unneeded(root)]

    @contextlib.contextmanager
    def _started(self, root: Path) -> Iterator[Callable[[Operation], None]]:
        """Begin as the daemon does."""
        store = Store(root)
        store.prune()
        yield lambda operation: operation(store)
        store.close()

    def _crash(self, root: Path, point: Point) -> int:
        """Run the plan in a process that ends at the point; returns how many operations were acknowledged."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with ending():
                store = Store(root)
                say = os.write
                steps = Steps(root, point.step, point.lost)
                steps.install()
                for operation in self.plan:
                    operation(store)
                    say(writing, b"k")
                    steps.mark()
        os.close(writing)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        acked = len(os.read(reading, 64))
        os.close(reading)
        if status != -signal.SIGKILL:
            raise SystemExit(f"{point}: ended with {status} instead of being killed")
        return acked

    def fresh(self) -> Path:
        root = self.folder / "store"
        for old in (root, root.with_name("store.graves")):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(self.base, root, symlinks=True)
        return root


class ending:  # noqa: N801 -- reads as what it does
    """The end of a forked process: nothing of its parent's runs in it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(_DONE if error is None else _FAILED)


def points(case: Case, chance: random.Random, only: int | None) -> Iterator[Point]:
    """Every step of a plan once as a kill and once as a power cut, or ``only`` so many of them by chance."""
    every = [Point(case.name, step) for step in range(1, case.n_steps + 1)]
    every += [Point(case.name, step, chance.getrandbits(32)) for step in range(1, case.n_steps + 1)]
    return iter(every if only is None else chance.sample(every, min(only, len(every))))


Cases = Iterator[tuple[Case, int | None]]
"""Cases with how many of their points to take, None for all."""


def run_all(cases: Cases, n_points: int, seed: int) -> tuple[int, list[str]]:
    """Go through cases wholly, and then through more until there were enough points."""
    wrong: list[str] = []
    n_done = 0
    for case, only in cases:
        if only is not None and n_done >= n_points:
            break
        for point in points(case, random.Random(f"{seed} {case.name}"), only):
            n_done += 1
            try:
                wrong += [f"{point}: {text}" for text in case.run(point)]
            except LcrtError as error:
                wrong.append(f"{point}: after the crash: {error}")
            if len(wrong) > _ENOUGH:
                return n_done, wrong
    return n_done, wrong


def cases(folder: Path, seed: int, part: tuple[int, int], only: str | None) -> Cases:
    """Make the fixed plans, or a share of them, and then plans by chance without end."""
    world = World(folder / "world")
    base = folder / "base"
    store = Store(base)
    world.prepare(store)
    store.close()
    i, n = part
    for name, plan in list(fixed(world).items())[i::n]:
        if only in (None, name):
            yield Case(name, plan, base, folder), None
    for drawing in itertools.count(seed * 1_000_000 + i, n):
        yield Case(f"drawn {drawing}", drawn(world, drawing), base, folder), _DRAWN_POINTS


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder in memory if there is such a place: no disk is worn by all this."""
    stay_here()
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="lcrt-crash-", dir=place) as name:
        yield Path(name)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000, help="how many points at least")
    parser.add_argument("--seed", type=int, default=1, help="where plans and power cuts are drawn from")
    parser.add_argument("--part", default="0/1", help="which share of the fixed plans: i/n")
    parser.add_argument("--plan", help="only this one of the fixed plans, before others")
    parser.add_argument("--mistake", choices=mistakes.ALL, help="plant a mistake, to see it found")
    given = parser.parse_args()
    if given.mistake:
        mistakes.ALL[given.mistake]()
    i, n = map(int, given.part.split("/"))
    started = time.monotonic()
    with workplace() as folder:
        n_done, wrong = run_all(cases(folder, given.seed, (i, n), given.plan), given.points, given.seed)
    for text in wrong:
        print(text)  # noqa: T201
    print(f"{n_done} points in {time.monotonic() - started:.1f} s, seed {given.seed}: {len(wrong)} wrong")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
