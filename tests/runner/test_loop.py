"""A daemon that does not read: nothing is lost, and cancels still arrive."""

import socket
import string
from collections.abc import Iterator

import pytest

from lcrt.core.event import Finish, Text
from lcrt.core.options import Options
from lcrt.core.request import InferenceRequest
from lcrt.runner.frames import Cancel, Events, FrameReader, FrameWriter, Load, Ready, Submit, ToRunner, from_runner
from lcrt.runner.spawn import spawn
from tests.runner.conftest import FAKE_COMMAND, load_request


class Wire:
    """The daemon's end, read only when a test says so."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = FrameReader(from_runner)

    def send(self, frame: ToRunner) -> None:
        self.sock.sendall(FrameWriter().encode(frame))

    def read(self) -> Iterator[Text | Finish]:
        while data := self.sock.recv(1 << 16):
            for frame in self.reader.feed(data):
                if isinstance(frame, Ready):
                    return
                if isinstance(frame, Events):
                    yield from (event for _, event in frame.items if isinstance(event, Text | Finish))

    def wait_until_full(self) -> None:
        """Until the runner has filled the socket and can go on only in its own buffer."""
        length = n_same = 0
        while n_same < 1000:
            before, length = length, len(self.sock.recv(1 << 24, socket.MSG_PEEK))
            n_same = n_same + 1 if length == before else 0


@pytest.fixture
def wire() -> Iterator[Wire]:
    spawned = spawn(FAKE_COMMAND)
    with spawned.sock as sock:
        sock.settimeout(10)
        wire = Wire(sock)
        wire.send(Load(load_request()))
        assert list(wire.read()) == []
        yield wire
    assert spawned.process.wait(10) == 0


def until_finish(wire: Wire) -> tuple[str, Finish]:
    text = ""
    for event in wire.read():
        text += event.text
        if isinstance(event, Finish):
            return text, event
    raise AssertionError("the socket closed")


def test_a_daemon_that_reads_late_misses_nothing(wire: Wire) -> None:
    n = 40_000
    wire.send(Submit(1, InferenceRequest(prompt="x" * 4000, options=Options(num_predict=n))))
    wire.wait_until_full()
    text, finish = until_finish(wire)
    assert text == (string.ascii_lowercase * (n // 26 + 1))[:n]
    assert finish.reason == "length"


def test_a_cancel_arrives_although_the_daemon_does_not_read(wire: Wire) -> None:
    wire.send(Submit(1, InferenceRequest(prompt="x", options=Options(num_predict=1 << 30))))
    wire.wait_until_full()
    wire.send(Cancel(1))
    text, finish = until_finish(wire)
    assert finish.reason == "cancel"
    assert len(text) < 1 << 20


def test_a_cancel_before_the_job_exists_is_obeyed(wire: Wire) -> None:
    wire.send(Submit(1, InferenceRequest(prompt="x", options=Options(num_predict=1 << 30))))
    wire.send(Cancel(1))
    wire.send(Cancel(99))
    assert until_finish(wire)[1].reason == "cancel"
