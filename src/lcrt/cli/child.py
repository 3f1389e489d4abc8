"""A daemon that lives as long as the command that needs it."""

import os
import socket
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import BinaryIO, Self

from lcrt.client.api import Api
from lcrt.config.address import Address
from lcrt.errors import LcrtError, NoServer

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
_LOG_TAIL = 2000


class OwnDaemon:
    """Leads to the daemon at an address and starts one there when nobody listens.

    The child is held by a socket: it ends when this end is closed, also when this process is
    killed. It has a session of its own, so that Ctrl-C in the terminal does not reach it.
    """

    def __init__(self, address: Address) -> None:
        self.api = Api(address)
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: socket.socket | None = None
        self._log: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The child's process, None while there is no child."""
        return self._process.pid if self._process else None

    def ensure(self) -> None:
        """Return when a daemon answers; starts one only for an address on this machine."""
        try:
            self.api.ping()
        except NoServer:
            if not self.api.address.is_loopback or self.api.address.scheme != "http":
                raise
            self.stop()
            self._start()
            self._wait_until_ready()

    def stop(self) -> None:
        """Let go of the child and wait until it has ended."""
        if self._leash:
            self._leash.close()
            self._leash = None
        if self._process:
            _end(self._process)
            self._process = None
        if self._log:
            self._log.close()
            self._log = None

    def _start(self) -> None:
        self._leash, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by stop
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lcrt", "serve", "--leash-fd", str(theirs.fileno())],
                env={**os.environ, "LCRT_HOST": self.api.address.netloc},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        """Wait for the child's word; when it ended instead, another daemon may have been quicker."""
        if self._leash and self._hears(self._leash):
            return
        words = self._last_words()
        self.stop()
        try:
            self.api.ping()
        except NoServer:
            raise LcrtError("the server could not be started", words or None) from None

    @staticmethod
    def _hears(leash: socket.socket) -> bool:
        leash.settimeout(_START_TIMEOUT)
        try:
            return leash.recv(1) != b""
        except (TimeoutError, ConnectionError):
            return False

    def _last_words(self) -> str:
        if not self._log:
            return ""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(size - _LOG_TAIL, 0))
        return self._log.read().decode("utf-8", "replace").strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    for hasten in (process.terminate, process.kill):
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            hasten()
        else:
            return
    process.wait()
