"""Write small GGUF files: metadata and tensors that are already bytes."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from lcrt.gguf.reader import DEFAULT_ALIGNMENT, MAGIC, Scalar
from lcrt.gguf.types import SCALAR_FORMATS, TENSOR_TYPES, ValueType

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


Plain = Scalar | Sequence[Scalar] | Typed


def write_gguf(path: Path, metadata: Mapping[str, Plain], tensors: Sequence[Tensor] = ()) -> None:
    """Write a file; plain values get the usual type: UINT32, FLOAT32, BOOL, STRING, or an array of one."""
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)))
        for key, value in metadata.items():
            file.write(_string(key) + _value(value))
        offset = 0
        for tensor in tensors:
            file.write(_tensor_info(tensor, offset))
            offset = _aligned(offset + len(tensor.data))
        for tensor in tensors:
            _pad(file)
            file.write(tensor.data)


def _aligned(offset: int) -> int:
    return -(-offset // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT


def _pad(file: BinaryIO) -> None:
    file.write(bytes(_aligned(file.tell()) - file.tell()))


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _tensor_info(tensor: Tensor, offset: int) -> bytes:
    number = next(n for n, kind in TENSOR_TYPES.items() if kind.name == tensor.type)
    dims = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _string(tensor.name) + dims + struct.pack("<IQ", number, offset)


def _value(value: Plain) -> bytes:
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
