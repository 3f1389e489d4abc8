"""``lcrt rm``: models removed from memory and disk."""

import argparse

from lcrt.cli.output.terminal import put, say
from lcrt.cli.target import daemon
from lcrt.client.api import Api
from lcrt.errors import LcrtError, NotFound


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the names."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="the models to remove")


def run(given: argparse.Namespace) -> None:
    """Remove one after another and stop at the first that fails."""
    api = daemon()
    for model in given.models:
        _unload(api, model)
        api.delete(model)
        put(f"deleted '{model}'\n")


def _unload(api: Api, model: str) -> None:
    try:
        api.unload(model)
    except NotFound:
        return
    except LcrtError:
        say(f"Warning: unable to stop model '{model}'")
