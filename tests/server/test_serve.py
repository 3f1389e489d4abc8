import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lcrt.config.address import Address
from lcrt.errors import ConfigError
from lcrt.server.serve import bind
from lcrt.store.store import Store
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

ASK = b'{"model":"tiny","prompt":"x"}'
POST = b"POST /api/generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(ASK), ASK)
DAEMON = f"{Path(__file__).with_name('daemon.py')}"


class Process:
    """A daemon of its own, whose generations wait for a file to appear."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, go: Path) -> None:
        self.process = process
        self.port = port
        self._go = go
        self._writers: list[asyncio.StreamWriter] = []

    async def line(self) -> str:
        """What it prints next."""
        if self.process.stdout is None:
            return ""
        return (await self.process.stdout.readline()).decode().strip()

    def let_go(self) -> None:
        self._go.touch()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; it is closed in the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def ask(self) -> asyncio.StreamReader:
        """Ask for an answer, and wait for its first word."""
        reader, writer = await self.connect()
        writer.write(POST)
        await reader.readuntil(b'"The"')
        return reader

    async def end(self) -> None:
        """Close connections and process, whatever state they are in."""
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        transport: asyncio.SubprocessTransport = self.process._transport  # type: ignore[attr-defined]
        transport.close()


@asynccontextmanager
async def running(store: Store, tmp_path: Path, leash: socket.socket | None = None) -> AsyncIterator[Process]:
    go = tmp_path / "go"
    environ = os.environ | {"LCRT_HOST": "127.0.0.1:0", "LCRT_MODELS": str(store.directory), "GO": str(go)}
    fds = () if leash is None else (leash.fileno(),)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, DAEMON, *map(str, fds)), env=environ, pass_fds=fds, stdout=asyncio.subprocess.PIPE
    )
    daemon = Process(process, 0, go)
    try:
        daemon.port = int(await daemon.line())
        yield daemon
    finally:
        await daemon.end()


async def test_the_first_signal_lets_answers_end_and_takes_nothing_new(store: Store, tmp_path: Path) -> None:
    async with running(store, tmp_path) as daemon:
        reader = await daemon.ask()
        idle, _ = await daemon.connect()
        daemon.process.send_signal(signal.SIGTERM)
        assert await idle.read() == b""
        with pytest.raises(OSError):  # noqa: PT011 -- refused or reset
            await daemon.connect()
        daemon.let_go()
        assert b'"done":true' in await reader.read()
        assert await daemon.process.wait() == 0


async def test_the_second_signal_stops_at_once(store: Store, tmp_path: Path) -> None:
    async with running(store, tmp_path) as daemon:
        reader = await daemon.ask()
        daemon.process.send_signal(signal.SIGINT)
        assert await daemon.line() == "stopping"
        daemon.process.send_signal(signal.SIGINT)
        await daemon.process.wait()
        assert b'"done":true' not in await reader.read()


async def test_a_leash_that_is_let_go_ends_the_daemon(store: Store, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with running(store, tmp_path, theirs) as daemon:
            theirs.close()
            ours.close()
            assert await daemon.process.wait() == 0


async def test_the_daemon_imports_neither_numpy_nor_the_engine(store: Store, tmp_path: Path) -> None:
    async with running(store, tmp_path) as daemon:
        daemon.let_go()
        reader = await daemon.ask()
        await reader.readuntil(b"done_reason")
        daemon.process.send_signal(signal.SIGTERM)
        assert await daemon.line() == "stopping"
        modules = (await daemon.line()).split()
    assert "lcrt.server.app" in modules
    assert not [name for name in modules if name.startswith(("numpy", "lcrt.native", "lcrt.chat", "lcrt.cli"))]


async def test_the_largest_body_is_a_setting(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCRT_MAX_BODY", "40")
    async with running(store, tmp_path) as daemon:
        for size, status in ((40, b"404"), (41, b"413")):
            reader, writer = await daemon.connect()
            body = b'{"model":"nope"}'.ljust(size)
            writer.write(b"POST /api/show HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (size, body))
            assert (await reader.readline()).split()[1] == status


async def test_a_port_that_is_taken_is_said_with_a_way_out(client: Client) -> None:
    with pytest.raises(ConfigError) as error:
        bind(Address(port=client.port))
    assert str(error.value) == (
        f"address already in use: 127.0.0.1:{client.port}\nis another server running? LCRT_HOST picks another address"
    )


def test_https_is_refused() -> None:
    with pytest.raises(ConfigError, match="only http"):
        bind(Address(scheme="https"))


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot resolve"):
        bind(Address(host="no-such-host.invalid"))


def test_one_port_is_chosen_for_all_addresses_of_a_name() -> None:
    sockets = bind(Address(host="localhost", port=0))
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


async def test_a_small_piece_of_an_answer_does_not_wait_for_the_next() -> None:
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        accepted.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    [sock] = bind(Address.parse("127.0.0.1:0"))
    async with await asyncio.start_server(connected, sock=sock):
        _, writer = await asyncio.open_connection(*sock.getsockname())
        assert await accepted != 0
        writer.close()
        await writer.wait_closed()
