"""What was found out about blobs, kept so that it need not be found out again.

A note is bytes that the caller understands, in a file of its own, named after the blob. Blobs never change,
so a note is never wrong; one that is damaged, of another kind than asked for, or of a blob that has another
size now, is no note. All of them may be deleted at any time.
"""

import contextlib
import logging
import os
import zlib
from pathlib import Path

from lcrt.errors import StoreError
from lcrt.store.blobs import Blobs
from lcrt.store.digest import digest_of_file_name, file_name, parse_digest

_LOG = logging.getLogger("lcrt.store")
_DIR_MODE = 0o755
_FILE_MODE = 0o644
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_SUM_LEN = 4
_MAX_LEN = 1 << 20


class Notes:
    """One note for each blob. A ``kind`` says what the bytes mean; another meaning needs another kind."""

    def __init__(self, directory: Path, blobs: Blobs) -> None:
        self._directory = directory
        self._blobs = blobs

    def get(self, digest: str, kind: str) -> bytes | None:
        """Read what is noted of a blob; None when there is nothing, or the blob is not there."""
        digest = parse_digest(digest)
        try:
            with open(f"{self._directory}/{file_name(digest)}", "rb", buffering=0) as file:  # noqa: PTH123 -- in lists
                data = file.read(_MAX_LEN) or b""
            found = data[_SUM_LEN:]
            return found if data[:_SUM_LEN] == self._sum(digest, kind, found) else None
        except (OSError, StoreError):
            return None

    def put(self, digest: str, kind: str, data: bytes) -> None:
        """Note something of a blob. Where that is not possible it will be found out again."""
        if len(data) > _MAX_LEN - _SUM_LEN:
            return
        digest = parse_digest(digest)
        path = self._directory / file_name(digest)
        temporary = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            try:
                _write(temporary, self._sum(digest, kind, data) + data)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except (OSError, StoreError) as error:
            _LOG.debug("cannot note what blob %s is: %s", digest, error)

    def forget(self, digest: str) -> None:
        """Drop the note of a blob that went."""
        with contextlib.suppress(OSError):
            (self._directory / file_name(digest)).unlink(missing_ok=True)

    def forget_removed(self) -> None:
        """Drop the notes of blobs that are not there, and what a crash left."""
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            digest = digest_of_file_name(path.name)
            if digest is None or not self._blobs.has(digest):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _sum(self, digest: str, kind: str, data: bytes) -> bytes:
        """Tie the bytes to kind and blob. A note is not synced: a crash of the machine may leave zeros."""
        start = zlib.crc32(f"{kind}\n{digest}\n{self._blobs.size(digest)}\n".encode())
        return zlib.crc32(data, start).to_bytes(_SUM_LEN, "big")


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, _FLAGS, _FILE_MODE)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(0, "it was cut short")
    finally:
        os.close(fd)
