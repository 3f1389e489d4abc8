"""Weights of eight bits with scales beside them, as checkpoints in FP8 have them.

A number is what its bits say times the scale of its tensor, its row or its block. Scales of activations and of the
cache say how to compute in eight bits, which the engine does not do: they are left out.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from lcrt.convert.config import QUANTIZATION, Config
from lcrt.convert.numbers import FLOATS, Array, Floats, to_floats, view
from lcrt.convert.safetensors import Stored
from lcrt.errors import InvalidRequest, UnsupportedModel

FP8 = "F8_E4M3"
_COMPRESSED, _MODELOPT = "compressed-tensors", "modelopt"
_METHODS = ("fp8", "fbgemm_fp8", _COMPRESSED, _MODELOPT)
"""The last two name their tool, which makes other kinds of weights too."""

_WEIGHT = ".weight"
_SCALES = (".weight_scale_inv", ".weight_scale")
_LEFT_OUT = (".input_scale", ".activation_scale", ".input_scale_ub", ".output_scale", *(f".{x}_scale" for x in "qkv"))
_BLOCK = (128, 128)
_BIAS, _DIGITS, _NAN = 7, 3, 0x7F
_HINT = "start from the model as it was published first"


class Scale(msgspec.Struct, frozen=True):
    """The scales of one matrix: each stands for ``rows`` rows of ``columns`` columns."""

    values: Floats
    rows: int
    columns: int

    def widen(self, bits: Array, first: int) -> Floats:
        """Compute rows of a matrix from their bits; ``first`` is the number of the first row."""
        mine = self.values[np.arange(first, first + bits.shape[0]) // self.rows]
        wide: Floats = _TABLE[bits] * np.repeat(mine, self.columns, axis=1)[:, : bits.shape[1]]
        return wide


def check_method(config: Config) -> None:
    """Refuse a quantized checkpoint of another kind. What of it is FP8 in truth each tensor says."""
    if config.has(QUANTIZATION):
        other = _other_kind(config.part(QUANTIZATION))
        if other:
            raise UnsupportedModel(f"quantized weights cannot be converted: their kind is {other}", _HINT)


def _other_kind(told: Config) -> str:
    """Name the kind of weights that are not in FP8; empty where they may be."""
    method = told.text("quant_method", "")
    if method not in _METHODS:
        return method or "not told"
    if method == _COMPRESSED:
        for group in told.parts("config_groups"):
            # Where there is no word of its weights, only what goes into a layer is in few bits.
            weights = group.part("weights")
            kind, n_bits = weights.text("type", "int"), weights.count("num_bits", 8)
            if group.has("weights") and (kind, n_bits) != ("float", 8):
                return f"{method} of the type {kind} in {n_bits} bits"
    if method == _MODELOPT:
        # Its own file has that one level further down, as some copies of it in here do.
        algorithm = told.part("quantization").text("quant_algo", told.text("quant_algo", ""))
        if not algorithm.upper().startswith("FP8"):
            return f"{method} {algorithm or 'without a name'}"
    return ""


def take_scales(config: Config, stored: Mapping[str, Stored]) -> tuple[dict[str, Stored], dict[str, Scale]]:
    """Part the weights from their scales, both by the weights' names. InvalidRequest where they do not fit."""
    if not config.has(QUANTIZATION):
        return dict(stored), {}
    weights = {name: tensor for name, tensor in stored.items() if not name.endswith((*_SCALES, *_LEFT_OUT))}
    block = _block(config)
    scales = {}
    for name, tensor in weights.items():
        if tensor.dtype != FP8:
            continue
        found = [stored[other] for end in _SCALES if (other := name.removesuffix(_WEIGHT) + end) in stored]
        if len(found) != 1 or len(tensor.shape) != 2 or not all(tensor.shape):
            raise InvalidRequest(f"tensor {name} holds {FP8} numbers and is no matrix with one scale beside it", _HINT)
        scales[name] = _scale(tensor, found[0], block)
    return weights, scales


def _block(config: Config) -> tuple[int, int]:
    told = config.part(QUANTIZATION).numbers("weight_block_size", _BLOCK)
    if len(told) != 2 or not all(size >= 1 and size == int(size) for size in told):
        raise config.wrong("weight_block_size must be two numbers")
    return int(told[0]), int(told[1])


def _scale(tensor: Stored, scale: Stored, block: tuple[int, int]) -> Scale:
    """Read the scales of a matrix; their shape says what each is for."""
    n_rows, n_columns = tensor.shape
    blocks = (-(-n_rows // block[0]), -(-n_columns // block[1]))
    if scale.shape in ((), (1,), (1, 1)):
        shape, rows, columns = (1, 1), n_rows, n_columns
    elif scale.shape in ((n_rows,), (n_rows, 1)):
        shape, rows, columns = (n_rows, 1), 1, n_columns
    elif scale.shape == blocks:
        shape, rows, columns = blocks, block[0], min(block[1], n_columns)
    else:
        raise InvalidRequest(f"tensor {scale.name} has a shape that does not fit {tensor.name}")
    if scale.dtype not in FLOATS:
        raise UnsupportedModel(f"tensor {scale.name} holds {scale.dtype} numbers", _HINT)
    [data] = scale.blocks(scale.n_rows)
    values = to_floats(view(data, scale.dtype), scale.dtype).reshape(shape)
    return Scale(values, rows, columns)


def _table() -> Floats:
    """Compute what each eight bits stand for: a sign, four bits of exponent, three of digits; no infinity."""
    bits: npt.NDArray[np.int64] = np.arange(256)
    exponents, digits = bits >> _DIGITS & 15, bits & 7
    sizes = np.where(
        exponents > 0, np.ldexp(1 + digits / 8, exponents - _BIAS), np.ldexp(digits / 8, np.full(256, 1 - _BIAS))
    )
    return np.where(bits & _NAN == _NAN, np.nan, np.where(bits < 128, sizes, -sizes)).astype(np.float32)


_TABLE = _table()
