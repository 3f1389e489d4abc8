"""What is known of uploads that were begun, in a file each below ``.lcrt/``, so that another process can go on.

A record is a line that the caller understands. Its file is locked while somebody works on that upload; it
is written in place, in one small write, and a record that makes no sense is the caller's to ignore.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lcrt.store.locks import Claim, claim, reap

_LOG = logging.getLogger("lcrt.store")
_DIR_MODE = 0o700
_MAX_LEN = 1 << 20
_LOOK_EVERY = 0.05


class Record:
    """The record of one upload. Without a file it forgets what it is told."""

    def __init__(self, file: Claim | None) -> None:
        self._file = file

    def read(self) -> bytes:
        """Read what was written last, by whichever process."""
        try:
            return os.pread(self._file.fd, _MAX_LEN, 0).partition(b"\n")[0] if self._file else b""
        except OSError:
            return b""

    def write(self, line: bytes) -> None:
        """Put a line in place of what was there; where that is not possible the upload begins anew one day."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file.fd, os.pwrite(self._file.fd, line + b"\n", 0))
        except OSError as error:
            _LOG.debug("cannot note how far an upload is: %s", error.strerror)

    def forget(self) -> None:
        """Remove it: the upload is over."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.keep()
            self._file = None


class Uploads:
    """All records of one store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def open(self, *facts: str, patience: float = 0.0, pause: Callable[[float], None] = time.sleep) -> Iterator[Record]:
        """Take the record of the upload that the facts tell from others; an empty one when somebody else keeps it.

        Whoever has it now is waited for up to ``patience`` seconds, with ``pause``; what that raises goes through.
        """
        record = Record(self._wait(facts, patience, pause))
        try:
            yield record
        finally:
            record.close()

    def collect(self, age: float, now: float) -> None:
        """Remove records that nobody has touched for longer than ``age`` seconds."""
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > age:
                    reap(path)

    def _wait(self, facts: tuple[str, ...], patience: float, pause: Callable[[float], None]) -> Claim | None:
        path = self._directory / hashlib.sha256("\n".join(facts).encode()).hexdigest()
        deadline = time.monotonic() + patience
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            while (found := claim(path)) is None and time.monotonic() < deadline:
                pause(_LOOK_EVERY)
        except OSError as error:
            _LOG.debug("cannot note how far an upload is: %s", error.strerror)
            return None
        return found
