"""What a family of models is: the one description that converting needs of it.

A family file (``llama.py``, ``qwen.py``, ...) holds its metadata, the map of its tensors and its kind
of tokenizer, as one value of ``Family``; ``families.py`` lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from lcrt.convert.config import Config
from lcrt.convert.numbers import Array, Floats
from lcrt.gguf.writer import Plain, Tensor

Metadata = dict[str, Plain]


class Reshape(msgspec.Struct, frozen=True):
    """What happens to a tensor's rows on the way; ``unit`` rows are handed over together, in any number of units.

    ``order`` moves rows and sees numbers of any type, ``change`` computes and makes the tensor F32.
    """

    unit: int = 1
    order: Callable[[Array], Array] | None = None
    change: Callable[[Floats], Floats] | None = None
    n_rows: int | None = None
    """Keep only so many rows."""


KEEP = Reshape()


class Target(msgspec.Struct, frozen=True):
    """Where a tensor of the source goes: its GGUF name, on the way a reshape.

    ``shape`` is what the config says it must be, slowest dimension first; empty when anything will do.
    """

    name: str
    shape: tuple[int, ...] = ()
    reshape: Reshape = KEEP
    optional: bool = False
    full: bool = False
    """Stays F32, whatever the file's type."""


class Family(msgspec.Struct, frozen=True):
    """One GGUF architecture and all that it takes to make it of a checkpoint."""

    architecture: str
    """As GGUF calls it."""
    sources: tuple[str, ...]
    """As ``config.json`` calls it."""
    metadata: Callable[[Config], Metadata]
    tensors: Callable[[Config], Mapping[str, Target]]
    """Every tensor of the source by name, those that may be missing too."""
    vocabulary: Callable[[Path, Config], Metadata]
    """The tokenizer's keys, of the files in the folder."""
    computed: Callable[[Config], Sequence[Tensor]] = lambda _: ()
    """Tensors that are computed from the config."""
    warnings: Callable[[Config], Sequence[str]] = lambda _: ()
    """What the engine computes otherwise than the source, for people."""
    prefixes: tuple[tuple[str, str], ...] = (("", ""),)
    """Beginnings that names may have in a checkpoint, and what stands there in ``tensors``."""
    skipped: tuple[str, ...] = ()
    """Beginnings of names that belong to something else, as an image encoder."""
