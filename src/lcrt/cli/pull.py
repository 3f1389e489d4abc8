"""``lcrt pull``: a model fetched from a registry."""

import argparse

from lcrt.cli.app import UsageError
from lcrt.cli.output.bars import steps
from lcrt.cli.output.terminal import say
from lcrt.cli.target import daemon
from lcrt.client.api import Api
from lcrt.config.env import size
from lcrt.errors import LcrtError

_NO_NAME = "invalid model name"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model and how to fetch it."""
    parser.add_argument("model", metavar="MODEL", help="the model: NAME[:TAG], HOST/NAME/MODEL, hf.co/ORG/REPO[:QUANT]")
    parser.add_argument("--insecure", action="store_true", help="speak to the registry without TLS")
    parser.add_argument("--limit-rate", default="", metavar="RATE", help="bytes per second at most, such as 5MB")
    parser.add_argument("--offline", action="store_true", help="ask no network: only check that the model is here")


def run(given: argparse.Namespace) -> None:
    """Fetch it, showing how far each layer is."""
    request: dict[str, object] = {"model": given.model, "insecure": given.insecure, "offline": given.offline}
    if given.limit_rate:
        request["limit_rate"] = _rate(given.limit_rate)
    pull_model(daemon(), request)


def pull_model(api: Api, request: dict[str, object]) -> None:
    """Let the daemon fetch a model and show what it does; raises what it says went wrong."""
    try:
        with steps() as shown, api.pull(request) as statuses:
            for status in statuses:
                shown.update(status.status, status.completed, status.total)
    except KeyboardInterrupt:
        say("\nstopped: pull again to go on from here")
        raise
    except LcrtError as error:
        if error.message == _NO_NAME:
            raise LcrtError(_NO_NAME, "say NAME[:TAG], HOST/NAME/MODEL[:TAG] or hf.co/ORG/REPO[:QUANT]") from error
        raise


def _rate(text: str) -> int:
    try:
        return size(text)
    except ValueError as error:
        raise UsageError(
            f"invalid value for --limit-rate: {error}\nSay bytes per second, such as 500KB or 5MB."
        ) from error
