"""Which tensor of the source becomes which of the GGUF, and its bytes in blocks of rows."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from lcrt.convert.config import Config
from lcrt.convert.family import Family, Target
from lcrt.convert.fp8 import FP8, Scale, take_scales
from lcrt.convert.numbers import FLOATS, Array, from_floats, recode, to_floats, view
from lcrt.convert.safetensors import Stored
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.gguf.writer import Source, Tensor

_BLOCK = 8 << 20
_IGNORED = (".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias", ".embeddings.position_ids")
"""Ends of names of what can be computed anew; not every checkpoint leaves it out."""
_HEAD = "lm_head.weight"
"""Left out where it is the embeddings again."""
_SHOWN_MAX = 3


class Planned(msgspec.Struct, frozen=True):
    """One tensor on its way."""

    stored: Stored
    target: Target
    type: str
    scale: Scale | None = None
    """What its numbers are multiplied by where they have eight bits."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape in the GGUF, slowest dimension first."""
        n_rows = self.target.reshape.n_rows
        return self.stored.shape if n_rows is None else (n_rows, *self.stored.shape[1:])

    def source(self) -> Source:
        """What the writer needs of it."""
        return Source(self.target.name, self.type, tuple(reversed(self.shape)) or (1,), self.pieces)

    def pieces(self) -> Iterator[memoryview]:
        """Read, reorder, compute and narrow, one block at a time."""
        unit = self.target.reshape.unit
        n_rows = max(1, _BLOCK // max(1, self.stored.row_size) // unit) * unit
        first = 0
        for block in self.stored.blocks(n_rows, self.target.reshape.n_rows):
            rows = view(block, self.stored.dtype).reshape(-1, *self.stored.shape[1:])
            dtype = self.stored.dtype
            if self.scale is not None:
                rows, dtype = self.scale.widen(rows, first), "F32"
            yield memoryview(np.ascontiguousarray(self._changed(rows, dtype)).reshape(-1).view(np.uint8).data)
            first += n_rows

    def _changed(self, rows: Array, dtype: str) -> Array:
        reshape = self.target.reshape
        if reshape.order is not None:
            rows = reshape.order(rows)
        if reshape.change is not None:
            return from_floats(reshape.change(to_floats(rows, dtype)), self.type, self.stored.name)
        return recode(rows, dtype, self.type, self.stored.name)


def plan(family: Family, config: Config, stored: Mapping[str, Stored], file_type: str) -> list[Source | Tensor]:
    """Plan every tensor of the GGUF. What is missing, too much or of another shape is an error."""
    targets = family.tensors(config)
    weights, scales = take_scales(config, stored)
    found = _matched(family, targets, weights)
    missing = [name for name, target in targets.items() if name not in found and not target.optional]
    if missing:
        raise InvalidRequest(f"the weights lack {_some(missing)}", "copy all of the model's files into the folder")
    planned = [
        _planned(found[name], target, file_type, scales.get(found[name].name))
        for name, target in targets.items()
        if name in found
    ]
    return [*family.computed(config), *(one.source() for one in planned)]


def choose_type(stored: Mapping[str, Stored]) -> str:
    """Choose the file's type: BF16 when the first matrix is, or was before it became FP8, else F16."""
    first = next((tensor for tensor in stored.values() if len(tensor.shape) > 1), None)
    return "BF16" if first is not None and first.dtype in ("BF16", FP8) else "F16"


def _matched(family: Family, targets: Mapping[str, Target], stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """Sort the stored tensors by the names that the family lists."""
    found: dict[str, Stored] = {}
    unknown: list[str] = []
    head_again = [] if _HEAD in targets else [_HEAD]
    for name, tensor in stored.items():
        if name.startswith(family.skipped) or name.endswith((*_IGNORED, *head_again)):
            continue
        known = listed(family, targets, name)
        if known is None:
            unknown.append(name)
        elif known in found:
            raise InvalidRequest(f"the weights hold {name} twice: as `{found[known].name}` too")
        else:
            found[known] = tensor
    if unknown:
        raise UnsupportedModel(
            f"the weights hold tensors that a {family.architecture} model has no place for: {_some(unknown)}",
            "a model that was quantized or changed in its structure cannot be converted",
        )
    return found


def listed(family: Family, targets: Mapping[str, Target], name: str) -> str | None:
    """Find a checkpoint's name among those that the family lists, whatever stands before it."""
    for before, instead in family.prefixes:
        if name.startswith(before) and instead + name.removeprefix(before) in targets:
            return instead + name.removeprefix(before)
    return None


def _planned(stored: Stored, target: Target, file_type: str, scale: Scale | None) -> Planned:
    if stored.dtype not in FLOATS and scale is None:
        raise UnsupportedModel(
            f"tensor {stored.name} holds {stored.dtype} numbers", "quantized weights cannot be converted"
        )
    if target.shape and stored.shape != target.shape:
        raise InvalidRequest(
            f"tensor {stored.name} is {_by(stored.shape)}, not {_by(target.shape)} as `config.json` says"
        )
    if not all(stored.shape):
        raise InvalidRequest(f"tensor {stored.name} is empty")
    is_full = target.full or len(stored.shape) < 2 or target.reshape.change is not None
    return Planned(stored, target, "F32" if is_full or not target.name.endswith(".weight") else file_type, scale)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_MAX])
    return shown if len(names) <= _SHOWN_MAX else f"{shown} and {len(names) - _SHOWN_MAX} more"
