"""Blobs: files named after their content, complete or not there at all.

A blob is written under a temporary name in the same directory while its digest is computed, then
synced and renamed, so that no crash leaves a wrong or half a blob under a digest's name.
"""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.digest import file_name, parse_digest

_FILE_MODE = 0o644
_DIR_MODE = 0o755
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Blobs:
    """The blobs directory. Everything here may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        """Say where a blob lies or would lie; InvalidRequest for what is no digest."""
        return self.directory / file_name(parse_digest(digest))

    def has(self, digest: str) -> bool:
        """Tell whether the blob is there."""
        return self.path(digest).is_file()

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
        os.utime(self.path(digest))

    def remove(self, digest: str) -> None:
        """Delete a blob; one that is gone already is fine."""
        self.path(digest).unlink(missing_ok=True)

    def writer(self) -> "BlobWriter":
        """Start a new blob; use it in a ``with`` block."""
        return BlobWriter(self.directory)


def _missing(digest: str, error: OSError) -> StoreError:
    if isinstance(error, FileNotFoundError):
        return StoreError(f"blob {digest} is not in the store")
    return StoreError(f"cannot read blob {digest}: {error.strerror}")


class BlobWriter:
    """One blob being written. Not for two threads at once; leaving the block drops what was not placed.

    ``size`` counts the bytes so far; ``digest`` is known after ``finish``.
    """

    def __init__(self, directory: Path) -> None:
        self.digest = ""
        self.size = 0
        self._directory = directory
        self._temporary = directory / f"sha256-{int.from_bytes(os.urandom(7), 'little')}"
        self._hash = hashlib.sha256()
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            self._fd = os.open(self._temporary, _OPEN_FLAGS, _FILE_MODE)
        except OSError as error:
            raise StoreError(f"cannot write to `{self._directory}`: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise StoreError(f"cannot write a blob: {error.strerror}") from error

    def finish(self) -> None:
        """Compute the digest and bring the bytes to disk; slow for a large blob."""
        self.digest = "sha256:" + self._hash.hexdigest()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise StoreError(f"cannot store blob {self.digest}: {error.strerror}") from error
        self._close()

    def place(self) -> bool:
        """Rename the finished file to its digest; False when that blob was there already."""
        target = self._directory / file_name(self.digest)
        try:
            if target.is_file():
                os.utime(target)
                return False
            self._temporary.replace(target)
            sync_directory(self._directory)
        except OSError as error:
            raise StoreError(f"cannot store blob {self.digest}: {error.strerror}") from error
        return True

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


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
