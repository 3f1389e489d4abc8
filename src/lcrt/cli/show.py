"""``lcrt show``: what is known of a model."""

import argparse

from lcrt.cli.app import UsageError
from lcrt.cli.output.facts import describe
from lcrt.cli.output.terminal import put
from lcrt.cli.target import daemon

_PARTS = ("license", "modelfile", "parameters", "system", "template")
_NO_LINE_END = ("system", "template")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name and one flag per part."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    for part in _PARTS:
        parser.add_argument(f"--{part}", action="store_true", help=f"print only the {part} of the model")
    parser.add_argument("-v", "--verbose", action="store_true", help="print all metadata and tensors too")


def run(given: argparse.Namespace) -> None:
    """Print one part as it is, or an overview."""
    wanted = [part for part in _PARTS if getattr(given, part)]
    if len(wanted) > 1:
        flags = "'--license', '--modelfile', '--parameters', '--system', or '--template'"
        raise UsageError(f"only one of {flags} can be specified")
    shown = daemon().show(given.model, verbose=given.verbose)
    if not wanted:
        put(describe(shown, verbose=given.verbose))
        return
    text: str = getattr(shown, wanted[0])
    put(text if wanted[0] in _NO_LINE_END else text + "\n")
