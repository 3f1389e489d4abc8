"""``lcrt cp``: a second name for a model."""

import argparse

from lcrt.cli.output.terminal import put
from lcrt.cli.target import daemon


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two names."""
    parser.add_argument("source", metavar="SOURCE", help="the model to copy")
    parser.add_argument("destination", metavar="DESTINATION", help="its new name")


def run(given: argparse.Namespace) -> None:
    """Copy; the copy shares its bytes with the original."""
    daemon().copy(given.source, given.destination)
    put(f"copied '{given.source}' to '{given.destination}'\n")
