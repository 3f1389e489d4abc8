"""Quantizing while a model is made: what is possible, and the process that does it."""

from collections.abc import Generator
from pathlib import Path

import msgspec

from lcrt.errors import StoreError
from lcrt.gguf import keys
from lcrt.gguf.reader import Header
from lcrt.gguf.types import FILE_TYPES, TENSOR_TYPES
from lcrt.store.failure import store_error
from lcrt.task import child
from lcrt.task.progress import Progress

ONLY_FROM = "quantization is only supported for F16, BF16 and F32 models"
_MODULE = "lcrt.modelfile.quantize_child"
_SOURCES = frozenset({"F16", "BF16", "F32"})
_ALIASES = {"MXFP4_MOE": "MXFP4", "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
_GONE = frozenset({"Q4_1_F16", "NVFP4"})
"""Types that llama.cpp reads and does not write."""
_NUMBERS = {name: number for number, name in FILE_TYPES.items() if name not in _GONE}
_FROM_IMPORTANCE = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S"})
"""Types that llama.cpp makes without an importance matrix of hardly any model: where no row fits their blocks."""

TYPES = tuple(_NUMBERS)
"""All names that ``target_type`` reads."""


class Task(msgspec.Struct, frozen=True):
    """What the process is to do."""

    source: str
    target: str
    file_type: int
    importance: str = ""


def target_type(wanted: str) -> str:
    """Read the name of a type in any case, empty for none; StoreError for a name that no type has."""
    upper = wanted.upper()
    name = _ALIASES.get(upper, upper)
    if name and name not in _NUMBERS:
        raise StoreError(f"unsupported quantization type {name} - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0")
    return name


def needs_importance(target: str) -> bool:
    """Tell whether weights become this type, as ``target_type`` names it, with an importance matrix only."""
    return target in _FROM_IMPORTANCE


def is_needed(header: Header, target: str) -> bool:
    """Tell whether a model's weights are of another type; StoreError when they cannot become this one."""
    if keys.quantization(header) == target:
        return False
    if keys.quantization(header) not in _SOURCES:
        raise StoreError(ONLY_FROM)
    return True


def least_size(header: Header, target: str) -> int:
    """Say how many bytes a model takes at least once its weights are of a type."""
    alike = (kind for kind in TENSOR_TYPES.values() if kind.name[:3] == target[:3])
    return int(keys.parameter_count(header) * min(kind.block_bytes / kind.block_len for kind in alike))


def quantize(header: Header, output: Path, target: str, importance: Path | None) -> Generator[Progress, None, None]:
    """Write a model in the type wanted; closing the generator ends the process that does it."""
    status = f"quantizing {keys.quantization(header)} model to {target}"
    task = Task(str(header.path), str(output), _NUMBERS[target], str(importance or ""))
    try:
        for said in child.run(_MODULE, task, "quantizing"):
            yield child.progress(status, said)
    except OSError as error:
        raise store_error("quantizing failed", error) from error
