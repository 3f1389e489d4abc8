"""The file ``tokenizer.model``, as SentencePiece writes it: a protocol buffer, read within its bounds.

Only the fields that matter are looked at; all others are skipped by their length.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lcrt.convert.vocab.tokens import TOKENS_MAX
from lcrt.errors import InvalidRequest

FILE_NAME = "tokenizer.model"
BYTE_PAIRS = 2
"""The kind of model that merges pairs."""

_MAX = 128 << 20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_LEN_MAX = 10

Field = tuple[int, int | bytes]


class Piece(msgspec.Struct, frozen=True):
    """One token; ``type`` counts as GGUF does."""

    text: str = ""
    score: float = 0.0
    type: int = 1


class PieceModel(msgspec.Struct, frozen=True):
    """What the file says; numbers of special tokens are -1 where there is none."""

    pieces: tuple[Piece, ...]
    kind: int = 1
    unk: int = 0
    bos: int = 1
    eos: int = 2
    pad: int = -1
    add_dummy_prefix: bool = True


def read_pieces(path: Path) -> PieceModel:
    """Read the file. InvalidRequest for one that is damaged, or something else of that name."""
    if path.stat().st_size > _MAX:
        raise InvalidRequest(f"`{path.name}` is larger than {_MAX >> 20} MiB")
    try:
        return _model(path.read_bytes())
    except (ValueError, UnicodeDecodeError, struct.error) as error:
        raise InvalidRequest(f"`{path.name}` is no SentencePiece model: {error}", "fetch the file again") from error


def _model(data: bytes) -> PieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(_as_bytes(value)))
        elif number in (2, 3):
            (trainer if number == 2 else normalizer).update(_fields(_as_bytes(value)))
        if len(pieces) > TOKENS_MAX:
            raise ValueError("it has too many pieces")
    if not pieces:
        raise ValueError("it has no pieces")
    return PieceModel(
        tuple(pieces),
        kind=_number(trainer, 3, 1),
        unk=_number(trainer, 40, 0),
        bos=_number(trainer, 41, 1),
        eos=_number(trainer, 42, 2),
        pad=_number(trainer, 43, -1),
        add_dummy_prefix=bool(_number(normalizer, 3, 1)),
    )


def _piece(data: bytes) -> Piece:
    found = dict(_fields(data))
    score = found.get(2, b"\0\0\0\0")
    return Piece(
        _as_bytes(found.get(1, b"")).decode(),
        struct.unpack("<f", _as_bytes(score))[0],
        _number(found, 3, 1),
    )


def _number(found: dict[int, int | bytes], field: int, default: int) -> int:
    value = found.get(field, default)
    if not isinstance(value, int):
        raise ValueError(f"field {field} is no number")  # noqa: TRY004
    return value - (1 << 64) if value >= 1 << 63 else value


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a text is a number")  # noqa: TRY004
    return value


def _fields(data: bytes) -> Iterator[Field]:
    """Read one message's fields, each with its number."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field has the unknown form {wire}")
        if length > len(data) - at:
            raise ValueError("it ends inside a field")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(_VARINT_LEN_MAX):
        if at + i >= len(data):
            raise ValueError("it ends inside a number")
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & (1 << 64) - 1, at + i + 1
    raise ValueError("a number is too long")
