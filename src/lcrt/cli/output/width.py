"""How many columns text takes on a terminal."""

import unicodedata

_WIDE = ("W", "F")
_MARKS = ("Mn", "Me", "Cf")


def char_width(char: str) -> int:
    """Columns of one character: 0 for marks that join the one before, 2 for wide ones."""
    if char.isascii():
        return 1 if char.isprintable() else 0
    if unicodedata.category(char) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def text_width(text: str) -> int:
    """Columns of a text without line ends."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(map(char_width, text))
