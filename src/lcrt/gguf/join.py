"""Shards of one model, ``name-00001-of-0000N.gguf``: do they belong together, and their one file."""

import glob
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from lcrt.errors import InvalidRequest
from lcrt.gguf import keys
from lcrt.gguf.reader import Header, TensorInfo
from lcrt.gguf.writer import Raw, Source, encode_gguf

COUNT = "split.count"
_NUMBER = "split.no"
_N_TENSORS = "split.tensors.count"
_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_PIECE = 4 << 20


def is_shard(header: Header) -> bool:
    """Tell whether a file is one of several."""
    return keys.number(header, COUNT) > 1


def ordered(shards: Sequence[tuple[str, Header]]) -> list[Header]:
    """Put the shards of one model, with their file names, in order. InvalidRequest says what does not fit."""
    found: dict[int, Header] = {}
    n_shards = keys.number(shards[0][1], COUNT)
    for file_name, header in shards:
        index = _index(file_name, header)
        if index in found:
            raise InvalidRequest(f"split GGUF has duplicate shard index {index}")
        found[index] = header
    if 0 not in found:
        raise InvalidRequest("split GGUF is missing first shard")
    if len(found) != n_shards:
        raise InvalidRequest(f"split GGUF has {len(found)} shards, expected {n_shards}", "give all of its files")
    in_order = [found[index] for index in sorted(found)]
    _check_tensors(in_order)
    return in_order


def stem(file_name: str) -> str:
    """What the names of all shards of a model have in common. InvalidRequest for another name."""
    return _match(file_name)[1]


def beside(path: Path) -> list[Path]:
    """List all files of the split model that a file is one of, by their names; of another file, only itself."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return [path]
    return sorted(path.parent.glob(f"{glob.escape(match[1])}-[0-9][0-9][0-9][0-9][0-9]-of-{match[3]}.gguf"))


def join(shards: Sequence[Header]) -> Iterator[bytes | memoryview]:
    """Make the bytes of the one file; shards in order, the first has all the metadata."""
    first = shards[0]
    metadata = {key: Raw(first.raw(key)) for key in first.metadata if key not in (COUNT, _NUMBER, _N_TENSORS)}
    metadata.pop("general.alignment", None)
    tensors = [
        Source(tensor.name, tensor.type.name, tensor.shape, partial(_pieces, header, tensor))
        for header in shards
        for tensor in header.tensors
    ]
    return encode_gguf(metadata, tensors)


def _match(file_name: str) -> re.Match[str]:
    match = _NAME.fullmatch(file_name)
    if match is None:
        raise InvalidRequest(
            f'split GGUF "{file_name}" must use llama.cpp split filename pattern', "as in name-00001-of-00003.gguf"
        )
    return match


def _index(file_name: str, header: Header) -> int:
    _, number, count = _match(file_name).groups()
    told = keys.number(header, COUNT)
    if int(count) != told:
        raise InvalidRequest(
            f'split GGUF "{file_name}" filename count {int(count)} does not match metadata count {told}'
        )
    if _NUMBER not in header.metadata:
        raise InvalidRequest(f'split GGUF "{file_name}" is missing split.no metadata')
    index = keys.number(header, _NUMBER)
    if int(number) != index + 1:
        raise InvalidRequest(
            f'split GGUF "{file_name}" filename index {int(number)} does not match metadata index {index + 1}'
        )
    return index


def _check_tensors(shards: Sequence[Header]) -> None:
    names = [tensor.name for header in shards for tensor in header.tensors]
    if len(set(names)) != len(names):
        raise InvalidRequest("split GGUF has one tensor in two shards")
    told = keys.number(shards[0], _N_TENSORS)
    if told and told != len(names):
        raise InvalidRequest(f"split GGUF has {len(names)} tensors, expected {told}")


def _pieces(header: Header, tensor: TensorInfo) -> Iterator[bytes]:
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        left = tensor.size
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece
