"""Answers taken apart while they come: what was thought, and the text."""

from collections.abc import Collection
from typing import Protocol

import msgspec


class Parts(msgspec.Struct, frozen=True):
    """What a piece of an answer was."""

    text: str = ""
    thinking: str = ""


class Splitter(Protocol):
    """Takes one answer apart. One thread."""

    @property
    def marks(self) -> Collection[str]:
        """What stands between the parts and ends none of them: no stop strings, though a model's file may say so."""

    def feed(self, text: str, /) -> Parts:
        """The next piece, cut anywhere; marks that may go on with the next one are held back."""

    def end(self) -> Parts:
        """What was held back, when nothing more comes."""


def n_begun(text: str, mark: str) -> int:
    """How many of the last characters of a text may be the beginning of a mark."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if mark.startswith(text[-n:])), 0)
