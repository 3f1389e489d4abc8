"""A store that cannot be written: everything in it can be used, every change is refused with advice.

Needs the right to mount; exit code 77 where there is none.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from lcrt.client.api import Api
from lcrt.errors import LcrtError, StoreError
from lcrt.store.archive import export_model
from lcrt.store.check import check
from lcrt.store.store import Store
from tests.modelfile.models import named
from tests.registry.models import publish
from tests.registry.server import MODEL, Registry
from tests.store.crash import look
from tests.store.crash.daemon import start
from tests.store.crash.full import CANNOT_MOUNT, own_mounts
from tests.store.crash.plans import Operation, World
from tests.store.crash.torture import workplace


def refused(do: Callable[[], object]) -> bool:
    """Do it and tell whether it was refused as it should be."""
    try:
        do()
    except StoreError as error:
        return "Read-only file system" in error.message and bool(error.hint)
    return False


def main() -> int:
    """Run from the command line."""
    if not own_mounts():
        return CANNOT_MOUNT
    with workplace() as folder, Registry() as registry:
        world = World(folder / "world")
        root = folder / "store"
        store = Store(root)
        world.prepare(store)
        publish(store, registry.host, {b"weights": MODEL})
        store.close()
        subprocess.run(["mount", "--bind", root, root], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
            wrong = [*_library(world, Store(root)), *_daemon(Store(root), registry)]
        finally:
            subprocess.run(["umount", root], check=True)
    for text in wrong:
        print(text)  # noqa: T201
    print(f"a store that cannot be written: {len(wrong)} wrong")  # noqa: T201
    return 1 if wrong else 0


def _library(world: World, store: Store) -> list[str]:
    before = look.models(store.directory)
    changes: dict[str, Operation] = {
        "create": world.upload(2, "new"),
        "derive": world.derive("new", "a", "x"),
        "take in": world.take_in(2, "new", link=False),
        "link": world.take_in(2, "new", link=True),
        "copy": world.copy("a", "c"),
        "delete": world.delete("a"),
        "collect": world.collect(),
        "pull": world.pull(2, "new"),
        "unpack": world.unpack("new"),
    }
    wrong = [f"{name} is not refused" for name, change in changes.items() if not refused(partial(change, store))]
    digest = store.get(named("a")).layers[0].digest
    uses = {
        "list": len(store.models()) == 4,
        "blob": store.has_blob(digest),
        "prune": store.prune() == 0,
        "check": check(store).problems == (),
        "export": export_model(store, named("a"), world.folder / "a.tar") > 0,
    }
    wrong += [f"{name} does not work" for name, works in uses.items() if not works]
    return wrong if look.models(store.directory) == before else [*wrong, "models have changed"]


def _daemon(store: Store, registry: Registry) -> list[str]:
    pid, api = start(store.directory)
    if api is None:
        return ["no daemon starts"]
    try:
        api.copy("a", "c")
    except LcrtError as error:
        wrong = [] if "LCRT_MODELS" in str(error) else [f"the daemon says: {error}"]
    else:
        wrong = ["the daemon copied"]
    wrong += _exchange(api, store, registry)
    if len(api.models()) != len(store.models()):
        wrong.append("the daemon lists other models")
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return wrong


def _exchange(api: Api, store: Store, registry: Registry) -> list[str]:
    """Push, and pull what is there."""
    request: dict[str, object] = {"model": f"{registry.host}/library/m", "insecure": True}
    try:
        for ask in (api.push, api.pull):
            with ask(request) as statuses:
                assert [status.status for status in statuses][-1] == "success"
    except LcrtError as error:
        return [f"the daemon says: {error}"]
    pushed = registry.manifests["library/m/manifests/latest"]
    return [] if pushed == store.get(named(str(request["model"]))).raw else ["another manifest was pushed"]


if __name__ == "__main__":
    sys.exit(main())
