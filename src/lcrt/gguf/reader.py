"""Read the header of a GGUF file: metadata and tensor list, never weights.

Nothing in the file is trusted: every count, string and array is checked against what is left of
the file and against fixed limits before memory is taken for it. Arrays are skipped and read only
when asked for. A file that breaks a rule raises ModelFormatError.
"""

import struct
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from lcrt.errors import ModelFormatError
from lcrt.gguf.types import SCALAR_FORMATS, TENSOR_TYPES, TensorType, ValueType

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32

_VERSIONS = (2, 3)
_WINDOW = 1 << 20
_MAX_KEY_LEN = 65535
_MAX_STRING_LEN = 64 << 20
_MAX_TEXT_LEN = 128 << 20
_MAX_ELEMENTS = 1 << 24
_MAX_KEYS = 1 << 16
_MAX_TENSORS = 1 << 18
_MAX_NAME_LEN = 1024
_MAX_DIMS = 4
_MIN_KEY_LEN = 8 + 4 + 1
_MIN_TENSOR_LEN = 8 + 4 + 4 + 8
_MAX_ALIGNMENT = 1 << 20


class ArrayRef(msgspec.Struct, frozen=True):
    """An array left in the file: ``count`` elements from byte ``offset`` on."""

    type: ValueType
    count: int
    offset: int


Scalar = int | float | bool | str
Value = Scalar | ArrayRef


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor: ``shape`` fastest dimension first, ``offset`` from the start of the data."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return self.n_elements // self.type.block_len * self.type.block_bytes


class Header(msgspec.Struct, frozen=True):
    """Everything in front of the weights; ``spans`` says from where to where each value lies, its type included."""

    path: Path
    version: int
    metadata: dict[str, Value]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_size: int
    spans: dict[str, tuple[int, int]] = {}

    def raw(self, key: str) -> bytes:
        """Read the value under a key, which must be there, as it stands in the file."""
        start, end = self.spans[key]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def array(self, key: str) -> list[Scalar]:
        """Read the array under ``key`` from the file; empty when there is none."""
        ref = self.metadata.get(key)
        if not isinstance(ref, ArrayRef):
            return []
        with self.path.open("rb") as file:
            cursor = _Cursor(file, self.path, self.file_size)
            cursor.seek(ref.offset)
            return cursor.array(ref)


def is_gguf(path: Path) -> bool:
    """Tell whether the file begins as a GGUF does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_header(path: Path) -> Header:
    """Read and check the header; the tensors' data must lie inside the file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _Parser(_Cursor(file, path, size)).header()
    except OSError as error:
        raise ModelFormatError(f"cannot read `{path}`: {error.strerror}") from error


class _Cursor:
    """A place in the file, with a window of bytes read ahead of it."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._file = file
        self._window = b""
        self._start = 0
        self._at = 0

    @property
    def pos(self) -> int:
        return self._start + self._at

    @property
    def left(self) -> int:
        return self.size - self.pos

    def fail(self, reason: str) -> NoReturn:
        raise ModelFormatError(f"`{self.path.name}` is damaged: {reason}, at byte {self.pos} of {self.size}")

    def seek(self, pos: int) -> None:
        offset = pos - self._start
        if 0 <= offset <= len(self._window):
            self._at = offset
        else:
            self._window, self._start, self._at = b"", pos, 0

    def _need(self, n: int) -> None:
        """Have ``n`` more bytes in the window."""
        if len(self._window) - self._at >= n:
            return
        if n > self.left:
            self.fail("it ends too early")
        self._start, self._at = self.pos, 0
        self._file.seek(self._start)
        self._window = self._file.read(max(n, _WINDOW))
        if len(self._window) < n:
            self.fail("it ends too early")

    def take(self, n: int) -> bytes:
        self._need(n)
        data = self._window[self._at : self._at + n]
        self._at += n
        return data

    def number(self, kind: ValueType) -> int | float | bool:
        code = SCALAR_FORMATS[kind]
        value: int | float = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        if kind is ValueType.BOOL:
            return bool(value)
        return _shortest(value) if kind is ValueType.FLOAT32 else value

    def count(self, limit: int, item_len: int, what: str) -> int:
        """Read a count of things of at least ``item_len`` bytes each, at most ``limit`` of them."""
        n = struct.unpack("<Q", self.take(8))[0]
        if n > limit or n * item_len > self.left:
            self.fail(f"{n} {what} cannot be in it")
        return int(n)

    def string(self, limit: int, what: str) -> str:
        return self.take(self.count(limit, 1, f"bytes of {what}")).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            if len(self._window) - self._at < 8:
                self._need(8)
            (length,) = unpack(self._window, self._at)
            self._at += 8
            if length > len(self._window) - self._at:
                if length > self.left:
                    self.fail(f"a string of {length} bytes cannot be in it")
                self.seek(self.pos + length)
            else:
                self._at += length

    def array(self, ref: ArrayRef) -> list[Scalar]:
        if ref.type is ValueType.STRING:
            return [self.string(_MAX_STRING_LEN, "a string") for _ in range(ref.count)]
        code = SCALAR_FORMATS[ref.type]
        width = struct.calcsize(f"<{code}")
        values: list[Scalar] = []
        while len(values) < ref.count:
            n = min(ref.count - len(values), _WINDOW // width)
            values += struct.unpack(f"<{n}{code}", self.take(n * width))
        if ref.type is ValueType.BOOL:
            return [bool(value) for value in values]
        return [_shortest(float(value)) for value in values] if ref.type is ValueType.FLOAT32 else values


class _Parser:
    """Reads one header from its start."""

    def __init__(self, cursor: _Cursor) -> None:
        self._in = cursor
        self._text_left = _MAX_TEXT_LEN
        self._spans: dict[str, tuple[int, int]] = {}

    def header(self) -> Header:
        version = self._version()
        n_tensors = self._in.count(_MAX_TENSORS, _MIN_TENSOR_LEN, "tensors")
        n_keys = self._in.count(_MAX_KEYS, _MIN_KEY_LEN, "keys")
        metadata = self._metadata(n_keys)
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
            self._in.fail("general.alignment is no power of two")
        tensors = tuple(self._tensor() for _ in range(n_tensors))
        data_offset = -(-self._in.pos // alignment) * alignment
        for tensor in tensors:
            if data_offset + tensor.offset + tensor.size > self._in.size:
                self._in.fail(f"tensor {tensor.name} lies beyond its end")
        return Header(self._in.path, version, metadata, tensors, data_offset, self._in.size, self._spans)

    def _version(self) -> int:
        if self._in.size < len(MAGIC) or self._in.take(len(MAGIC)) != MAGIC:
            raise ModelFormatError(f"`{self._in.path.name}` is not a GGUF file")
        raw = self._in.take(4)
        version = int.from_bytes(raw, "little")
        if version in _VERSIONS:
            return version
        if int.from_bytes(raw, "big") in _VERSIONS:
            raise ModelFormatError(f"`{self._in.path.name}` is a big-endian GGUF, which cannot be used here")
        raise ModelFormatError(f"`{self._in.path.name}` is a GGUF of version {version}; known are 2 and 3")

    def _text(self, limit: int, what: str) -> str:
        """Read a string to be kept; all of them together have a limit too."""
        before = self._in.pos
        text = self._in.string(min(limit, self._text_left), what)
        self._text_left -= self._in.pos - before
        return text

    def _metadata(self, n_keys: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for _ in range(n_keys):
            key = self._text(_MAX_KEY_LEN, "a key")
            if key in metadata:
                self._in.fail(f"key {key} comes twice")
            start = self._in.pos
            metadata[key] = self._value(key)
            self._spans[key] = (start, self._in.pos)
        return metadata

    def _kind(self, key: str) -> ValueType:
        number = int(self._in.number(ValueType.UINT32))
        if number > max(ValueType):
            self._in.fail(f"key {key} has the unknown type {number}")
        return ValueType(number)

    def _value(self, key: str) -> Value:
        kind = self._kind(key)
        if kind is ValueType.STRING:
            return self._text(_MAX_STRING_LEN, "a string")
        return self._array(key) if kind is ValueType.ARRAY else self._in.number(kind)

    def _array(self, key: str) -> ArrayRef:
        kind = self._kind(key)
        if kind is ValueType.ARRAY:
            self._in.fail(f"key {key} holds arrays of arrays")
        width = 8 if kind is ValueType.STRING else struct.calcsize(f"<{SCALAR_FORMATS[kind]}")
        count = self._in.count(_MAX_ELEMENTS, width, "array elements")
        ref = ArrayRef(kind, count, self._in.pos)
        if kind is ValueType.STRING:
            self._in.skip_strings(count)
        else:
            self._in.seek(ref.offset + count * width)
        return ref

    def _tensor(self) -> TensorInfo:
        name = self._text(_MAX_NAME_LEN, "a tensor name")
        n_dims = int(self._in.number(ValueType.UINT32))
        if n_dims > _MAX_DIMS:
            self._in.fail(f"tensor {name} has {n_dims} dimensions")
        shape = struct.unpack(f"<{n_dims}Q", self._in.take(8 * n_dims))
        number, offset = struct.unpack("<IQ", self._in.take(12))
        kind = TENSOR_TYPES.get(number)
        if kind is None:
            self._in.fail(f"tensor {name} has the unknown type {number}")
        if shape and shape[0] % kind.block_len:
            self._in.fail(f"tensor {name} has rows of {shape[0]}, no multiple of {kind.block_len}")
        return TensorInfo(name, kind, shape, offset)


def _shortest(value: float) -> float:
    """Pick the double that prints shortest among those a 32-bit float stands for."""
    packed = struct.pack("<f", value)
    for digits in (6, 7, 8):
        shorter = float(f"{value:.{digits}g}")
        if abs(shorter) < 3.4e38 and struct.pack("<f", shorter) == packed:
            return shorter
    return value
