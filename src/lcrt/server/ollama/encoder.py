"""What the encoders of generate and chat share."""

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from lcrt.core.event import Text
from lcrt.server.clock import Clock
from lcrt.server.exchange import JSON, NDJSON
from lcrt.server.inference import Answer
from lcrt.server.logprobs import wire_logprobs

_encode = msgspec.json.Encoder().encode


class AnswerEncoder(ABC):
    """Objects of one answer; everything that stays the same is encoded once.

    ``before`` and ``behind`` are the bytes around the text of a piece.
    """

    content_type = JSON
    stream_type = NDJSON
    before: ClassVar[bytes]
    behind: ClassVar[bytes]

    def __init__(self, model: str, clock: Clock) -> None:
        self._model = model
        self._clock = clock
        self._prefix = b'{"model":' + _encode(model) + b',"created_at":"'

    def text(self, event: Text) -> bytes:
        """A piece of a streamed answer."""
        thinking = b',"thinking":' + _encode(event.thinking) if event.thinking else b""
        logprobs = b',"logprobs":' + _encode(wire_logprobs(event.logprobs)) if event.logprobs else b""
        return b'%b%b",%b%b%b%b,"done":false%b}\n' % (
            self._prefix,
            self._clock.stamp(),
            self.before,
            _encode(event.text),
            thinking,
            self.behind,
            logprobs,
        )

    def last(self, answer: Answer) -> bytes:
        """The end of a streamed answer."""
        return self.whole(answer) + b"\n"

    @abstractmethod
    def whole(self, answer: Answer) -> bytes:
        """All of an answer."""
