"""How far an operation is: pieces of a file that are counted as they are read, and its digest."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lcrt.errors import InvalidRequest

_PIECE = 2**20

Report = Callable[[int], None]


class File(msgspec.Struct, frozen=True):
    """A file to be given to the daemon; ``size`` in bytes."""

    path: Path
    digest: str
    size: int


def pieces(path: Path, report: Report) -> Iterator[bytes]:
    """Read a file in pieces of 1 MiB; ``report`` is told the bytes read so far."""
    n_read = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                n_read += len(piece)
                yield piece
                report(n_read)
    except OSError as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}") from error


def hash_file(path: Path, report: Report) -> File:
    """Compute the digest of a file."""
    digest = hashlib.sha256()
    size = 0
    for piece in pieces(path, report):
        digest.update(piece)
        size += len(piece)
    return File(path, f"sha256:{digest.hexdigest()}", size)
