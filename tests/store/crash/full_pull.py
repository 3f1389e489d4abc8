"""A real pull and a real push on a file system that is full sooner or later, one page more each time.

A pull that finds no room says so with advice, keeps what came, and goes on from there when there is room. A
push needs none. Needs the right to mount; exit code 77 where there is none.
"""

import contextlib
import os
import subprocess
import sys
from unittest import mock

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, StoreError
from lcrt.registry.options import Options, PullRequest
from lcrt.registry.partial import come_so_far
from lcrt.registry.service import Registries
from lcrt.store.store import Store
from tests.registry.models import publish
from tests.registry.server import MODEL, Registry, content, digest_of
from tests.store.crash.full import CANNOT_MOUNT, Disk, fill, own_mounts
from tests.store.crash.torture import Case, workplace

_OPTIONS = Options(parts=2, part_size=20_000, first_wait=0.001)
_DATA = content(60_000)


def _pull(registry: Registry, store: Store) -> None:
    """Fetch the registry's model; what came before is not fetched again."""
    before = come_so_far(store.blobs.partial(digest_of(_DATA)))
    registry.asked.clear()
    registries = Registries(store, _OPTIONS)
    try:
        with mock.patch("lcrt.registry.pull.check_space"):
            for _ in registries.pull(ModelName.parse(f"{registry.host}/library/m"), PullRequest(insecure=True)):
                pass
    except LcrtError as error:
        raise StoreError(error.message.replace("no space left", "No space left"), error.hint) from error
    finally:
        registries.close()
    ranges = [asked.range for asked in registry.of("GET", digest_of(_DATA)) if asked.range]
    assert sum(last + 1 - first for first, last in ranges) <= len(_DATA) - before


def _push(registry: Registry, store: Store) -> None:
    registries = Registries(store, _OPTIONS)
    with contextlib.closing(registries):
        for _ in registries.push(ModelName.parse(f"{registry.host}/library/own"), insecure=True):
            pass


def run(registry: Registry) -> tuple[int, list[str]]:
    """Look for what goes wrong, at how many sizes."""
    registry.add("library/m", {registry.put(_DATA): MODEL})
    with workplace() as folder:
        base = Store(folder / "base")
        publish(base, registry.host, {content(30_000, 2): MODEL}, model="own")
        base.close()
        disk = Disk(folder / "disk")
        try:
            pulling = Case("pull", (lambda store: _pull(registry, store),), base.directory, folder)
            n_pulls, wrong = fill(pulling, disk)
            if n_pulls < len(_DATA) // 4096:
                wrong.append(f"a pull needs only {n_pulls} pages")
            pushing = Case("push", (lambda store: _push(registry, store),), base.directory, folder)
            n_pushes, found = fill(pushing, disk)
            if n_pushes != 1:
                wrong.append("a push needs room")
        finally:
            subprocess.run(["umount", str(disk.place)], check=True)
    if not any(name.startswith("library/own/") for name in registry.manifests):
        wrong.append("nothing was pushed")
    return n_pulls + n_pushes, [*wrong, *found]


def main() -> int:
    """Run from the command line."""
    if not own_mounts():
        return CANNOT_MOUNT
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    with Registry() as registry:
        n_sizes, wrong = run(registry)
    for text in wrong:
        print(text)  # noqa: T201
    print(f"{n_sizes} sizes for a pull and a push: {len(wrong)} wrong")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
