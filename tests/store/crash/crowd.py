"""Two daemons and a command line on one store: they make, pull, push, copy, delete and collect the same models at once.

Whatever order they come in, nothing published lacks a blob and nothing is left that no model needs.
``python -m tests.store.crash.crowd``; exit code 1 and a list of what went wrong otherwise.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial

from lcrt.client.api import Api
from lcrt.errors import EngineError, LcrtError, NotFound
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.registry.server import Registry
from tests.store.crash import look
from tests.store.crash.daemon import Ask, Published, create, pull, push, start
from tests.store.crash.plans import NAMES, Operation, World
from tests.store.crash.torture import ending, workplace

N_ROUNDS = 60
_FAILED = 3


def client(world: World, api: Api, registry: Registry, seed: int) -> list[str]:
    """Ask for changes by chance; returns what no client should be told."""
    chance = random.Random(seed)
    pulled, pushed = (f"{registry.host}/library/{name}" for name in ("m", "pushed"))
    wrong: list[str] = []

    def ask() -> Ask:
        name, other, file = chance.choice(NAMES), chance.choice(NAMES), chance.randrange(4)
        return chance.choice(
            (
                create(world, file, name),
                lambda api: api.copy(other, name),
                lambda api: api.delete(name),
                pull(registry),
                lambda api: api.delete(pulled),
                lambda api: api.copy(other, pushed),
                push(registry),
            )
        )

    for _ in range(N_ROUNDS):
        try:
            ask()(api)
        except (NotFound, EngineError) as error:
            if not isinstance(error, NotFound) and "no such file" not in error.message:
                wrong.append(f"a client is told: {error}")
        except LcrtError as error:
            wrong.append(f"a client is told: {error}")
    return wrong


def command(world: World, store: Store, seed: int) -> list[str]:
    """Change the store without a daemon."""
    chance = random.Random(seed)
    wrong: list[str] = []
    for _ in range(N_ROUNDS):
        name, file = chance.choice(NAMES), chance.randrange(4)
        operations: tuple[Operation, ...] = (
            world.take_in(file, name, link=chance.random() < 0.5),
            world.pull(file, name),
            world.unpack(name),
            world.collect(),
        )
        try:
            chance.choice(operations)(store)
        except LcrtError as error:
            wrong.append(f"a command says: {error}")
    return wrong


def main() -> int:
    """Run from the command line."""
    with workplace() as folder, Published() as registry:
        world = World(folder / "world")
        root = folder / "store"
        store = Store(root)
        world.prepare(store)
        store.close()
        daemons = [start(root) for _ in range(2)]
        works: list[Callable[[], list[str]]] = [
            partial(client, world, api, registry, i) for i, (_, api) in enumerate(daemons * 2) if api
        ]
        works.append(partial(command, world, Store(root), 9))
        n_failed = run_at_once(works)
        for pid, _ in daemons:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        Store(root).collect(Ages(blob=-1, partial=-1))
        wrong = [*look.wrong(root), *look.leftovers(root), *look.unneeded(root)]
    for text in wrong:
        print(text)  # noqa: T201
    print(f"{N_ROUNDS} changes by each of {len(works)} at once: {len(wrong) + n_failed} wrong")  # noqa: T201
    return 1 if wrong or n_failed else 0


def run_at_once(works: list[Callable[[], list[str]]]) -> int:
    """Do each in a process of its own; returns how many found something wrong."""
    pids: list[int] = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            with ending():
                wrong = work()
                print(*wrong, sep="\n", flush=True)  # noqa: T201
                if wrong:
                    os._exit(_FAILED)
        pids.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


if __name__ == "__main__":
    sys.exit(main())
