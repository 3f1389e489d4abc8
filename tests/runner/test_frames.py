"""Frames survive any cut, and nonsense is an error."""

import msgspec
import pytest

from lcrt.core.event import Failure, Finish, Rendered, Start, Text, Usage
from lcrt.core.message import Message
from lcrt.core.model import RunnerInfo
from lcrt.core.request import InferenceRequest
from lcrt.runner.frames import (
    Cancel,
    Events,
    FrameReader,
    FrameWriter,
    FromRunner,
    Progress,
    Ready,
    Shutdown,
    Submit,
    ToRunner,
    from_runner,
    to_runner,
)

FROM: list[FromRunner] = [
    Progress(0.25),
    Ready(RunnerInfo(4096, 8192, 26, 4, 1000, 10, 0.5, 77)),
    Events([(1, Start(Usage(n_prompt=3))), (2, Text("ü")), (1, Finish("error", Usage(), error=Failure("X", "y")))]),
    Events([(3, Rendered("all of it"))]),
]
TO: list[ToRunner] = [
    Submit(1, InferenceRequest(messages=(Message("user", "hi", images=(b"\0\xff",)),))),
    Cancel(1),
    Shutdown(),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_frames_come_out_as_they_went_in_however_they_are_cut(size: int) -> None:
    data = bytearray()
    for frame in FROM:
        FrameWriter().append(data, frame)
    reader = FrameReader(from_runner)
    out = [frame for at in range(0, len(data), size) for frame in reader.feed(bytes(data[at : at + size]))]
    assert out == FROM


def test_both_directions_have_their_frames() -> None:
    reader = FrameReader(to_runner)
    assert [frame for sent in TO for frame in reader.feed(FrameWriter().encode(sent))] == TO


def test_seeds_of_64_bits_and_below_zero_travel() -> None:
    for number in (-1, -(1 << 63), (1 << 64) - 1):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(number)) == number


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\1\0\0\0\xc1", b"\2\0\0\0\x91\x63"])
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        FrameReader(from_runner).feed(data)
