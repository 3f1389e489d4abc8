"""``lcrt export``: a model in one file."""

import argparse
import sys
from pathlib import Path

from lcrt.cli.local import local_store
from lcrt.cli.output.bars import steps
from lcrt.cli.output.terminal import say
from lcrt.core.name import ModelName, ModelRef
from lcrt.errors import InvalidRequest
from lcrt.store.archive import Watch, cannot_write, export_model, write_archive
from lcrt.store.store import Store
from lcrt.units import human_bytes

_STDOUT = "-"
_SHOWN_DIGITS = len("sha256:") + 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model and the file."""
    parser.add_argument("model", metavar="MODEL", help="the model to export")
    parser.add_argument("file", metavar="FILE", help="the archive to write, or - for stdout")


def run(given: argparse.Namespace) -> None:
    """Write a tar archive with the layout of an OCI image; ``lcrt import`` reads it."""
    try:
        name = ModelRef.parse(given.model).name
    except ValueError as error:
        raise InvalidRequest(f"invalid model name: {given.model}", "`lcrt list` shows the names") from error
    store = local_store()
    if given.file == _STDOUT and sys.stdout.isatty():
        raise InvalidRequest(
            "an archive is not for a terminal", "name a file, or send it on: lcrt export MODEL - | ssh ..."
        )
    with steps() as shown:

        def watch(digest: str, done: int, total: int) -> None:
            shown.update(f"writing {digest[:_SHOWN_DIGITS]}", done, total)

        if given.file == _STDOUT:
            _send(store, name, watch)
            return
        path = Path(given.file).expanduser()
        size = export_model(store, name, path, watch)
    say(f"exported '{given.model}' to {path}, {human_bytes(size)}")


def _send(store: Store, name: ModelName, watch: Watch) -> None:
    """Write to whoever reads on; that one may leave, which is no news."""
    try:
        write_archive(store, name, sys.stdout.buffer, watch)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write("to stdout", error) from error
