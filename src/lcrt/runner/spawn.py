"""Starts the process of a runner."""

import logging
import socket
import subprocess
import sys
from collections.abc import Sequence

import msgspec

log = logging.getLogger("lcrt.runner")

RUNNER_COMMAND = (sys.executable, "-m", "lcrt.runner.process")


class Spawned(msgspec.Struct, frozen=True):
    """A process that was started, and the daemon's end of the socket to it."""

    process: subprocess.Popen[bytes]
    sock: socket.socket


def spawn(command: Sequence[str] = RUNNER_COMMAND) -> Spawned:
    """Start a runner; its last arguments are the level of logging and the number of its socket.

    The child has a session of its own, so that Ctrl-C in a terminal is the daemon's alone to
    handle, and inherits nothing but the socket and stderr. Call this on a thread that lives as
    long as the daemon: on Linux the child dies with the thread that started it.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(
                [*command, str(log.getEffectiveLevel()), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
    except OSError:
        ours.close()
        raise
    ours.settimeout(0)
    return Spawned(process, ours)
