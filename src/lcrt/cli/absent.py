"""Commands that people will try and that this version does not have."""

import argparse

from lcrt.errors import LcrtError

_INSTEAD = {"signin": "`docker login HOST` stores a name and password that pulls and pushes use"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take anything: the answer is the same."""
    parser.add_argument("anything", nargs="*", default=[], metavar="MODEL", help="the model")
    parser.add_argument("--insecure", action="store_true", help="allow a registry without TLS")


def run(given: argparse.Namespace) -> None:
    """Say that it does not exist yet, and what to do instead."""
    raise LcrtError(f"'{given.command}' is not available yet", _INSTEAD[given.command])
