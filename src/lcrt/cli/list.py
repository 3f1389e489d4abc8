"""``lcrt list``: the models on disk."""

import argparse
import time
from collections.abc import Iterable

from lcrt.cli.output.table import table
from lcrt.cli.output.terminal import put
from lcrt.cli.output.when import unix_seconds
from lcrt.cli.target import daemon
from lcrt.client.wire import Model
from lcrt.units import human_bytes, human_time

_ID_LEN = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the prefix."""
    parser.add_argument("prefix", nargs="?", default="", help="only models whose name begins so, in any case")


def run(given: argparse.Namespace) -> None:
    """Print the models whose names begin with the prefix."""
    wanted = given.prefix.lower()
    put(model_table((model for model in daemon().models() if model.name.lower().startswith(wanted)), time.time()))


def model_table(models: Iterable[Model], now: float) -> str:
    """Lay out the models as ``list`` and ``/list`` show them."""
    return table(("name", "id", "size", "modified"), [_row(model, now) for model in models])


def _row(model: Model, now: float) -> tuple[str, ...]:
    size = "-" if model.remote_model else human_bytes(model.size)
    return model.name, model.digest[:_ID_LEN], size, human_time(unix_seconds(model.modified_at), now)
