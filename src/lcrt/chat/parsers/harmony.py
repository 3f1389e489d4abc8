"""Harmony: messages in channels, as gpt-oss writes them.

An answer is any number of messages in the channels ``analysis`` and ``commentary``, then one in ``final``, or a call
of a tool in place of that. All begin with a header between two marks, and marks are tokens that no text spells.
"""

import json
from collections.abc import Mapping, Sequence

from lcrt.chat.parsers.split import Parts, n_begun

START = "<|start|>"
CHANNEL = "<|channel|>"
CONSTRAIN = "<|constrain|>"
MESSAGE = "<|message|>"
END = "<|end|>"
RETURN = "<|return|>"
CALL = "<|call|>"
MARKS = (START, CHANNEL, CONSTRAIN, MESSAGE, END, RETURN, CALL)

_ROLE = "assistant"
_FINAL = CHANNEL + "final"
_KIND = "[a-z0-9_-]{1,16}"


def begun(prompt: str) -> str | None:
    """What a prompt has begun of the model's next message, behind the start mark; None when it has begun none."""
    _, found, message = prompt.rpartition(START)
    is_open = found and message.startswith(_ROLE) and not any(mark in message for mark in (END, RETURN, CALL))
    return message if is_open else None


def is_final(message: str) -> bool:
    """Whether the header of a message is complete and says that the answer follows."""
    header, found, _ = message.partition(MESSAGE)
    return bool(found) and _is_final(header)


def _is_final(header: str) -> bool:
    return _FINAL in header


def frame(marks: Mapping[str, int], arguments: str, tools: Sequence[str] = ()) -> list[str]:
    """Lark rules of all that follows a start mark, where the final message is what the rule ``answer`` says.

    With names of ``tools`` a call may come instead, whose arguments are what the schema ``arguments`` says.
    """
    channel, message, constrain = (f"<[{marks[mark]}]>" for mark in (CHANNEL, MESSAGE, CONSTRAIN))
    rules = [
        f'start: "{_ROLE}" aside* ({"last | call" if tools else "last"})',
        f'aside: {channel} ASIDE {message} FREE <[{marks[END]}]> <[{marks[START]}]> "{_ROLE}"',
        f'last: {channel} "final" kind? {message} answer',
        f"kind: / {_KIND}/ | / ?/ {constrain} /{_KIND}/",
        "ASIDE: /analysis|commentary/",
        r"FREE: /(?s:.*)/ & ~/(?s:.*)<\|end\|>(?s:.*)/",
    ]
    if tools:
        rules += [
            f"call: to {channel} ASIDE kind? {message} arguments | {channel} ASIDE to kind? {message} arguments",
            'to: " to=functions." (' + " | ".join(map(json.dumps, tools)) + ")",
            f"arguments: %json {arguments}",
        ]
    return rules


class HarmonySplitter:
    """Takes an answer of that form apart; ``message`` is what the prompt has begun.

    The final message is the text, analysis and commentary are thoughts. A call is text as it was written.
    """

    marks = MARKS

    def __init__(self, message: str) -> None:
        self._begun = message
        self._held = ""
        self._take = self._header
        self.feed(message)

    def feed(self, text: str, /) -> Parts:
        """See ``Splitter``."""
        text, self._held = self._held + text, ""
        return self._take(text)

    def end(self) -> Parts:
        """See ``Splitter``; a header that is not complete says nothing."""
        held, self._held = self._held, ""
        return Parts(thinking=held) if self._take == self._aside else Parts()

    def _header(self, text: str) -> Parts:
        header, found, body = text.partition(MESSAGE)
        if not found:
            self._held = text
            return Parts()
        if _is_final(header):
            self._take = self._answer
            return Parts(body)
        if " to=" in header:
            self._take = self._answer
            return Parts(text.removeprefix(self._begun))
        self._take = self._aside
        return self._aside(body)

    def _aside(self, text: str) -> Parts:
        thinking, found, behind = text.partition(END)
        if not found:
            n_held = n_begun(text, END)
            thinking, self._held = text[: len(text) - n_held], text[len(text) - n_held :]
            return Parts(thinking=thinking)
        self._take = self._header
        rest = self._header(behind)
        return Parts(rest.text, thinking + rest.thinking)

    def _answer(self, text: str) -> Parts:
        return Parts(text)
