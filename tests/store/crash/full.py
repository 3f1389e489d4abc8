"""Every plan on a file system that is full sooner or later: one page more each time, until the plan succeeds.

An operation that finds no room must say so with advice and leave the store as it was; with more room
it must succeed. Needs the right to mount; exit code 77 where there is none.
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lcrt.errors import StoreError
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.crash import look
from tests.store.crash.plans import Operation
from tests.store.crash.torture import Case, cases, workplace

CANNOT_MOUNT = 77

_NEW_MOUNTS = 0x00020000
_PAGE = 4096
_PLENTY = 1 << 24


class Disk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={_PLENTY}", "tmpfs", str(place))

    def resize(self, size: int) -> None:
        """Give it another size, not below what is used."""
        _mount("-o", f"remount,size={size}", str(self.place))

    def used(self) -> int:
        """Count the bytes that files take."""
        facts = os.statvfs(self.place)
        return (facts.f_blocks - facts.f_bfree) * facts.f_bsize


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def own_mounts() -> bool:
    """Leave the mounts that other processes see; False without the right to."""
    if ctypes.CDLL(None).unshare(_NEW_MOUNTS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True).returncode == 0


def fill(case: Case, disk: Disk) -> tuple[int, list[str]]:
    """Run a plan at every size; returns how often, and what was wrong."""
    wrong: list[str] = []
    n_pages = 0
    while True:
        disk.resize(_PLENTY)
        root = disk.place / "store"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(case.base, root, symlinks=True)
        disk.resize(disk.used() + n_pages * _PAGE)
        store = Store(root)
        done, said = _run(store, case.plan, 0)
        wrong += [f"{case.name}, {n_pages} pages: {text}" for text in _judge(case, root, done, said)]
        if done < len(case.plan):
            disk.resize(_PLENTY)
            _run(store, case.plan, done)
        if look.models(root) != case.states[-1]:
            wrong.append(f"{case.name}, {n_pages} pages: with more room it has another outcome")
        store.close()
        store.collect(Ages(blob=-1, partial=-1))
        wrong += [f"{case.name}, {n_pages} pages: {text}" for text in (*look.wrong(root), *look.unneeded(root))]
        n_pages += 1
        if done == len(case.plan) or wrong:
            return n_pages, wrong


def _run(store: Store, plan: tuple[Operation, ...], done: int) -> tuple[int, StoreError | None]:
    """Do what is left of a plan until there is no room."""
    for i, operation in enumerate(plan[done:], done):
        try:
            operation(store)
        except StoreError as error:
            return i, error
    return len(plan), None


def _judge(case: Case, root: Path, done: int, said: StoreError | None) -> list[str]:
    wrong = [*look.wrong(root), *look.leftovers(root, ("claims",))]
    if look.models(root) not in case.states[done : done + 2]:
        wrong.append("the models are neither the old nor the new ones")
    words = ("No space left", "not enough space")
    if said is not None and not (said.hint and any(word in said.message for word in words)):
        wrong.append(f"it says: {said}")
    return wrong


def main() -> int:
    """Run from the command line."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not own_mounts():
        return CANNOT_MOUNT
    started = time.monotonic()
    n_sizes, wrong = 0, []
    with workplace() as folder:
        disk = Disk(folder / "disk")
        try:
            for case, only in cases(folder, 1, (0, 1), None):
                if only is not None:
                    break
                n, found = fill(case, disk)
                n_sizes += n
                wrong += found
        finally:
            _umount(disk.place)
    for text in wrong:
        print(text)  # noqa: T201
    print(f"{n_sizes} sizes in {time.monotonic() - started:.1f} s: {len(wrong)} wrong")  # noqa: T201
    return 1 if wrong else 0


def _umount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)


if __name__ == "__main__":
    sys.exit(main())
