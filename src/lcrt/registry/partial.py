"""A blob that is still coming, on disk: the names and records that Ollama uses, so that each continues the other's.

``<blob>-partial`` has the blob's full size from the start and is filled in any order. For each part there
is ``<blob>-partial-<n>``, a line of JSON that says how much of it has come. It is written in place, in
one small write of fixed length, so that it is whole after a crash and needs no room on a full disk.
"""

import contextlib
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

_FILE_MODE = 0o644
_DIR_MODE = 0o755
_RECORD_LEN = 128
_SAVE_EVERY = 1 << 20
_PART_MIN = 16 << 20
_PART_MAX = 64 << 20
_N_PARTS = 64


class Part(msgspec.Struct, rename="pascal"):
    """A range of the blob and how much of it is on disk, from its beginning on. The names are the record's."""

    n: int
    offset: int
    size: int
    completed: int = 0

    @property
    def at(self) -> int:
        """Where the next byte belongs."""
        return self.offset + self.completed

    @property
    def end(self) -> int:
        """Where the part ends."""
        return self.offset + self.size

    @property
    def left(self) -> int:
        """Bytes that are missing."""
        return self.size - self.completed


def plan(size: int, part_size: int = 0) -> list[Part]:
    """Cut a blob into parts: short enough that what is hashed in order stays close to what arrives."""
    step = part_size or min(max(size // _N_PARTS, _PART_MIN), _PART_MAX)
    return [Part(n, offset, min(step, size - offset)) for n, offset in enumerate(range(0, size, step))] or [
        Part(0, 0, 0)
    ]


class Partial:
    """The open file and its parts. Used in a ``with`` block by whoever has the claim on the blob.

    Different threads may write to different parts.
    """

    def __init__(self, path: Path, size: int, part_size: int = 0) -> None:
        self.path = path
        self.size = size
        self._part_size = part_size
        self.parts: list[Part] = []
        self.fd = -1
        self._saved: dict[int, int] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
        found = records(self.path) if self._has_file() else []
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            if _covers(found, self.size):
                self.parts = found
                self._saved = {part.n: part.completed for part in found}
            else:
                self._begin(plan(self.size, self._part_size))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.save_all()
        self.close()

    @property
    def completed(self) -> int:
        """Bytes that are on disk."""
        return sum(part.completed for part in self.parts)

    def write(self, part: Part, data: bytes | memoryview) -> bool:
        """Put the next bytes of a part in place, none beyond its end; True when its record was written too."""
        view = memoryview(data)[: part.left]
        while view:
            n = os.pwrite(self.fd, view, part.at)
            part.completed += n
            view = view[n:]
        if part.left and part.completed - self._saved.get(part.n, 0) < _SAVE_EVERY:
            return False
        self.save(part)
        return True

    def save(self, part: Part) -> None:
        """Write a part's record."""
        completed = part.completed
        fd = os.open(_record(self.path, part.n), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            os.pwrite(fd, msgspec.json.encode(part).ljust(_RECORD_LEN - 1) + b"\n", 0)
        finally:
            os.close(fd)
        self._saved[part.n] = completed

    def save_all(self) -> None:
        """Write the records that are behind."""
        for part in self.parts:
            if self.fd >= 0 and part.completed != self._saved.get(part.n, -1):
                self.save(part)

    def begin_whole(self) -> None:
        """Forget what came: the blob comes in one piece, from its beginning."""
        self._begin([Part(0, 0, self.size)])

    def forget(self) -> None:
        """Remove the records: the file has become the blob, or is gone."""
        self.parts = []
        for record in _record_files(self.path):
            record.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove everything."""
        self.path.unlink(missing_ok=True)
        self.forget()

    def close(self) -> None:
        """Close the file; a second time is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _has_file(self) -> bool:
        return self.path.is_file() and self.path.stat().st_size == self.size

    def _begin(self, parts: list[Part]) -> None:
        self.forget()
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self.size)
        self.parts = parts
        self._saved = {}
        self.save_all()


def records(path: Path) -> list[Part]:
    """Read the records beside a partial file, by offset; none when one of them makes no sense."""
    try:
        found = [msgspec.json.decode(record.read_bytes(), type=Part) for record in _record_files(path)]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return sorted(found, key=lambda part: part.offset)


def come_so_far(path: Path) -> int:
    """How many bytes the records speak of, for whoever watches another's download."""
    return sum(part.completed for part in records(path))


def allocated(path: Path) -> int:
    """Bytes of disk that a partial file has taken already."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _covers(parts: list[Part], size: int) -> bool:
    """Whether the parts are the blob, each byte in one of them."""
    position = 0
    for part in parts:
        if part.offset != position or not 0 <= part.completed <= part.size:
            return False
        position = part.end
    return bool(parts) and position == size and len({part.n for part in parts}) == len(parts)


def _record(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}-{number}")


def _record_files(path: Path) -> list[Path]:
    pattern = re.compile(re.escape(path.name) + r"-\d+")
    return [each for each in path.parent.glob(f"{path.name}-*") if pattern.fullmatch(each.name)]
