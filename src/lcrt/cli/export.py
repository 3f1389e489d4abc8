"""``lcrt export``: a model in one file."""

import argparse
import sys
from pathlib import Path

from lcrt.cli.local import local_store
from lcrt.cli.output.bars import steps
from lcrt.cli.output.terminal import say
from lcrt.core.name import ModelRef
from lcrt.errors import InvalidRequest
from lcrt.store.archive import export_model, write_archive
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
            write_archive(store, name, sys.stdout.buffer, watch)
            return
        path = Path(given.file).expanduser()
        size = export_model(store, name, path, watch)
    say(f"exported '{given.model}' to {path}, {human_bytes(size)}")
