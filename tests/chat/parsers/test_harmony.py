"""Messages in channels taken apart, wherever the pieces are cut."""

import pytest

from lcrt.chat.parsers.harmony import HarmonySplitter, begun, is_final
from tests.chat.parsers.pieces import split

HEADER = "<|channel|>analysis<|message|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("message", "text", "thinking", "answer"),
    [
        ("assistant", f"{HEADER}reason<|end|>{FINAL}answer", "reason", "answer"),
        ("assistant", "<|channel|>final<|message|>plain", "", "plain"),
        ("assistant", "<|channel|>final <|constrain|>json<|message|>{}", "", "{}"),
        ("assistant", f"{HEADER}a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|>{FINAL}c", "ab", "c"),
        ("assistant<|channel|>analysis<|message|>I ", f"think<|end|>{FINAL}x", "think", "x"),
        ("assistant<|channel|>", f"analysis<|message|>t<|end|>{FINAL}x", "t", "x"),
        ("assistant<|channel|>final<|message|>", "<|end|>", "", "<|end|>"),
        ("assistant", f"{HEADER}a < b <|en|> c <|end", "a < b <|en|> c <|end", ""),
        ("assistant", f"{HEADER}t<|end|><|start|>assistant<|chan", "t", ""),
        ("assistant", f"{HEADER}t<|end|>{FINAL}" + '"<|end|><|message|>"', "t", '"<|end|><|message|>"'),
    ],
)
def test_thoughts_and_the_answer_are_told_apart(message: str, text: str, thinking: str, answer: str, size: int) -> None:
    assert split(HarmonySplitter(message), text, size) == (answer, thinking)


@pytest.mark.parametrize(
    "call",
    [
        "<|channel|>commentary to=functions.get <|constrain|>json<|message|>{}",
        " to=functions.get<|channel|>commentary<|message|>{}",
    ],
)
def test_a_call_stays_as_it_was_written(call: str) -> None:
    assert split(HarmonySplitter("assistant"), call, 3) == (call, "")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("<|start|>user<|message|>hi<|end|><|start|>assistant", "assistant"),
        (f"<|start|>assistant{HEADER}hm", f"assistant{HEADER}hm"),
        ("<|start|>assistant<|channel|>final<|message|>{", "assistant<|channel|>final<|message|>{"),
        ("<|start|>user<|message|>hi", None),
        ("<|start|>assistant<|channel|>final<|message|>x<|end|>", None),
        ("<|start|>assistant<|channel|>final<|message|>x<|return|>", None),
        ("assistant", None),
        ("", None),
    ],
)
def test_the_message_that_a_prompt_has_begun_is_found(prompt: str, message: str | None) -> None:
    assert begun(prompt) == message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("assistant<|channel|>final<|message|>", True),
        ("assistant<|channel|>final <|constrain|>json<|message|>{", True),
        ("assistant<|channel|>final", False),
        (f"assistant{HEADER}<|channel|>final", False),
        ("assistant", False),
    ],
)
def test_only_a_whole_header_begins_the_answer(message: str, expected: bool) -> None:
    assert is_final(message) is expected
