import re

import pytest

from lcrt.cli.output.wrap import Wrapper

TEXT = (
    "The quick brown fox jumps over the lazy dog, and a-very-long-word-that-fits-nowhere ends it.\n"
    "New line  here 漢字漢字漢字漢字漢字 x"
)


def screen(sent: str) -> list[str]:
    """What a terminal shows after the text was sent: moves back and erasures carried out."""
    rows = [""]
    for piece in re.split(r"(\x1b\[\d+D\x1b\[K|\n)", sent):
        back = re.fullmatch(r"\x1b\[(\d+)D\x1b\[K", piece)
        if back:
            rows[-1] = rows[-1][: -int(back[1])]
        elif piece == "\n":
            rows.append("")
        else:
            rows[-1] += piece
    return rows


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_words_move_to_the_next_line_however_the_text_arrives(size: int) -> None:
    wrapper = Wrapper(20)
    sent = "".join(wrapper.feed(TEXT[start : start + size]) for start in range(0, len(TEXT), size))
    assert [row.rstrip() for row in screen(sent)] == [
        "The quick brown fox",
        "jumps over the lazy",
        "dog, and",
        "a-very-long-word-tha",
        "t-fits-nowhere ends",
        "it.",
        "New line  here 漢字",
        "漢字漢字漢字漢字 x",
    ]


def test_text_that_fits_is_sent_as_it_is() -> None:
    assert Wrapper(20).feed("short\nlines") == "short\nlines"


def test_line_ends_begin_anew() -> None:
    assert Wrapper(5).feed("12345\n12345") == "12345\n12345"
