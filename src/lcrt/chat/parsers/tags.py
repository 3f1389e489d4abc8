"""Thoughts between two tags, in front of the answer."""

import json

import msgspec

from lcrt.chat.parsers.split import Parts, n_begun

N_SPACE_MAX = 8
"""Blanks between the thoughts and the answer."""

Tag = tuple[str | int, ...]
"""Text, and the numbers of control tokens, in order."""


class Thoughts(msgspec.Struct, frozen=True):
    """How the model writes what it thinks; ``is_open``: the prompt has begun it."""

    start: Tag
    end: Tag
    is_open: bool


def frame(thoughts: Thoughts) -> list[str]:
    """Lark rules of thoughts before what the rule ``answer`` says."""
    before = "thoughts space" if thoughts.is_open else f"({_items(thoughts.start)} thoughts space)?"
    return [f"start: {before} answer", *_until(thoughts.end), rf"space: /[ \t\r\n]{{0,{N_SPACE_MAX}}}/"]


def _until(end: Tag) -> list[str]:
    """Rules for free text up to the tag and with it."""
    if isinstance(end[0], str):
        return [f"free[suffix={json.dumps(end[0])}]: /(?s:.*)/", f"thoughts: free {_items(end[1:])}"]
    return [f"thoughts: /(?s:.*)/ {_items(end)}"]


def _items(tag: Tag) -> str:
    return " ".join(json.dumps(item) if isinstance(item, str) else f"<[{item}]>" for item in tag)


class TagSplitter:
    """Takes an answer of that form apart; the blanks behind the thoughts belong to neither."""

    marks = ()

    def __init__(self, start: str, end: str, *, is_open: bool) -> None:
        self._start = start
        self._end = end
        self._held = ""
        self._take = self._thoughts if is_open else self._beginning

    def feed(self, text: str, /) -> Parts:
        """See ``Splitter``."""
        text, self._held = self._held + text, ""
        return self._take(text)

    def end(self) -> Parts:
        """See ``Splitter``."""
        held, self._held = self._held, ""
        return Parts(thinking=held) if self._take == self._thoughts else Parts(held)

    def _beginning(self, text: str) -> Parts:
        if len(text) < len(self._start) and self._start.startswith(text):
            self._held = text
            return Parts()
        if text.startswith(self._start):
            self._take = self._thoughts
            return self._thoughts(text.removeprefix(self._start))
        self._take = self._answer
        return Parts(text)

    def _thoughts(self, text: str) -> Parts:
        thinking, found, rest = text.partition(self._end)
        if found:
            self._take = self._space
            return Parts(self._space(rest).text, thinking)
        n_held = n_begun(text, self._end)
        thinking, self._held = text[: len(text) - n_held], text[len(text) - n_held :]
        return Parts(thinking=thinking)

    def _space(self, text: str) -> Parts:
        text = text.lstrip(" \t\r\n")
        if text:
            self._take = self._answer
        return Parts(text)

    def _answer(self, text: str) -> Parts:
        return Parts(text)
