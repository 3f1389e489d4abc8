"""Which blobs must not be deleted: those that this process or another one is working with.

Each process tells the others through a file of its own, locked for as long as the process lives,
with one digest on each line. Everything here runs under the store's lock.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from lcrt.store.blobs import Blobs, BlobWriter
from lcrt.store.digest import parse_digest
from lcrt.store.failure import store_error
from lcrt.store.locks import Claim, new_claim, reap

GRACE = 3600.0
"""Seconds for which a blob is kept that a client asked for or uploaded, or that nobody refers to."""

_DOUBT = 60.0
"""Seconds for which a blob is kept for a client of whom it is not certain that there is one."""

_DIR_MODE = 0o755


class _Wish(msgspec.Struct, frozen=True):
    """How many clients want a blob for certain, how often it was asked for besides, and until when (monotonic).

    A client that asks may be one that is counted already.
    """

    n_clients: int = 0
    n_asked: int = 0
    until: float = 0.0


class Holds:
    """What this process needs, and what others have said that they need."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: Counter[str] = Counter()
        self._wanted: dict[str, _Wish] = {}
        self._told: frozenset[str] | None = frozenset()
        self._file: Claim | None = None

    def take(self, digests: Sequence[str]) -> None:
        """Count one more user of each blob; StoreError, and nothing counted, when others cannot be told."""
        self._held.update(digests)
        try:
            self._tell()
        except OSError as error:
            self._drop(digests)
            self._try_tell()
            raise store_error("cannot note which blobs are in use", error) from error

    def release(self, digests: Sequence[str]) -> None:
        """Count one user less of each blob."""
        self._drop(digests)
        self._try_tell()

    def want(self, digest: str, *, is_certain: bool) -> None:
        """Note that a client wants a blob: certainly one more, or one who may have asked before."""
        known = self._wanted.get(digest, _Wish())
        n_clients, n_asked = known.n_clients + is_certain, known.n_asked + (not is_certain)
        self._wanted[digest] = _Wish(n_clients, n_asked, time.monotonic() + GRACE)
        self._try_tell()

    def grant(self, digests: Iterable[str]) -> None:
        """Note that one client got its model: what others certainly want stays, what they may want for a moment."""
        for digest in digests:
            known = self._wanted.pop(digest, _Wish())
            if known.n_clients > 1:
                self._wanted[digest] = _Wish(known.n_clients - 1, known.n_asked, known.until)
            elif known.n_clients + known.n_asked > 1:
                self._wanted[digest] = _Wish(0, known.n_clients + known.n_asked - 1, time.monotonic() + _DOUBT)
        self._try_tell()

    def close(self) -> None:
        """Need nothing any more."""
        self._held.clear()
        self._wanted.clear()
        self._try_tell()

    def all(self) -> frozenset[str]:
        """List what this process and every other living one needs."""
        return self._own() | self._others()

    def _own(self) -> frozenset[str]:
        now = time.monotonic()
        self._wanted = {digest: wish for digest, wish in self._wanted.items() if wish.until > now}
        return frozenset(self._held) | frozenset(self._wanted)

    def _others(self) -> frozenset[str]:
        digests: set[str] = set()
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            own = self._file is not None and path == self._file.path
            if not own and not reap(path):
                digests.update(_read(path))
        return frozenset(digests)

    def _drop(self, digests: Sequence[str]) -> None:
        self._held.subtract(digests)
        self._held += Counter()

    def _try_tell(self) -> None:
        """Tell the others if possible: they spare too much, or a wish is not known to them."""
        with contextlib.suppress(OSError):
            self._tell()

    def _tell(self) -> None:
        """Write the file anew. A reader cannot see half of it: it waits for the lock."""
        digests = self._own()
        if digests == self._told:
            return
        self._told = None
        if not digests:
            self._close()
        else:
            self._file = self._file or self._new_file()
            _write_all(self._file.fd, "".join(f"{digest}\n" for digest in sorted(digests)).encode())
        self._told = digests

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _new_file(self) -> Claim:
        self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
        return new_claim(self._directory / f"{os.getpid()}-{os.urandom(8).hex()}")


class Hold:
    """The blobs that one creation or pull counts on; those in ``made`` came into the store through it."""

    def __init__(
        self, take: Callable[[Sequence[str], bool], None], place: Callable[[BlobWriter], bool], blobs: Blobs
    ) -> None:
        self.digests: list[str] = []
        self.made: set[str] = set()
        self._take = take
        self._place = place
        self._blobs = blobs

    def add(self, *digests: str) -> None:
        """Hold blobs that must be there; StoreError when one is missing."""
        self._hold(digests, present=True)

    def reserve(self, *digests: str) -> None:
        """Hold blobs that are still to come, and what there is of them."""
        self._hold(digests, present=False)

    def put(self, data: bytes) -> tuple[str, int, bool]:
        """Store a small blob and hold it; returns digest, size and whether it is new."""
        with self._blobs.writer() as writer:
            writer.write(data)
            writer.finish()
            return writer.digest, writer.size, self.place(writer)

    def place(self, writer: BlobWriter) -> bool:
        """Put a finished blob in place and hold it; False when it was there already."""
        is_new = self._place(writer)
        self.digests.append(writer.digest)
        if is_new:
            self.made.add(writer.digest)
        return is_new

    def _hold(self, digests: Sequence[str], *, present: bool) -> None:
        wanted = [parse_digest(digest) for digest in digests]
        self._take(wanted, present)
        self.digests += wanted


def _read(path: Path) -> set[str]:
    try:
        return set(path.read_text(errors="replace").split())
    except FileNotFoundError:
        return set()


def _write_all(fd: int, data: bytes) -> None:
    view, offset = memoryview(data), 0
    while offset < len(view):
        offset += os.pwrite(fd, view[offset:], offset)
    os.ftruncate(fd, len(view))
