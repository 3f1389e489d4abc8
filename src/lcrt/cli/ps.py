"""``lcrt ps``: the loaded models."""

import argparse
import time

from lcrt.cli.output.table import table
from lcrt.cli.output.terminal import put
from lcrt.cli.output.when import unix_seconds
from lcrt.cli.target import daemon
from lcrt.client.wire import Process
from lcrt.units import human_bytes, human_time

_ID_LEN = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the prefix."""
    parser.add_argument("prefix", nargs="?", default="", help="only models whose name begins so")


def run(given: argparse.Namespace) -> None:
    """Print the loaded models whose names begin with the prefix."""
    now = time.time()
    rows = [_row(model, now) for model in daemon().processes() if model.name.startswith(given.prefix)]
    put(table(("name", "id", "size", "processor", "context", "until"), rows))


def _row(model: Process, now: float) -> tuple[str, ...]:
    return (
        model.name,
        model.digest[:_ID_LEN],
        human_bytes(model.size),
        processor(model.size, model.size_vram),
        str(model.context_length),
        _until(model.expires_at, now),
    )


def processor(size: int, size_vram: int) -> str:
    """Say which share of a model's bytes lies where."""
    if size_vram == 0:
        return "100% CPU"
    if size_vram > size:
        return "Unknown"
    if size_vram == size:
        return "100% GPU"
    on_cpu = int((size - size_vram) / size * 100 + 0.5)
    return f"{on_cpu}%/{100 - on_cpu}% CPU/GPU"


def _until(expires_at: str, now: float) -> str:
    when = unix_seconds(expires_at)
    return "Stopping..." if when is not None and when < now else human_time(when, now)
