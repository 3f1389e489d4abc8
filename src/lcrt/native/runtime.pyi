"""The process-wide part: the folder of the backends, devices, the log."""

from collections.abc import Callable
from os import PathLike

from lcrt.native.values import Device

def init(backend_dir: str | PathLike[str] | None = None) -> None:
    """Load the backends from a folder, by default from beside the library; once per process. ``LoadError``."""

def backend_version() -> str:
    """Which llama.cpp computes, as its builds are numbered."""

def devices() -> list[Device]:
    """What can compute; the CPU is one of them. Memory in bytes."""

def set_log(sink: Callable[[int, str], object] | None, level: int = 30) -> None:
    """Send messages of the engine and of llama.cpp at ``level`` (as in ``logging``) and above to ``sink``.

    ``sink(level, text)`` runs on a thread of its own, soon after; it must not call this. What it raises is
    dropped. When this returns, the sink before has got all messages until now. None silences.
    """
