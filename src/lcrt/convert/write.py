"""Write the GGUF file of a folder."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lcrt.convert.config import read_config
from lcrt.convert.families import find_family
from lcrt.convert.family import Family, Metadata
from lcrt.convert.plan import choose_type, plan
from lcrt.convert.run import FILE_TYPES
from lcrt.convert.safetensors import find_tensors
from lcrt.errors import InvalidRequest, StoreError, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.types import FILE_TYPES as NUMBERED
from lcrt.gguf.writer import Source, Tensor, encode_gguf
from lcrt.units import human_bytes

_QUANTIZATION_VERSION = 2
_TOLD_EVERY = 16 << 20

Tell = Callable[[int, int], None]


def write_model(folder: Path, output: Path, *, file_type: str | None = None, name: str = "", tell: Tell) -> None:
    """Convert; ``tell`` hears how many bytes of how many are written."""
    config = read_config(folder)
    family = find_family(config)
    if config.has("quantization_config"):
        raise UnsupportedModel(
            "quantized weights cannot be converted", "start from the model as it was published first"
        )
    stored = find_tensors(folder)
    wanted = file_type or choose_type(stored)
    if wanted not in FILE_TYPES:
        raise InvalidRequest(f"a file cannot be converted to {wanted}, only to {', '.join(FILE_TYPES)}")
    tensors = plan(family, config, stored, wanted)
    metadata = {**_general(family, wanted, name), **family.metadata(config), **family.vocabulary(folder, config)}
    write_file(output, metadata, tensors, tell)


def write_file(output: Path, metadata: Metadata, tensors: Sequence[Source | Tensor], tell: Tell) -> None:
    """Write what was planned."""
    total = sum(tensor.size if isinstance(tensor, Source) else len(tensor.data) for tensor in tensors)
    _check_room(output, total)
    done = told = 0
    tell(0, total)
    with output.open("wb") as file:
        for piece in encode_gguf(metadata, tensors):
            file.write(piece)
            done += memoryview(piece).nbytes
            if done - told >= _TOLD_EVERY:
                told = done
                tell(min(done, total), total)
    tell(total, total)


def _general(family: Family, file_type: str, name: str) -> Metadata:
    number = next(number for number, kind in NUMBERED.items() if kind == file_type)
    found: Metadata = {keys.ARCHITECTURE: family.architecture, keys.KIND: "model"}
    if name:
        found[keys.NAME] = name
    return found | {keys.FILE_TYPE: number, "general.quantization_version": _QUANTIZATION_VERSION}


def _check_room(output: Path, needed: int) -> None:
    free = shutil.disk_usage(output.parent).free
    if free < needed:
        raise StoreError(f"the model needs {human_bytes(needed)}, and only {human_bytes(free)} are free on its disk")
