"""A program in a terminal of its own, driven as a person would."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self

_TIMEOUT = 60.0


class Terminal:
    """Runs ``lcrt`` with the given arguments in a terminal of 80 columns."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self._screen = b""
        self._seen = 0
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "NO_COLOR": "1", **variables}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def expect(self, text: str) -> None:
        """Wait until a text appears after the last one that was expected."""
        deadline = time.monotonic() + _TIMEOUT
        while (at := self._screen.find(text.encode(), self._seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(
                    f"{text!r} did not appear; after the last match came {self._screen[self._seen :]!r}"
                )
        self._seen = at + len(text.encode())

    def wait(self) -> int:
        """Wait until the program has ended and return its exit code."""
        deadline = time.monotonic() + _TIMEOUT
        while self._read(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 0.1))

    def kill(self) -> None:
        """End the program without a chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self._screen += data
        return bool(data)


# A session leader that opens its terminal again owns it, so that Ctrl-C becomes a signal.
_START = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
from lcrt.cli.app import main
sys.exit(main(sys.argv[1:]))
"""
