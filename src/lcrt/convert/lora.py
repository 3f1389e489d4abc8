"""LoRA adapters as PEFT saves them, made into GGUF adapters for one base model.

A pair of small matrices stands for what is added to a large one. Where converting moves rows of the large
one, those of the pair's second matrix are moved too.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from lcrt.convert.base import config_of, family_of
from lcrt.convert.family import KEEP, Family, Metadata, Reshape, Target
from lcrt.convert.lora_settings import Settings, read_settings
from lcrt.convert.numbers import FLOATS, to_floats, view
from lcrt.convert.plan import Planned, listed
from lcrt.convert.safetensors import Stored, read_tensors
from lcrt.convert.write import Tell, write_file
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.reader import Header, read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Source, Typed

_WEIGHTS = "adapter_model.safetensors"
_NAME = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(embedding_)?([AB])(?:\.\w+)?")
_EMBEDDINGS = "token_embd.weight"
_FILE_TYPE_F32 = 0
_HINT = "an adapter fits only the model that it was trained on"


class _Pair(msgspec.Struct, frozen=True):
    """Two matrices: what is added is the second times the first."""

    module: str
    first: Stored
    second: Stored
    turned: bool = False
    """Whether the sum is to be turned over, as PEFT does for embeddings."""

    @property
    def added(self) -> tuple[int, int]:
        """Rows and columns of what is added."""
        shape = (self.second.shape[0], self.first.shape[1])
        return shape[::-1] if self.turned else shape

    @property
    def rank(self) -> int:
        """How many rows the first has, and columns the second."""
        return self.first.n_rows


def write_adapter(folder: Path, base: Path, output: Path, *, tell: Tell) -> None:
    """Convert the folder's adapter for the GGUF ``base``; ``tell`` hears how many bytes of how many are written."""
    settings = read_settings(folder)
    header = read_header(base)
    family = family_of(header)
    targets = family.tensors(config_of(header, family))
    tensors: dict[str, Source] = {}
    for pair in _pairs(folder):
        for source in _sources(pair, _target(family, targets, pair), header, settings):
            if source.name in tensors:
                raise InvalidRequest(f"`{_WEIGHTS}` is damaged: it changes {pair.module} twice")
            tensors[source.name] = source
    write_file(output, _metadata(header, settings), list(tensors.values()), tell)


def _metadata(header: Header, settings: Settings) -> Metadata:
    return {
        keys.ARCHITECTURE: keys.architecture(header),
        keys.KIND: "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": Typed(ValueType.FLOAT32, settings.alpha),
        keys.FILE_TYPE: _FILE_TYPE_F32,
    }


def _pairs(folder: Path) -> list[_Pair]:
    """Read the headers of the weights and put together what belongs together."""
    path = folder / _WEIGHTS
    if not path.is_file():
        raise InvalidRequest(f"there is no `{_WEIGHTS}` in the folder", "other files of weights cannot be converted")
    halves: dict[tuple[str, bool], dict[str, Stored]] = {}
    for name, tensor in read_tensors(path).items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise UnsupportedModel(
                f"the adapter cannot be converted: it holds {name}, which is no part of a LoRA pair",
                "one that adds tokens or replaces whole matrices must be merged into its base with PEFT",
            )
        module, embedding, letter = match.groups()
        found = halves.setdefault((module, bool(embedding)), {})
        if letter in found:
            raise InvalidRequest(f"`{_WEIGHTS}` holds the matrix {letter} of {module} twice")
        found[letter] = tensor
    if not halves:
        raise InvalidRequest(f"`{_WEIGHTS}` holds no adapter")
    return [_paired(module, found, turned=turned) for (module, turned), found in halves.items()]


def _paired(module: str, found: Mapping[str, Stored], *, turned: bool) -> _Pair:
    if len(found) != 2:
        raise InvalidRequest(f"`{_WEIGHTS}` is damaged: {module} has one matrix of two")
    pair = _Pair(module, found["A"], found["B"], turned)
    for tensor in found.values():
        if tensor.dtype not in FLOATS:
            raise UnsupportedModel(f"tensor {tensor.name} holds {tensor.dtype} numbers", "save the adapter unquantized")
        if len(tensor.shape) != 2 or not all(tensor.shape):
            raise InvalidRequest(f"`{_WEIGHTS}` is damaged: {tensor.name} is no matrix")
    if pair.second.shape[1] != pair.rank:
        raise InvalidRequest(f"`{_WEIGHTS}` is damaged: the matrices of {module} have different ranks")
    return pair


def _target(family: Family, targets: Mapping[str, Target], pair: _Pair) -> Target:
    known = listed(family, targets, f"{pair.module}.weight")
    if known is None:
        raise InvalidRequest(f"the adapter changes {pair.module}, which its base does not have", _HINT)
    return targets[known]


def _sources(pair: _Pair, target: Target, header: Header, settings: Settings) -> list[Source]:
    """Plan a pair; its matrices must fit the base's tensor."""
    large = next((tensor.shape for tensor in header.tensors if tensor.name == target.name), ())
    if large[::-1] != pair.added or pair.turned != (target.name == _EMBEDDINGS):
        ours, theirs = (" x ".join(map(str, shape)) or "nothing" for shape in (pair.added, large[::-1]))
        raise InvalidRequest(f"the adapter changes {ours} of {pair.module}, its base has {theirs}", _HINT)
    first, second = f"{target.name}.lora_a", f"{target.name}.lora_b"
    if pair.turned:
        _check_embeddings(header)
        source = Source(first, "F32", pair.first.shape, partial(_turned, pair.first))
    else:
        source = Planned(pair.first, Target(first), "F32").source()
    factor = settings.factor(pair.module, pair.rank)
    return [source, Planned(pair.second, Target(second, reshape=_scaled(target.reshape, factor)), "F32").source()]


def _check_embeddings(header: Header) -> None:
    if all(tensor.name != "output.weight" for tensor in header.tensors):
        raise UnsupportedModel(
            "the adapter changes the embeddings, which its base uses for its output too",
            "merge it into its base with PEFT and convert the whole model instead",
        )


def _scaled(reshape: Reshape, factor: float) -> Reshape:
    """Move rows as they are moved in the base, and multiply them."""
    moved = KEEP if reshape.order is None else Reshape(reshape.unit, reshape.order)
    if factor == 1.0:
        return moved
    return msgspec.structs.replace(moved, change=lambda rows: rows * np.float32(factor))


def _turned(stored: Stored) -> Iterator[memoryview]:
    """Read a matrix and hand it over by its columns: the engine looks up a token's row in it."""
    [block] = stored.blocks(stored.n_rows)
    rows = to_floats(view(block, stored.dtype).reshape(stored.shape), stored.dtype)
    yield memoryview(np.ascontiguousarray(rows.T).reshape(-1).view(np.uint8).data)
