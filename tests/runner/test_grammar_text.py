"""Formats as texts for the compiler."""

import json

import pytest

from lcrt.chat.parsers.tags import Thoughts, frame
from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar
from lcrt.runner.grammar_text import WHITESPACE, grammar_text

OPEN = frame(Thoughts(("<think>",), ("</think>",), is_open=True))
SELDOM = frame(Thoughts((7, "note", 8), (9,), is_open=False))


def test_a_schema_gets_bounded_white_space_and_keeps_the_order_of_its_properties() -> None:
    kind, text = grammar_text(Format("schema", '{"properties": {"b": {}, "a": {}}}'))
    schema = json.loads(text)
    assert (kind, schema["x-guidance"]) == ("schema", {"whitespace_pattern": WHITESPACE})
    assert list(schema["properties"]) == ["b", "a"]
    assert schema["additionalProperties"] is False


def test_settings_in_the_schema_go_before_ours() -> None:
    settings = {"whitespace_pattern": " ", "lenient": True}
    _, text = grammar_text(Format("schema", json.dumps({"x-guidance": settings})))
    assert json.loads(text)["x-guidance"] == settings


@pytest.mark.parametrize("text", ["{", "", "[1", '{"a": 1}x'])
def test_a_schema_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidGrammar, match="not valid JSON"):
        grammar_text(Format("schema", text))


def test_json_is_any_object() -> None:
    kind, text = grammar_text(Format("json"))
    assert (kind, json.loads(text)["type"]) == ("schema", "object")


def test_choices_are_quoted() -> None:
    assert grammar_text(Format("choice", '["a", "\\"b\\n"]')) == ("lark", 'start: "a" | "\\"b\\n"')


def test_open_thoughts_end_with_their_tag_and_the_answer_is_bound() -> None:
    kind, text = grammar_text(Format("regex", "a/b"), OPEN)
    assert kind == "lark"
    assert text.splitlines() == [
        "start: thoughts space answer",
        'free[suffix="</think>"]: /(?s:.*)/',
        "thoughts: free ",
        r"space: /[ \t\r\n]{0,8}/",
        r"answer: /a\/b/",
    ]


def test_thoughts_that_may_come_begin_with_their_tag() -> None:
    kind, text = grammar_text(Format("lark", "start: A"), SELDOM)
    first, second = json.loads(text)["grammars"]
    assert kind == "list"
    assert second == {"name": "asked", "lark_grammar": "start: A"}
    lines = first["lark_grammar"].splitlines()
    assert lines[:2] == ['start: (<[7]> "note" <[8]> thoughts space)? answer', "thoughts: /(?s:.*)/ <[9]>"]
    assert lines[-1] == "answer: @asked"
