"""``lcrt stop``: a model taken out of memory."""

import argparse

from lcrt.cli.target import daemon
from lcrt.errors import NotFound


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name."""
    parser.add_argument("model", metavar="MODEL", help="the model to unload")


def run(given: argparse.Namespace) -> None:
    """Unload the model; answers that are under way end first."""
    try:
        daemon().unload(given.model)
    except NotFound as error:
        raise NotFound(f'couldn\'t find model "{given.model}" to stop') from error
