"""Blobs: files named after their content, complete or not there at all.

A blob is written under a temporary name in the same directory while its digest is computed, then
synced and renamed, so that no crash leaves a wrong or half a blob under a digest's name. The
temporary file is locked while its writer lives, which tells it from one that a crash left behind.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.digest import digest_of_file_name, file_name, parse_digest
from lcrt.store.failure import store_error
from lcrt.store.locks import Claim, new_claim

TEMPORARY = ".new-"
"""How the name of a file begins that is being written."""

_DIR_MODE = 0o755


class Blobs:
    """The blobs directory. Everything here may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        """Say where a blob lies or would lie; InvalidRequest for what is no digest."""
        return self.directory / file_name(parse_digest(digest))

    def partial(self, digest: str) -> Path:
        """Say where what has come of a blob lies while it is downloaded."""
        return self.directory / f"{file_name(parse_digest(digest))}-partial"

    def has(self, digest: str, size: int | None = None) -> bool:
        """Tell whether the blob is there; with a ``size`` in bytes, whether it is as long as it must be."""
        path = self.path(digest)
        return path.is_file() if size is None else has_size(path, size)

    def size(self, digest: str) -> int:
        """Read the blob's size in bytes; StoreError when it is missing."""
        try:
            return self.path(digest).stat().st_size
        except OSError as error:
            raise _missing(digest, error) from error

    def read(self, digest: str) -> bytes:
        """Read a small blob whole; StoreError when it is missing."""
        try:
            return self.path(digest).read_bytes()
        except OSError as error:
            raise _missing(digest, error) from error

    def touch(self, digest: str) -> None:
        """Make the blob look new, so that pruning leaves it alone for a while."""
        touch(self.path(digest))

    def remove(self, digest: str) -> None:
        """Delete a blob; one that is gone already is fine."""
        try:
            self.path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise store_error(f"cannot delete blob {digest}", error) from error

    def rename_old(self) -> None:
        """Give blobs of an early layout, whose names have a colon, the names that they have today."""
        for path in self.directory.glob("sha256:*") if self.directory.is_dir() else ():
            digest = digest_of_file_name(path.name.replace(":", "-", 1))
            if digest is not None and not self.has(digest):
                path.replace(self.path(digest))

    def writer(self) -> "BlobWriter":
        """Start a new blob; use it in a ``with`` block."""
        return BlobWriter(self.directory)


def _missing(digest: str, error: OSError) -> StoreError:
    if isinstance(error, FileNotFoundError):
        return StoreError(
            f"blob {digest} is not in the store", "`lcrt store check` names the models that need it: pull them again"
        )
    return store_error(f"cannot read blob {digest}", error)


class BlobWriter:
    """One blob being written. Not for two threads at once; leaving the block drops what was not placed.

    ``size`` counts the bytes so far; ``digest`` is known after ``finish``.
    """

    def __init__(self, directory: Path) -> None:
        self.digest = ""
        self.size = 0
        self._directory = directory
        self._hash = hashlib.sha256()
        self._file = Claim(directory / f"{TEMPORARY}{os.urandom(8).hex()}", -1)

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            self._file = new_claim(self._file.path)
        except OSError as error:
            raise store_error(f"cannot write to `{self._directory}`", error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    @property
    def path(self) -> Path:
        """Where the bytes lie until the blob is placed."""
        return self._file.path

    def fileno(self) -> int:
        """Return the open temporary file, for who fills it another way."""
        return self._file.fd

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        try:
            while view:
                view = view[os.write(self._file.fd, view) :]
        except OSError as error:
            raise store_error("cannot write a blob", error) from error

    def finish(self) -> None:
        """Compute the digest and bring the bytes to disk; slow for a large blob."""
        self.digest = "sha256:" + self._hash.hexdigest()
        try:
            os.fsync(self._file.fd)
        except OSError as error:
            raise store_error(f"cannot store blob {self.digest}", error) from error

    def place(self) -> bool:
        """Rename the finished file to its digest; False when that blob was there already."""
        return place(self._file.path, self._directory / file_name(self.digest))


def has_size(path: Path, size: int) -> bool:
    """Tell whether there is a file of so many bytes."""
    try:
        facts = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == size


def place(path: Path, target: Path) -> bool:
    """Rename a synced file to a blob's name; False, and the file stays, when that blob was there already.

    One that has lost its end, or grown, is damaged and gives way.
    """
    try:
        if has_size(target, path.stat().st_size):
            touch(target)
            return False
        path.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise store_error(f"cannot store blob {target.name}", error) from error
    return True


def touch(path: Path) -> None:
    """Make a file look new; one that a person has elsewhere too keeps its time."""
    with contextlib.suppress(OSError):
        if not path.is_symlink() and path.stat().st_nlink == 1:
            os.utime(path)


def check_digest(expected: str, actual: str) -> None:
    """Refuse content that is not what the sender announced."""
    if parse_digest(expected) != actual:
        raise InvalidRequest(f'digest mismatch, expected "{expected}", got "{actual}"')


def sync_directory(directory: Path) -> None:
    """Make renames in a directory survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
