"""The process that quantizes: ``python -m lcrt.modelfile.quantize_child TASK``."""

import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lcrt.errors import LcrtError, StoreError
from lcrt.gguf.reader import read_header
from lcrt.modelfile.quantize import Task
from lcrt.native.quantize import quantize
from lcrt.native.runtime import set_log
from lcrt.task.child import Said, say, serve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEP = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- ")
_FALLBACK = re.compile(r"(\d+) of (\d+) tensor\(s\) required fallback")
_FAILURE = re.compile(r"failed to quantize: (.+)")
_TRIED = bytes(1 << 20)


class _Ear:
    """Turns llama.cpp's messages into progress, in bytes of the source."""

    def __init__(self, source: Path) -> None:
        self.failure = ""
        self._sizes = {tensor.name: tensor.size for tensor in read_header(source).tensors}
        self._total = sum(self._sizes.values())
        self._done = 0

    def hear(self, _level: int, text: str) -> None:
        """Take one message."""
        if step := _STEP.match(text):
            say(Said(completed=self._done, total=self._total))
            self._done += self._sizes.get(step[1], 0)
        elif fallback := _FALLBACK.search(text):
            n, of = fallback.groups()
            say(Said(note=f"warning: {n} of {of} tensors are stored larger: their rows do not fit the type's blocks"))
        elif failure := _FAILURE.search(text):
            self.failure = failure[1]

    def end(self) -> None:
        """Tell that all is done."""
        say(Said(completed=self._total, total=self._total))


def work(task: Task) -> None:
    """Quantize one file."""
    source = Path(task.source)
    ear = _Ear(source)
    importance = _importance(task)
    set_log(ear.hear, logging.INFO)
    try:
        quantize(source, task.target, task.file_type, importance=importance)
    except LcrtError as error:
        set_log(None)
        raise _explained(ear.failure or error.message, Path(task.target)) from error
    set_log(None)
    ear.end()


def _importance(task: Task) -> "dict[str, NDArray[np.float32]] | None":
    """Read the matrix; numpy is only imported for that, it takes half of the time to start."""
    if not task.importance:
        return None
    from lcrt.modelfile.importance import read_importance

    return read_importance(Path(task.importance))


def _explained(failure: str, target: Path) -> StoreError:
    """Say what to do about a failure. OSError when it comes of the disk and can be had again."""
    if "iostream" in failure:
        _write_on(target)
    if "requires an imatrix" in failure:
        return StoreError(
            "this type of weights needs an importance matrix",
            "make one with llama-imatrix and give it with --imatrix, or choose a type of more bits",
        )
    if "importance matrix" in failure:
        return StoreError(f"the importance matrix does not fit the model: {failure}", "make one of this very model")
    return StoreError(f"quantizing failed: {failure}")


def _write_on(target: Path) -> None:
    """Write where llama.cpp could not, whose messages do not tell why: the system does."""
    with target.open("ab") as file:
        file.write(_TRIED)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(serve(work, Task))
