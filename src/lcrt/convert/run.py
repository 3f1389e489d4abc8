"""Convert a folder of safetensors: the half that starts the process and listens to it.

numpy and everything that reads the folder stay in that process.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path

import msgspec

from lcrt.store.failure import store_error
from lcrt.task import child
from lcrt.task.progress import Progress

STATUS = "converting model"
FILE_TYPES = ("F32", "F16", "BF16")
ADAPTER_STATUS = "converting adapter"
_MODULE = "lcrt.convert.process"
_ADAPTER_MODULE = "lcrt.convert.lora_process"


class Task(msgspec.Struct, frozen=True):
    """What the process is to do; an empty ``file_type`` leaves the choice to it."""

    folder: str
    output: str
    file_type: str = ""
    name: str = ""


class AdapterTask(msgspec.Struct, frozen=True):
    """What the process is to do with an adapter; ``base`` is a GGUF file."""

    folder: str
    base: str
    output: str


def convert(
    folder: Path, output: Path, *, file_type: str | None = None, name: str = ""
) -> Generator[Progress, None, None]:
    """Write the folder's model as a GGUF file; closing the generator ends the process and removes what it wrote.

    ``file_type`` is F32, F16 or BF16; without it BF16 weights stay BF16 and all others become F16.
    ``name`` goes into the file as the model's name. UnsupportedModel lists what can be converted,
    InvalidRequest says what is wrong with the folder.
    """
    task = Task(str(folder), str(output), file_type or "", name)
    yield from _listen(_MODULE, task, STATUS, output)


def convert_adapter(folder: Path, base: Path, output: Path) -> Generator[Progress, None, None]:
    """Write a folder's LoRA adapter, as PEFT saves it, as a GGUF adapter; closing the generator gives it up.

    ``base`` is the GGUF of the model that it is to be put on, of any type of weights: its header says how the
    tensors are called and ordered. The folder holds ``adapter_config.json`` and ``adapter_model.safetensors``.
    UnsupportedModel says what of an adapter cannot be had, InvalidRequest what is wrong with it, also when it
    does not fit the base.
    """
    task = AdapterTask(str(folder), str(base), str(output))
    yield from _listen(_ADAPTER_MODULE, task, ADAPTER_STATUS, output)


def _listen(module: str, task: object, status: str, output: Path) -> Generator[Progress, None, None]:
    """Run a process and pass on what it says; what it wrote goes when it is given up or fails."""
    done = False
    try:
        yield Progress(status)
        with contextlib.closing(child.run(module, task, "converting")) as heard:
            for said in heard:
                yield child.progress(status, said)
        done = True
    except OSError as error:
        raise store_error("converting failed", error) from error
    finally:
        if not done:
            output.unlink(missing_ok=True)
