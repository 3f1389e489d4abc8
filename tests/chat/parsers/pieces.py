"""Answers in pieces."""

from lcrt.chat.parsers.split import Splitter


def split(splitter: Splitter, text: str, size: int) -> tuple[str, str]:
    """What a splitter makes of a text in pieces of that size: the answer, and what was thought."""
    parts = [splitter.feed(text[i : i + size]) for i in range(0, len(text), size)]
    parts.append(splitter.end())
    return "".join(part.text for part in parts), "".join(part.thinking for part in parts)
