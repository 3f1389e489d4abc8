"""``lcrt serve``: the daemon."""

import argparse
import os
from functools import partial

from lcrt import log
from lcrt.cli.output.terminal import put
from lcrt.cli.version import client_version
from lcrt.config.address import Address
from lcrt.config.settings import load_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the settings that have a flag."""
    parser.add_argument("--host", metavar="ADDRESS", help="where to listen: [host][:port]")
    parser.add_argument("--models", metavar="FOLDER", help="where models are kept")
    parser.add_argument("--show-config", action="store_true", help="print all settings and where each comes from")
    parser.add_argument("--leash-fd", type=int, help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> None:
    """Serve until a signal ends it."""
    settings = load_settings(os.environ, {"host": given.host, "models": given.models})
    if given.show_config:
        put(settings.explain() + "\n")
        return
    import anyio

    from lcrt.server.serve import serve

    log.setup("debug" if settings.debug else "info")
    leash: int | None = given.leash_fd
    ready = None if leash is None else partial(_tell_ready, leash)
    anyio.run(partial(serve, settings, client_version(), leash_fd=leash, on_listening=ready))


def _tell_ready(leash: int, address: Address) -> None:
    """Let the command at the other end of the leash know that requests can be sent."""
    del address
    os.write(leash, b"\n")
