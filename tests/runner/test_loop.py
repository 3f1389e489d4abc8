"""A daemon that does not read: nothing is lost, and cancels still arrive."""

import socket
import string
import threading
from collections.abc import Iterator, Sequence

import pytest

from lcrt.chat.parsers.tags import TagSplitter
from lcrt.chat.render import PlainTemplate, Prompt
from lcrt.core.event import Finish, Text
from lcrt.core.format import Format
from lcrt.core.options import Options
from lcrt.core.request import InferenceRequest
from lcrt.runner.frames import (
    Cancel,
    Events,
    FrameReader,
    FrameWriter,
    Load,
    Ready,
    Shutdown,
    Submit,
    ToRunner,
    from_runner,
)
from lcrt.runner.job import Bound
from lcrt.runner.logprobs import Logprobs
from lcrt.runner.loop import RunnerLoop
from lcrt.runner.pipeline import Pipeline
from lcrt.runner.spawn import spawn
from tests.runner.conftest import FAKE_COMMAND, load_request
from tests.runner.fake_model import LetterEngine, LetterVocab


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


class Thinking:
    """Binds nothing, and has thoughts end with two letters."""

    def compile(self, wanted: Format, prompt: Prompt, *, think: bool, tools: Sequence[str]) -> Bound:
        return Bound(None, TagSplitter("", "de", is_open=True))


@pytest.mark.parametrize(("n", "thinking", "text"), [(8, "abc", "fgh"), (5, "abc", ""), (4, "abcd", ""), (2, "ab", "")])
def test_thoughts_leave_apart_from_the_answer(n: int, thinking: str, text: str) -> None:
    near, far = socket.socketpair()
    far.settimeout(0)
    vocab = LetterVocab()
    pipeline = Pipeline(vocab, PlainTemplate(), 64, Thinking())
    thread = threading.Thread(target=RunnerLoop(far, LetterEngine(), pipeline, Logprobs(vocab)).run)
    thread.start()
    with near, far:
        near.settimeout(10)
        wire = Wire(near)
        wire.send(Submit(1, InferenceRequest(prompt="x", format=Format("json"), options=Options(num_predict=n))))
        events = list(until_end(wire))
        wire.send(Shutdown())
        thread.join(10)
    assert "".join(event.thinking for event in events) == thinking
    assert "".join(event.text for event in events) == text


def until_end(wire: Wire) -> Iterator[Text | Finish]:
    for event in wire.read():
        yield event
        if isinstance(event, Finish):
            return
