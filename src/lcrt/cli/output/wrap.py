"""Word wrap for text that comes in pieces: a word that reaches the edge moves to the next line."""

from lcrt.cli.output.width import char_width, text_width


class Wrapper:
    """Turns pieces of text into what a terminal of ``width`` columns should be sent.

    Text is passed on at once. Only when the word at the edge turns out too long is it erased again
    and written on the next line; a word wider than a line is cut where the line ends.
    """

    def __init__(self, width: int) -> None:
        self._width = max(width, 1)
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        """Return what to write for the next piece."""
        return "".join(map(self._char, text))

    def _char(self, char: str) -> str:
        if char == "\n":
            self._column, self._word = 0, ""
            return char
        width = char_width(char)
        if char in " \t":
            return self._blank(char, width)
        before = self._turn() if self._column + width > self._width else ""
        self._column += width
        self._word = self._word + char if width < 2 else ""
        return before + char

    def _blank(self, char: str, width: int) -> str:
        self._word = ""
        if self._column >= self._width:
            self._column = 0
            return "\n"
        self._column += width
        return char

    def _turn(self) -> str:
        """Begin a new line and take the unfinished word along."""
        word, self._word = self._word, ""
        taken = text_width(word)
        if taken == 0 or taken >= self._column:
            self._column = 0
            return "\n"
        self._column, self._word = taken, word
        return f"\x1b[{taken}D\x1b[K\n{word}"
