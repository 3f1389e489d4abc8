from collections.abc import Iterable

import pytest

from lcrt.cli.output.answer import Display, Layout
from lcrt.cli.output.spinner import Spinner
from lcrt.client.wire import ChatMessage, Chunk


def laid_out(layout: Layout, pieces: Iterable[tuple[str, str]]) -> str:
    return "".join(layout.feed(*piece) for piece in pieces) + layout.end()


def test_thinking_is_set_apart_from_the_answer() -> None:
    pieces = [("let me", ""), (" see", ""), ("", "Paris"), ("", ".")]
    assert laid_out(Layout(), pieces) == "Thinking...\nlet me see\n...done thinking.\n\nParis."


def test_thinking_is_grey_where_there_is_colour() -> None:
    shown = laid_out(Layout(colour=True), [("hm", ""), ("", "a")])
    assert shown == "\x1b[90mThinking...\nhm\n...done thinking.\x1b[0m\n\na"


def test_hidden_thinking_leaves_the_answer() -> None:
    assert laid_out(Layout(hide_thinking=True), [("hm", ""), ("", "a")]) == "a"


def test_an_answer_cut_off_while_thinking_is_closed() -> None:
    assert laid_out(Layout(colour=True), [("hm", "")]).endswith("\x1b[0m\n\n")


def test_what_was_said_is_remembered_also_when_it_breaks_off(capsys: pytest.CaptureFixture[str]) -> None:
    def chunks() -> Iterable[Chunk]:
        yield Chunk(message=ChatMessage("assistant", "a", "t"))
        yield Chunk(message=ChatMessage("assistant", "b"))
        raise KeyboardInterrupt

    display = Display(wordwrap=True, hide_thinking=True, is_terminal=False)
    with pytest.raises(KeyboardInterrupt):
        display.show(chunks(), Spinner())
    answer = display.finish()
    assert (answer.text, answer.thinking, answer.last) == ("ab", "t", None)
    assert capsys.readouterr().out == "ab"
