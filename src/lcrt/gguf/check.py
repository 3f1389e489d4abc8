"""A GGUF file is checked before anything else reads it, in a process that can do no harm.

The reader bounds every count by what is left of the file; here are the rules that span the whole
header, and the process (``python -m lcrt.gguf.check TASK``): it may take little memory and time and cannot write.
"""

import contextlib
import resource
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec

from lcrt.errors import EngineError, ModelFormatError
from lcrt.gguf.reader import DEFAULT_ALIGNMENT, Header, TensorInfo, read_header
from lcrt.task import child

_MAX_MEMORY = 1 << 30
_MAX_SECONDS = 60
_MAX_FILES = 16
_MAX_ELEMENTS = 2**63 - 1
_TEXT_KEYS = ("general.architecture", "general.name", "general.type", "tokenizer.ggml.model", "tokenizer.chat_template")
_MODULE = "lcrt.gguf.check"


class Task(msgspec.Struct, frozen=True):
    """What the process is to do."""

    path: str


def check_file(path: Path) -> Generator[None, None, None]:
    """Check a file in a process of its own, which ends when the generator is closed; it yields until that is done.

    ModelFormatError says what is wrong with the file, OSError why no process could be had.
    """
    try:
        with contextlib.closing(child.run(_MODULE, Task(str(path)), "checking")) as checking:
            for _ in checking:
                yield
    except ModelFormatError:
        raise
    except EngineError as error:
        raise ModelFormatError(
            f"`{path.name}` could not be checked: its header takes too much memory or time to read", error.hint
        ) from error


def check_header(header: Header) -> None:
    """Check what one value alone does not tell. ModelFormatError says what is wrong."""
    for key in _TEXT_KEYS:
        if key in header.metadata and not isinstance(header.metadata[key], str):
            raise _damaged(header, f"{key} is no text")
    alignment = header.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    seen: set[str] = set()
    for tensor in header.tensors:
        _check_tensor(header, tensor, int(alignment) if isinstance(alignment, int) else DEFAULT_ALIGNMENT)
        if tensor.name in seen:
            raise _damaged(header, f"tensor {tensor.name} comes twice")
        seen.add(tensor.name)
    _check_overlap(header)


def _check_tensor(header: Header, tensor: TensorInfo, alignment: int) -> None:
    if not tensor.name:
        raise _damaged(header, "a tensor has no name")
    if not all(tensor.shape):
        raise _damaged(header, f"tensor {tensor.name} has a dimension of 0")
    if tensor.n_elements > _MAX_ELEMENTS:
        raise _damaged(header, f"tensor {tensor.name} has more numbers than can be counted")
    if tensor.offset % alignment:
        raise _damaged(header, f"tensor {tensor.name} begins at {tensor.offset}, no multiple of {alignment}")


def _check_overlap(header: Header) -> None:
    end, before = 0, ""
    for tensor in sorted(header.tensors, key=lambda tensor: tensor.offset):
        if tensor.offset < end:
            raise _damaged(header, f"tensors {before} and {tensor.name} overlap")
        end, before = tensor.offset + tensor.size, tensor.name


def _damaged(header: Header, reason: str) -> ModelFormatError:
    return ModelFormatError(f"`{header.path.name}` is damaged: {reason}")


def _confine() -> None:
    """Give up the right to much memory, much time, new files and new processes."""
    for what, limit in (
        (resource.RLIMIT_AS, _MAX_MEMORY),
        (resource.RLIMIT_CPU, _MAX_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (wanted, wanted))


def _work(task: Task) -> None:
    _confine()
    check_header(read_header(Path(task.path)))


if __name__ == "__main__":
    sys.exit(child.serve(_work, Task))
