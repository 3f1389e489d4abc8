"""Blobs that are a person's own file, by hard link or by reference, and the proof that it has not changed.

For each there is a record of the file's path, size and time. When size or time differ, the digest
decides: the same bytes get a new record, others are no longer the blob.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lcrt.errors import StoreError
from lcrt.store.blobs import Blobs, has_size, place, sync_directory
from lcrt.store.digest import digest_of_file_name, file_name
from lcrt.store.failure import store_error
from lcrt.store.intake import THERE, Ready, Stamp, Taken, hash_file
from lcrt.store.manifest import Manifest

_SETTLED_NS = 100_000_000
"""Age of a folder's time from which on another change surely gives it another time."""

_DIR_MODE = 0o755
_FILE_MODE = 0o644


class Record(msgspec.Struct, frozen=True):
    """Where a linked file lies, and its stamp when its digest was computed."""

    path: str
    size: int
    mtime_ns: int

    @property
    def stamp(self) -> Stamp:
        """What must not have changed."""
        return Stamp(self.size, self.mtime_ns)


class Links:
    """The records of linked blobs."""

    def __init__(self, directory: Path, blobs: Blobs) -> None:
        self._directory = directory
        self._blobs = blobs
        self._read_at = -1
        self._records: dict[str, Record] = {}

    def place(self, ready: Ready) -> Taken:
        """Give a prepared file its blob's name. The caller has the store's lock."""
        digest, target = ready.digest, self._blobs.path(ready.digest)
        if ready.source is None and (target.is_symlink() or digest in self.records()):
            return self._own(ready, target)
        if ready.source is not None and ready.stamp is not None and _will_be(ready, target):
            if Stamp.of(ready.path.stat()) != ready.stamp:
                raise StoreError(f"{ready.source} changed while it was read", "try again when nobody writes to it")
            self._write(digest, Record(str(ready.source), ready.stamp.size, ready.stamp.mtime_ns))
        is_new = place(ready.path, target)
        return Taken(digest, ready.size, ready.way if is_new else THERE)

    def changed(self, digests: Iterable[str]) -> list[str]:
        """List those linked blobs whose file has another size or time than when it was hashed, or is gone."""
        records = self.records()
        return [digest for digest in digests if digest in records and not self._is_as_recorded(digest)]

    def changed_in(self, manifest: Manifest) -> list[str]:
        """List the linked blobs of a model that must be verified before it is used."""
        return self.changed(manifest.digests) if self.records() else []

    def verify(self, digest: str) -> None:
        """Hash a linked blob again; StoreError when it has become another file."""
        record = self.records()[digest]
        blob = self._blobs.path(digest)
        try:
            stamp = Stamp.of(blob.stat())
        except FileNotFoundError as error:
            hint = "put the file back, or make the model again from where it is now"
            raise StoreError(f"{record.path}, which a model is used from, is gone", hint) from error
        if hash_file(blob) != digest:
            hint = "put the old file back, or make the model again to use the new one"
            raise StoreError(f"{record.path} is not what it was when a model was made of it", hint)
        renewed = Record(record.path, stamp.size, stamp.mtime_ns)
        self._records[digest] = renewed
        with contextlib.suppress(StoreError):
            self._write(digest, renewed)

    def records(self) -> dict[str, Record]:
        """Read all records, again only when there are others."""
        try:
            changed_at = self._directory.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if changed_at != self._read_at:
            self._records = {digest: record for digest, record in map(_read, self._files()) if digest and record}
            if time.time_ns() - changed_at > _SETTLED_NS:
                self._read_at = changed_at
        return self._records

    def forget(self, digest: str) -> None:
        """Drop the record of a blob that went."""
        (self._directory / file_name(digest)).unlink(missing_ok=True)

    def forget_removed(self) -> None:
        """Drop the records of blobs that are not there, and what a crash left."""
        for path in self._files():
            if not os.path.lexists(self._blobs.directory / path.name):
                path.unlink(missing_ok=True)

    def _own(self, ready: Ready, target: Path) -> Taken:
        """Put a copy in a linked file's place: whoever has a file copied counts on nothing outside of the store."""
        try:
            ready.path.replace(target)
            sync_directory(target.parent)
        except OSError as error:
            raise store_error(f"cannot store blob {ready.digest}", error) from error
        self.forget(ready.digest)
        return Taken(ready.digest, ready.size, ready.way)

    def _is_as_recorded(self, digest: str) -> bool:
        try:
            return Stamp.of(self._blobs.path(digest).stat()) == self._records[digest].stamp
        except OSError:
            return False

    def _files(self) -> list[Path]:
        return list(self._directory.iterdir()) if self._directory.is_dir() else []

    def _write(self, digest: str, record: Record) -> None:
        """Write a record in one step, before its blob has a name: one without a record would never be checked."""
        path = self._directory / file_name(digest)
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            try:
                _write_synced(temporary, msgspec.json.encode(record))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            for directory in (self._directory, *self._directory.parents[:2]):
                sync_directory(directory)
        except OSError as error:
            raise store_error("cannot note where a linked file lies", error) from error


def _will_be(ready: Ready, target: Path) -> bool:
    """Tell whether the blob is or becomes the person's own file: it is not there yet, or it is that file."""
    return not has_size(target, ready.size) or (ready.source is not None and target.samefile(ready.source))


def _write_synced(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(path: Path) -> tuple[str | None, Record | None]:
    """Read one record, nothing when it is none."""
    try:
        return digest_of_file_name(path.name), msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None, None
