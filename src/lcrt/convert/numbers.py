"""Numbers of safetensors made into numbers of GGUF, a block at a time.

numpy has no bfloat16: such numbers travel as their 16 bits, which are the upper half of a float32.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from lcrt.errors import InvalidRequest

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

FLOATS = ("F32", "F16", "BF16", "F64")
"""Types that weights may have."""

_STORAGE: dict[str, npt.DTypeLike] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "F8_E4M3": "u1"}
_NAN_BITS = np.uint32(0x7F800000)
_QUIET = np.uint32(0x00400000)


def view(data: bytearray | bytes, dtype: str) -> Array:
    """See bytes as numbers; those that numpy does not have as their bits."""
    return np.frombuffer(data, _STORAGE[dtype])


def to_floats(values: Array, dtype: str) -> Floats:
    """Widen numbers to float32."""
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def from_floats(values: Floats, kind: str, name: str) -> Array:
    """Narrow float32 to a GGUF type, rounding to nearest even. InvalidRequest when one gets infinite by it."""
    if kind == "F32":
        return values
    if kind == "BF16":
        return _to_bfloat(values)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float16)
    if np.isinf(narrow).any() and not np.array_equal(np.isinf(narrow), np.isinf(values)):
        raise InvalidRequest(f"tensor {name} has numbers too large for F16", "convert to BF16 or F32 instead")
    return narrow


def recode(values: Array, dtype: str, kind: str, name: str) -> Array:
    """Make numbers of one type those of another; the same type is left alone."""
    return values if dtype == kind else from_floats(to_floats(values, dtype), kind, name)


def _to_bfloat(values: Floats) -> npt.NDArray[np.uint16]:
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > _NAN_BITS
    if is_nan.any():
        rounded = np.where(is_nan, (bits | _QUIET) >> np.uint32(16), rounded)
    return rounded.astype(np.uint16)
