"""Thoughts between tags taken apart from the answer, wherever the pieces are cut."""

import pytest

from lcrt.chat.parsers.tags import TagSplitter
from tests.chat.parsers.pieces import split


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "is_open", "thinking", "answer"),
    [
        ("hm</think>\n\n{}", True, "hm", "{}"),
        ("a </thin b</think>{ }\n", True, "a </thin b", "{ }\n"),
        ("</think>{}", True, "", "{}"),
        ("on and on </thi", True, "on and on </thi", ""),
        ("<think>hm</think> {}", False, "hm", "{}"),
        ('{"a": "<think>no</think>"}', False, "", '{"a": "<think>no</think>"}'),
        ("<thin", False, "", "<thin"),
        ("x</think>{}</think>", True, "x", "{}</think>"),
    ],
)
def test_thoughts_end_with_their_tag_and_the_blanks_behind_it(
    text: str, is_open: bool, thinking: str, answer: str, size: int
) -> None:
    assert split(TagSplitter("<think>", "</think>", is_open=is_open), text, size) == (answer, thinking)
