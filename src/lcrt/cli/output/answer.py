"""An answer on its way to the terminal: thinking set apart, words wrapped."""

from collections.abc import Iterable

import msgspec

from lcrt.cli.output.spinner import Spinner
from lcrt.cli.output.terminal import columns, has_colour, put, say
from lcrt.cli.output.wrap import Wrapper
from lcrt.client.wire import Chunk

_MARGIN = 5
_GREY, _PLAIN = "\x1b[90m", "\x1b[0m"


class Layout:
    """Turns the pieces of one answer into what is written; pure text in and out.

    ``width`` 0 leaves lines as they are.
    """

    def __init__(self, width: int = 0, *, colour: bool = False, hide_thinking: bool = False) -> None:
        self._wrapper = Wrapper(width) if width else None
        self._grey, self._plain = (_GREY, _PLAIN) if colour else ("", "")
        self._hide_thinking = hide_thinking
        self._thinks = False

    def feed(self, thought: str, text: str) -> str:
        """Return what to write for the next piece."""
        written = ""
        if thought and not self._hide_thinking:
            written += "" if self._thinks else f"{self._grey}Thinking...\n"
            self._thinks = True
            written += self._wrap(thought)
        if text:
            written += self.end() + self._wrap(text)
        return written

    def end(self) -> str:
        """Close what is open."""
        if not self._thinks:
            return ""
        self._thinks = False
        return self._wrap("\n") + f"...done thinking.{self._plain}\n\n"

    def _wrap(self, text: str) -> str:
        return self._wrapper.feed(text) if self._wrapper else text


class Answer(msgspec.Struct, frozen=True):
    """What was said; ``last`` is None when the answer was cut off."""

    text: str
    thinking: str
    last: Chunk | None


class Display:
    """Shows an answer while it comes and remembers it, also when it is interrupted."""

    def __init__(self, *, wordwrap: bool, hide_thinking: bool, is_terminal: bool) -> None:
        width = max(columns() - _MARGIN, 1) if wordwrap and is_terminal else 0
        self._layout = Layout(width, colour=has_colour(), hide_thinking=hide_thinking)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._last: Chunk | None = None

    def show(self, chunks: Iterable[Chunk], spinner: Spinner) -> None:
        """Write pieces as they come; the spinner turns until the first is seen."""
        for chunk in chunks:
            if chunk.text or chunk.thought or chunk.done:
                spinner.stop()
            self._text.append(chunk.text)
            self._thinking.append(chunk.thought)
            put(self._layout.feed(chunk.thought, chunk.text))
            for call in chunk.calls:
                say(_describe_call(call))
            if chunk.done:
                self._last = chunk

    def finish(self) -> Answer:
        """Close what is open and return what was said so far."""
        put(self._layout.end())
        return Answer("".join(self._text), "".join(self._thinking), self._last)


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(msgspec.Struct, frozen=True):
    function: _Function = _Function()


def _describe_call(raw: msgspec.Raw) -> str:
    call = msgspec.json.decode(raw, type=_Call).function
    arguments = bytes(call.arguments).decode("utf-8", "replace")
    return f"Model called a non-existent function '{call.name}()' with arguments: {arguments}"
