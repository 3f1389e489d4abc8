"""``lcrt push``: a model given to a registry."""

import argparse

from lcrt.cli.output.bars import steps
from lcrt.cli.output.terminal import put, say
from lcrt.cli.target import daemon
from lcrt.core.name import DEFAULT_HOST, DEFAULT_TAG, ModelName
from lcrt.errors import LcrtError

_REFUSALS = ("access denied", "unauthorized")
_MISSING = ": no such file or directory"
_SITE = "https://ollama.com/"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model."""
    parser.add_argument("model", metavar="MODEL", help="the model; its name says which registry gets it")
    parser.add_argument("--insecure", action="store_true", help="speak to the registry without TLS")


def run(given: argparse.Namespace) -> None:
    """Upload it, showing how far each layer is."""
    try:
        with steps() as shown, daemon().push({"model": given.model, "insecure": given.insecure}) as statuses:
            for status in statuses:
                shown.update(status.status, status.completed, status.total)
    except KeyboardInterrupt:
        say("\nstopped: push again to go on from here")
        raise
    except LcrtError as error:
        if any(word in error.message for word in _REFUSALS):
            raise LcrtError(
                "you are not authorized to push to this namespace, create the model under a namespace you own",
                f"`lcrt cp {given.model} OWN/NAME` gives it such a name; `docker login HOST` stores a password for a "
                "registry of your own",
            ) from error
        if error.message.endswith(_MISSING):
            raise LcrtError(
                error.message, "`lcrt list` shows what can be pushed; `lcrt cp` gives it the name"
            ) from error
        raise
    name = ModelName.parse(given.model)
    if name.host.lower() == DEFAULT_HOST:
        put(f"\nYou can find your model at:\n\n\t{_SITE}{name.short.removesuffix(f':{DEFAULT_TAG}')}\n")
