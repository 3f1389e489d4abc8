"""Write the GGUF file of a folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lcrt.convert.config import read_config
from lcrt.convert.families import find_family
from lcrt.convert.family import Family, Metadata
from lcrt.convert.fp8 import check_method
from lcrt.convert.plan import choose_type, plan
from lcrt.convert.run import FILE_TYPES
from lcrt.convert.safetensors import find_tensors
from lcrt.errors import InvalidRequest
from lcrt.gguf import keys
from lcrt.gguf.types import FILE_TYPES as NUMBERED
from lcrt.gguf.writer import Source, Tensor, encode_gguf
from lcrt.store.room import check_room

_QUANTIZATION_VERSION = 2
_TOLD_EVERY = 16 << 20

Tell = Callable[[int, int], None]
Warn = Callable[[str], None]


def write_model(
    folder: Path,
    output: Path,
    *,
    file_type: str | None = None,
    name: str = "",
    tell: Tell,
    warn: Warn = lambda _: None,
) -> None:
    """Convert; ``tell`` hears how many bytes of how many are written, ``warn`` what will not be as in the source."""
    config = read_config(folder)
    family = find_family(config)
    check_method(config)
    stored = find_tensors(folder)
    wanted = file_type or choose_type(stored)
    if wanted not in FILE_TYPES:
        raise InvalidRequest(f"a file cannot be converted to {wanted}, only to {', '.join(FILE_TYPES)}")
    tensors = plan(family, config, stored, wanted)
    metadata = {**_general(family, wanted, name), **family.metadata(config), **family.vocabulary(folder, config)}
    for warning in family.warnings(config):
        warn(warning)
    write_file(output, metadata, tensors, tell)


def write_file(output: Path, metadata: Metadata, tensors: Sequence[Source | Tensor], tell: Tell) -> None:
    """Write what was planned."""
    total = sum(tensor.size if isinstance(tensor, Source) else len(tensor.data) for tensor in tensors)
    check_room(output.parent, total)
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
