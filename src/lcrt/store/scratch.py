"""Folders for what is needed on the way only, below ``.lcrt/``: each goes with the work, or with its dead process.

Beside a folder lies a file that is locked while somebody works in it; it is there before the folder and after it.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lcrt.store.locks import new_claim, reap

_LOCK = ".lock"
_DIR_MODE = 0o700


class Scratch:
    """The folders of one store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Make an empty folder for a block; OSError where that is not possible."""
        self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
        path = self._directory / os.urandom(8).hex()
        with new_claim(path.with_suffix(_LOCK)):
            path.mkdir(mode=_DIR_MODE)
            try:
                yield path
            finally:
                shutil.rmtree(path, ignore_errors=True)

    def collect(self) -> None:
        """Remove the folders of processes that are dead."""
        names = {path.stem for path in self._directory.iterdir()} if self._directory.is_dir() else set()
        for path in (self._directory / name for name in names):
            lock = path.with_suffix(_LOCK)
            if reap(lock) or not lock.exists():
                shutil.rmtree(path, ignore_errors=True)
