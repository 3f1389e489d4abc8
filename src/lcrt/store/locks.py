"""Locks that end with their process: flock on files below ``.lcrt/`` in the store.

The kernel lets go of a lock when the last process that has the file open ends, however it ends, so
nothing waits for the dead. Every lock opens its file anew: threads of one process exclude each other
as processes do.
"""

import errno
import fcntl
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from lcrt.errors import BusyError
from lcrt.store.failure import store_error

PATIENCE = 30.0
"""Seconds to wait for another process that is changing the store."""

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_DIR_MODE = 0o755
_FILE_MODE = 0o644
_CLAIM_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


class StoreLock:
    """The right to change a store: one thread of one process has it at a time. Use it in ``with`` blocks."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._threads = threading.Lock()
        self._fd = -1

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._patience
        if not self._threads.acquire(timeout=self._patience):
            raise _busy()
        try:
            self._fd = self._open()
            _wait(self._fd, deadline)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise store_error(f"cannot change the model store `{self._path.parent.parent}`", error) from error

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._threads.release()


class Claim:
    """A file that only its holder may have locked; leaving the block, closing it or dying gives it back."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file and let go; a second time is fine."""
        if self.fd >= 0:
            self.path.unlink(missing_ok=True)
            self.keep()

    def keep(self) -> None:
        """Let go and leave the file; a second time is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def claim(path: Path) -> Claim | None:
    """Make or find a file and lock it; None when another has it locked."""
    while True:
        fd = os.open(path, _CLAIM_FLAGS, _FILE_MODE)
        taken = _try(fd)
        if taken and _is_at(fd, path):
            return Claim(path, fd)
        os.close(fd)
        if not taken:
            return None


def new_claim(path: Path) -> Claim:
    """Make a file that does not exist yet and lock it."""
    while True:
        fd = os.open(path, _CLAIM_FLAGS | os.O_EXCL, _FILE_MODE)
        if _try(fd) and _is_at(fd, path):
            return Claim(path, fd)
        os.close(fd)


def reap(path: Path) -> bool:
    """Remove a file whose holder is dead; False when it lives or there is no such file."""
    fd = _open_abandoned(path)
    if fd < 0:
        return False
    path.unlink(missing_ok=True)
    os.close(fd)
    return True


def is_abandoned(path: Path) -> bool:
    """Tell whether the holder of a file is dead; links have none."""
    if path.is_symlink():
        return True
    fd = _open_abandoned(path)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _open_abandoned(path: Path) -> int:
    """Open and lock a file that nobody has locked; -1 for any other."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    if _try(fd) and _is_at(fd, path):
        return fd
    os.close(fd)
    return -1


def _try(fd: int) -> bool:
    """Lock a file if nobody has; a file system without locks lets everybody."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Tell whether the open file still has this name: its holder may have removed it meanwhile."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _wait(fd: int, deadline: float) -> None:
    pause = _FIRST_PAUSE
    while not _try(fd):
        if time.monotonic() >= deadline:
            raise _busy()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _busy() -> BusyError:
    return BusyError("another process is changing the model store", "try again when it is done")
