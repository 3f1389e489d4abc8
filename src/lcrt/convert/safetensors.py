"""Read safetensors files: which tensors lie where, and their bytes in blocks of rows.

Nothing in a file is trusted: the header has a limit, every tensor must lie inside the data, be as
large as its type and shape say and overlap no other. Data is read where it is wanted, never mapped,
so that what is in memory is what was asked for.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec

from lcrt.errors import InvalidRequest

DTYPES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}
"""Types of numbers that a file may hold, with their bytes."""

_HEADER_MAX = 100_000_000
_INDEX_MAX = 64 << 20
_TENSORS_MAX = 1 << 18
_NAME_LEN_MAX = 1024
_FILES_MAX = 10_000
_LENGTH_LEN = 8
_METADATA = "__metadata__"
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"

_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Stored(msgspec.Struct, frozen=True):
    """One tensor in a file: ``shape`` slowest dimension first, ``offset`` from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    size: int

    @property
    def n_rows(self) -> int:
        """How many rows it has: what its first dimension counts."""
        return self.shape[0] if self.shape else 1

    @property
    def row_size(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * DTYPES[self.dtype]

    def blocks(self, n_rows: int, n_wanted: int | None = None) -> Iterator[bytearray]:
        """Read ``n_rows`` rows at a time, ``n_wanted`` in all."""
        left = self.n_rows if n_wanted is None else n_wanted
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left > 0:
                block = bytearray(min(n_rows, left) * self.row_size)
                if file.readinto(block) != len(block):
                    raise InvalidRequest(f"`{self.path.name}` is damaged: it ends inside tensor {self.name}")
                left -= n_rows
                yield block


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[_Size]
    data_offsets: tuple[_Size, _Size]


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def read_tensors(path: Path) -> dict[str, Stored]:
    """Read and check one file's header. InvalidRequest says what is wrong with it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_len = int.from_bytes(file.read(_LENGTH_LEN), "little")
        if size < _LENGTH_LEN or header_len > min(_HEADER_MAX, size - _LENGTH_LEN):
            _damaged(path, "it is no safetensors file, or was cut")
        entries = _entries(path, file.read(header_len))
    start = _LENGTH_LEN + header_len
    tensors = {name: _stored(path, name, entry, start) for name, entry in entries.items()}
    _check_layout(path, tensors, start, size)
    return tensors


def find_tensors(folder: Path) -> dict[str, Stored]:
    """Read the headers of a model's files: those its index names, or the only ones there are."""
    index = folder / _INDEX
    if index.is_file() and not (folder / _SINGLE).is_file():
        return _indexed(folder, index)
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if not files:
        raise InvalidRequest("there is no safetensors file in the folder", "name the folder that holds the weights")
    found: dict[str, Stored] = {}
    for path in files:
        _merge(found, path, read_tensors(path))
    return found


def _indexed(folder: Path, index: Path) -> dict[str, Stored]:
    if index.stat().st_size > _INDEX_MAX:
        _damaged(index, "it is too large")
    try:
        weight_map = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"`{index.name}` is damaged: {error}") from error
    names = sorted(set(weight_map.values()))
    if len(names) > _FILES_MAX:
        _damaged(index, f"it names {len(names)} files")
    found: dict[str, Stored] = {}
    for name in names:
        if os.sep in name or "\0" in name or not name.endswith(".safetensors"):
            _damaged(index, f"it names `{name}`, which is no safetensors file beside it")
        if not (folder / name).is_file():
            raise InvalidRequest(f"`{name}` is missing", f"`{index.name}` names it: copy all of the model's files")
        _merge(found, folder / name, read_tensors(folder / name))
    for tensor, name in weight_map.items():
        if tensor not in found or found[tensor].path.name != name:
            _damaged(index, f"tensor {tensor} is not in `{name}`")
    return found


def _merge(found: dict[str, Stored], path: Path, tensors: Mapping[str, Stored]) -> None:
    for name in tensors:
        if name in found:
            _damaged(path, f"tensor {name} is in `{found[name].path.name}` too")
    found.update(tensors)


def _entries(path: Path, header: bytes) -> dict[str, _Entry]:
    try:
        raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        raw.pop(_METADATA, None)
        if len(raw) > _TENSORS_MAX:
            _damaged(path, f"it has {len(raw)} tensors")
        return {name: msgspec.json.decode(entry, type=_Entry) for name, entry in raw.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"`{path.name}` is damaged: its header cannot be read: {error}") from error


def _stored(path: Path, name: str, entry: _Entry, start: int) -> Stored:
    if not name or len(name) > _NAME_LEN_MAX:
        _damaged(path, "a tensor has no usable name")
    if entry.dtype not in DTYPES:
        _damaged(path, f"tensor {name} has the unknown type {entry.dtype}")
    begin, end = entry.data_offsets
    if end - begin != math.prod(entry.shape) * DTYPES[entry.dtype]:
        _damaged(path, f"tensor {name} is not as large as its shape says")
    return Stored(name, entry.dtype, tuple(entry.shape), path, start + begin, end - begin)


def _check_layout(path: Path, tensors: Mapping[str, Stored], start: int, size: int) -> None:
    """Every byte behind the header must belong to one tensor, as the format says: so no name comes twice either."""
    end, before = start, ""
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.offset, tensor.size)):
        if tensor.offset < end:
            _damaged(path, f"tensors {before} and {tensor.name} overlap")
        if tensor.offset > end:
            _damaged(path, f"{tensor.offset - end} bytes in front of tensor {tensor.name} belong to none")
        end, before = tensor.offset + tensor.size, tensor.name
        if end > size:
            _damaged(path, f"tensor {tensor.name} lies beyond its end: it was cut")
    if end < size:
        _damaged(path, f"{size - end} bytes behind the last tensor belong to none")


def _damaged(path: Path, reason: str) -> NoReturn:
    raise InvalidRequest(f"`{path.name}` is damaged: {reason}", "fetch the file again")
