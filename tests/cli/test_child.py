"""A daemon of the command's own; the real server, without a model."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lcrt.cli.child import OwnDaemon
from lcrt.config.address import Address
from lcrt.errors import LcrtError, NoServer
from tests.client.fake import FakeDaemon, objects

_HOLDER = """
import sys
from lcrt.cli.child import OwnDaemon
from lcrt.config.address import Address
with OwnDaemon(Address.parse(sys.argv[1])) as daemon:
    daemon.ensure()
    print(daemon.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Address:
    """A free port, and a store of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "models"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address(port=probe.getsockname()[1])


def has_ended(pid: int) -> bool:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor):
        ready, _, _ = select.select([descriptor], [], [], 15)
        return bool(ready)


def test_a_daemon_is_started_when_none_runs_and_ends_with_its_holder(address: Address) -> None:
    with OwnDaemon(address) as daemon:
        daemon.ensure()
        assert daemon.api.models() == []
        pid = daemon.pid
        assert pid is not None
        daemon.ensure()
        assert daemon.pid == pid
    with pytest.raises(NoServer):
        daemon.api.ping()


def test_a_daemon_that_died_is_started_again(address: Address) -> None:
    with OwnDaemon(address) as daemon:
        daemon.ensure()
        first = daemon.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        daemon.ensure()
        assert daemon.pid not in (None, first)
        assert daemon.api.models() == []


def test_a_daemon_that_runs_already_is_used_and_left_alone(fake: FakeDaemon) -> None:
    fake.on("GET", "/api/tags", objects({"models": []}))
    with OwnDaemon(Address.parse(fake.host)) as daemon:
        daemon.ensure()
        assert daemon.pid is None
    assert daemon.api.models() == []


def test_the_daemon_ends_when_its_holder_is_killed(address: Address) -> None:
    command = [sys.executable, "-c", _HOLDER, address.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        holder.kill()
        assert has_ended(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_daemon(address: Address) -> None:
    with OwnDaemon(address) as daemon:
        daemon.ensure()
        assert daemon.pid is not None
        assert os.getsid(daemon.pid) != os.getsid(0)


def test_nothing_is_started_for_another_machine() -> None:
    with OwnDaemon(Address.parse("192.0.2.1:9")) as daemon:
        daemon.api.ping = refuse  # type: ignore[method-assign]
        with pytest.raises(NoServer):
            daemon.ensure()
        assert daemon.pid is None


def refuse() -> None:
    raise NoServer("nobody there")


def test_a_daemon_that_cannot_start_says_why(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCRT_MAX_QUEUE", "many")
    with OwnDaemon(address) as daemon, pytest.raises(LcrtError, match="could not be started") as raised:
        daemon.ensure()
    assert "LCRT_MAX_QUEUE: cannot use `many`" in str(raised.value)
