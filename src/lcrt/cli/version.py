"""``lcrt --version``: the server's version, and the client's where it differs."""

import argparse
from importlib.metadata import PackageNotFoundError, version

from lcrt.cli.output.terminal import put
from lcrt.cli.target import address
from lcrt.client.api import Api
from lcrt.errors import LcrtError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing."""


def run(given: argparse.Namespace) -> None:
    """Print both versions to stdout."""
    del given
    client = client_version()
    try:
        server = Api(address()).version()
    except LcrtError:
        put(f"Warning: could not connect to a running lcrt instance\nWarning: client version is {client}\n")
        return
    if server.lcrt:
        put(f"lcrt version is {server.lcrt} (API of Ollama {server.version})\n")
    else:
        put(f"ollama version is {server.version}\n")
    if server.lcrt != client:
        put(f"Warning: client version is {client}\n")


def client_version() -> str:
    """Return the version of this package."""
    try:
        return version("lcrt")
    except PackageNotFoundError:
        return "unknown"
