"""Whether a folder can be converted, before its weights are there: the half that starts the process.

It reads all that a conversion reads, but for the tensors.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path

import msgspec

from lcrt.store.failure import store_error
from lcrt.task import child

_MODULE = "lcrt.convert.look_process"


class Task(msgspec.Struct, frozen=True):
    """What the process is to read."""

    folder: str
    config_only: bool = False


def look(folder: Path, *, config_only: bool = False) -> Generator[None, None, None]:
    """Read `config.json` and, unless ``config_only``, the tokenizer of a model whose weights may be missing.

    Yields now and then until it is done; closing the generator ends the process.
    UnsupportedModel lists what can be converted, InvalidRequest says what is wrong with the folder, StoreError
    that no process can be started.
    """
    try:
        with contextlib.closing(
            child.run(_MODULE, Task(str(folder), config_only), "reading the model's files")
        ) as said:
            for _ in said:
                yield
    except OSError as error:
        raise store_error("cannot read the model's files", error) from error
