"""Write GGUF files: metadata, and tensors that are bytes already or come in pieces."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from lcrt.errors import ModelFormatError
from lcrt.gguf.reader import DEFAULT_ALIGNMENT, MAGIC, Scalar, TensorInfo
from lcrt.gguf.types import SCALAR_FORMATS, TENSOR_TYPES, TensorType, ValueType

_VERSION = 3


class Typed(msgspec.Struct, frozen=True):
    """A value, or the elements of an array, with the type to store them in."""

    type: ValueType
    value: Scalar | Sequence[Scalar]


class Tensor(msgspec.Struct, frozen=True):
    """A tensor to be written: ``shape`` fastest dimension first, ``type`` a name such as F16."""

    name: str
    type: str
    shape: tuple[int, ...]
    data: bytes


class Source(msgspec.Struct, frozen=True):
    """A tensor whose bytes come in pieces when they are wanted; together they must be what its type and shape say."""

    name: str
    type: str
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[bytes | memoryview]]

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return TensorInfo(self.name, _type(self.type)[1], self.shape, 0).size


class Raw(msgspec.Struct, frozen=True):
    """A value as it stands in another file, its type included."""

    data: bytes


Plain = Scalar | Sequence[Scalar] | Typed | Raw


def write_gguf(path: Path, metadata: Mapping[str, Plain], tensors: Sequence[Tensor | Source] = ()) -> None:
    """Write a file; plain values get the usual type: UINT32, FLOAT32, BOOL, STRING, or an array of one."""
    with path.open("wb") as file:
        for piece in encode_gguf(metadata, tensors):
            file.write(piece)


def encode_gguf(metadata: Mapping[str, Plain], tensors: Sequence[Tensor | Source] = ()) -> Iterator[bytes | memoryview]:
    """Make the bytes of a file in pieces: the whole header, then one tensor after another."""
    header = bytearray(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)))
    for key, value in metadata.items():
        header += _string(key) + _value(value)
    offset = 0
    for tensor in tensors:
        header += _tensor_info(tensor, offset)
        offset = _aligned(offset + _size(tensor))
    yield bytes(header)
    n_over = len(header)
    for tensor in tensors:
        yield bytes(_aligned(n_over) - n_over)
        if isinstance(tensor, Tensor):
            yield tensor.data
        else:
            yield from _exact(tensor)
        n_over = _size(tensor)


def _exact(tensor: Source) -> Iterator[bytes | memoryview]:
    """Pass pieces on; their size is what the header said."""
    n_done = 0
    for piece in tensor.pieces():
        n_done += memoryview(piece).nbytes
        yield piece
    if n_done != tensor.size:
        raise ModelFormatError(f"tensor {tensor.name} came with {n_done} bytes instead of {tensor.size}")


def _size(tensor: Tensor | Source) -> int:
    return len(tensor.data) if isinstance(tensor, Tensor) else tensor.size


def _aligned(offset: int) -> int:
    return -(-offset // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT


def _type(name: str) -> tuple[int, TensorType]:
    return next((n, kind) for n, kind in TENSOR_TYPES.items() if kind.name == name)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _tensor_info(tensor: Tensor | Source, offset: int) -> bytes:
    number = _type(tensor.type)[0]
    dims = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _string(tensor.name) + dims + struct.pack("<IQ", number, offset)


def _value(value: Plain) -> bytes:
    if isinstance(value, Raw):
        return value.data
    typed = value if isinstance(value, Typed) else Typed(_usual_type(value), value)
    if isinstance(typed.value, str) or not isinstance(typed.value, Sequence):
        return struct.pack("<I", typed.type) + _scalar(typed.type, typed.value)
    elements = b"".join(_scalar(typed.type, element) for element in typed.value)
    return struct.pack("<IIQ", ValueType.ARRAY, typed.type, len(typed.value)) + elements


def _scalar(kind: ValueType, value: Scalar) -> bytes:
    return _string(value) if isinstance(value, str) else struct.pack(f"<{SCALAR_FORMATS[kind]}", value)


def _usual_type(value: Scalar | Sequence[Scalar]) -> ValueType:
    first = value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value
    if isinstance(first, bool):
        return ValueType.BOOL
    if isinstance(first, float):
        return ValueType.FLOAT32
    if isinstance(first, int):
        return ValueType.INT32 if first < 0 else ValueType.UINT32 if first < 2**32 else ValueType.UINT64
    return ValueType.STRING
