"""A file from elsewhere made ready to become a blob: shared, copied, or linked to where it lies."""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.blobs import TEMPORARY, Blobs, BlobWriter
from lcrt.store.failure import store_error

Report = Callable[[int], None]
"""Told the bytes done so far."""

THERE = "there already"
"""How a file was taken in of which the store had the bytes."""

_FICLONE = 0x40049409
_PIECE = 4 << 20
_NO_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_NO_HARD_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP})


class Stamp(msgspec.Struct, frozen=True):
    """What changes when a file is written to."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> "Stamp":
        """Take it from a file's facts."""
        return cls(facts.st_size, facts.st_mtime_ns)


class Taken(msgspec.Struct, frozen=True):
    """A blob that came of a file; ``way`` is how: shared, copied, hard link, reference, or there already."""

    digest: str
    size: int
    way: str


class Ready(msgspec.Struct, frozen=True):
    """A hashed file under a temporary name in the blobs directory.

    ``source`` and ``stamp`` are there when a person's own file is used: it must stay as it is.
    """

    path: Path
    digest: str
    size: int
    way: str
    source: Path | None = None
    stamp: Stamp | None = None


@contextlib.contextmanager
def intake(blobs: Blobs, path: Path, report: Report, *, link: bool) -> Iterator[Ready]:
    """Prepare a file; what the block does not rename is removed. StoreError says what went wrong."""
    with _source(path) as source, blobs.writer() as writer:
        if _clone(source, writer):
            yield _hashed(writer.path, report, "shared")
        elif link:
            with _linked(blobs, path, source, report) as ready:
                yield ready
        else:
            yield _copied(source, writer, report)


@contextlib.contextmanager
def _source(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}", "check the path and the rights") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _clone(source: int, writer: BlobWriter) -> bool:
    """Let the temporary file share the source's bytes; False where the file system cannot."""
    try:
        fcntl.ioctl(writer.fileno(), _FICLONE, source)
    except OSError:
        return False
    return True


def _copied(source: int, writer: BlobWriter, report: Report) -> Ready:
    """Copy and hash at once: the kernel copies on another thread, what has arrived is hashed here."""
    copy = _Copy(source, writer.fileno())
    thread = threading.Thread(target=copy.run)
    thread.start()
    try:
        digest, size = _hash(writer.fileno(), report, copy.wait_beyond)
    finally:
        copy.stopped = True
        thread.join()
    if copy.error is not None:
        raise store_error("cannot write a blob", copy.error) from copy.error
    return Ready(writer.path, digest, size, "copied")


class _Copy:
    """Bytes on their way from one file to another, synced at the end."""

    def __init__(self, source: int, target: int) -> None:
        self.error: OSError | None = None
        self.stopped = False
        self._source = source
        self._target = target
        self._in_kernel = True
        self._n_done = 0
        self._is_done = False
        self._moved = threading.Condition()

    def run(self) -> None:
        """Copy until the end, an error, or ``stopped``."""
        try:
            while not self.stopped and (n := self._copy_some()):
                self._move(n)
            self._move(0)
            os.fsync(self._target)
        except OSError as error:
            self.error = error
        finally:
            self._move(0)

    def _copy_some(self) -> int:
        if self._in_kernel:
            try:
                return os.copy_file_range(self._source, self._target, _PIECE)
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                self._in_kernel = False
        data = memoryview(os.read(self._source, _PIECE))
        n_done = 0
        while n_done < len(data):
            n_done += os.write(self._target, data[n_done:])
        return n_done

    def wait_beyond(self, n_read: int) -> None:
        """Wait until more than so many bytes are there, or all."""
        with self._moved:
            self._moved.wait_for(lambda: self._n_done > n_read or self._is_done)

    def _move(self, n: int) -> None:
        with self._moved:
            self._n_done += n
            self._is_done = n == 0
            self._moved.notify()


def _hashed(path: Path, report: Report, way: str) -> Ready:
    with _source(path) as fd:
        digest, size = _hash(fd, report)
        os.fsync(fd)
    return Ready(path, digest, size, way)


@contextlib.contextmanager
def _linked(blobs: Blobs, path: Path, source: int, report: Report) -> Iterator[Ready]:
    real = path.resolve()
    before = Stamp.of(os.fstat(source))
    digest, size = _hash(source, report)
    if Stamp.of(os.fstat(source)) != before or Stamp.of(real.stat()) != before:
        raise StoreError(f"{path} changed while it was read", "try again when nobody writes to it")
    temporary = blobs.directory / f"{TEMPORARY}{os.urandom(8).hex()}"
    try:
        way = _link(real, temporary)
        yield Ready(temporary, digest, size, way, real, before)
    except OSError as error:
        raise store_error(f"cannot link to {path}", error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _link(real: Path, temporary: Path) -> str:
    try:
        temporary.hardlink_to(real)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        temporary.symlink_to(real)
        return "reference"
    return "hard link"


def _no_wait(_n_read: int) -> None:
    pass


def hash_file(path: Path, report: Report = lambda _: None) -> str:
    """Compute a file's digest."""
    with _source(path) as fd:
        return _hash(fd, report)[0]


def _hash(fd: int, report: Report, wait: Callable[[int], None] = _no_wait) -> tuple[str, int]:
    """Hash a file from its start; ``wait`` is called before each piece with the bytes read so far."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    n_read = 0
    try:
        wait(n_read)
        while n := os.preadv(fd, [buffer], n_read):
            digest.update(buffer[:n])
            n_read += n
            report(n_read)
            wait(n_read)
    except OSError as error:
        raise store_error("cannot read a file", error) from error
    return "sha256:" + digest.hexdigest(), n_read
