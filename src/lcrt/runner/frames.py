"""What daemon and runner say to each other: length-prefixed msgpack of tagged Structs."""

from typing import Generic, TypeVar

import msgspec

from lcrt.core.event import Event, Failure
from lcrt.core.model import LoadRequest, RunnerInfo
from lcrt.core.question import Question, Reply
from lcrt.core.request import InferenceRequest

HEADER_LEN = 4
FRAME_LEN_MAX = 1 << 30


class Load(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Load this model; the first frame that a runner gets."""

    request: LoadRequest


class Submit(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """One request; ``id`` is unique for the life of the runner."""

    id: int
    request: InferenceRequest


class Cancel(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """Nobody waits for this request any more. Unknown ids are ignored."""

    id: int


class Shutdown(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """End now; whatever still runs is cancelled."""


class Ask(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """One question; its ``id`` is among those of the requests."""

    id: int
    question: Question


class Progress(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """The part of the load that is done, 0 to 1."""

    fraction: float


class Ready(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """The model is loaded and requests may come."""

    info: RunnerInfo


class LoadFailed(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """The model could not be loaded; the runner ends after this."""

    error: Failure


class Events(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """Everything that became visible at once, with the ids of the requests, in order."""

    items: list[tuple[int, Event]]


class Answers(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """Answers with the ids of their questions."""

    items: list[tuple[int, Reply]]


class Grown(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """Bytes in memory beside those of ``Ready`` from now on: adapters that requests named."""

    size: int


ToRunner = Load | Submit | Cancel | Shutdown | Ask
FromRunner = Progress | Ready | LoadFailed | Events | Answers | Grown

to_runner: msgspec.msgpack.Decoder[ToRunner] = msgspec.msgpack.Decoder(ToRunner)
from_runner: msgspec.msgpack.Decoder[FromRunner] = msgspec.msgpack.Decoder(FromRunner)

F = TypeVar("F")


class FrameWriter:
    """Encodes frames; one encoder for all of them. One thread at a time."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()

    def append(self, out: bytearray, frame: ToRunner | FromRunner) -> None:
        """Add a frame with its length to the end of ``out``."""
        start = len(out)
        out += b"\0\0\0\0"
        self._encoder.encode_into(frame, out, -1)
        out[start : start + HEADER_LEN] = (len(out) - start - HEADER_LEN).to_bytes(HEADER_LEN, "little")

    def encode(self, frame: ToRunner | FromRunner) -> bytes:
        """One frame with its length."""
        body = self._encoder.encode(frame)
        return len(body).to_bytes(HEADER_LEN, "little") + body


class FrameReader(Generic[F]):
    """Cuts a stream of bytes into frames, wherever the pieces were cut."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[F]) -> None:
        self._decoder = decoder
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> list[F]:
        """Take the next bytes; return the frames that are complete now.

        Raises ``msgspec.DecodeError`` for a frame that is none; the stream is useless after that.
        """
        if not self._rest:
            frames, end = self._cut(memoryview(data))
            if end < len(data):
                self._rest += data[end:]
            return frames
        self._rest += data
        with memoryview(self._rest) as view:
            frames, end = self._cut(view)
        if end:
            del self._rest[:end]
        return frames

    def _cut(self, view: memoryview) -> tuple[list[F], int]:
        frames: list[F] = []
        at = 0
        while len(view) - at >= HEADER_LEN:
            n = int.from_bytes(view[at : at + HEADER_LEN], "little")
            if n > FRAME_LEN_MAX:
                raise msgspec.DecodeError(f"frame of {n} bytes")
            if len(view) - at - HEADER_LEN < n:
                break
            at += HEADER_LEN + n
            frames.append(self._decoder.decode(view[at - n : at]))
        return frames, at
