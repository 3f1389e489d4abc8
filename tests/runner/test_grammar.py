"""Formats to grammars of the real model: thoughts in front, faults with their place."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lcrt.chat.parsers.split import Parts
from lcrt.chat.render import Prompt
from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from lcrt.runner.grammar import Grammars

SMOLLM2 = Path(__file__).parents[2] / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
SCHEMA = Format("schema", '{"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}')

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model(SMOLLM2, ModelParams(vocab_only=True)) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def grammars(model: Model) -> Grammars:
    return Grammars(model)


def takes(model: Model, grammar: Grammar, text: str) -> bool:
    """Whether the text is a beginning that the grammar allows; the grammar goes on behind it."""
    tokens = model.vocab.tokenise(text, add_special=False, parse_special=True)
    if grammar.valid(tokens) < len(tokens):
        return False
    grammar.accept(tokens)
    return True


def bound(grammars: Grammars, wanted: Format, to: Prompt, *, think: bool) -> Grammar:
    """The grammar of an answer."""
    grammar = grammars.compile(wanted, to, think=think).grammar
    assert isinstance(grammar, Grammar)
    return grammar


def prompt(text: str, start: str = "<think>", end: str = "</think>") -> Prompt:
    return Prompt(text, think_start=start, think_end=end)


def test_an_answer_is_bound_from_its_first_token(grammars: Grammars, model: Model) -> None:
    grammar = bound(grammars, SCHEMA, Prompt("hi"), think=True)
    assert not takes(model, grammar, "Let me think")
    assert takes(model, grammar, '{"n": 1}')
    assert grammar.stopped


@pytest.mark.parametrize("text", ["Hm, {1}. ", "a </thin b ", "\n"])
def test_behind_an_open_tag_thoughts_are_free_until_it_is_closed(grammars: Grammars, model: Model, text: str) -> None:
    grammar = bound(grammars, SCHEMA, prompt("user\n<think>\n"), think=True)
    assert takes(model, grammar, text)
    assert not grammar.accepting
    assert takes(model, grammar, "</think>\n\n")
    assert not takes(model, grammar, "so")
    assert takes(model, grammar, '{"n": 1}')
    assert grammar.stopped


def test_thoughts_may_come_when_the_prompt_leaves_it_to_the_model(grammars: Grammars, model: Model) -> None:
    thoughtful = bound(grammars, SCHEMA, prompt("user\n"), think=True)
    assert takes(model, thoughtful, "<think>hm</think> {")
    assert takes(model, bound(grammars, SCHEMA, prompt("user\n"), think=True), '{"n"')
    assert not takes(model, bound(grammars, SCHEMA, prompt("user\n"), think=False), "<think>")


def test_a_tag_that_is_a_control_token_ends_the_thoughts(grammars: Grammars, model: Model) -> None:
    tags = prompt("user\n<jupyter_start>", "<jupyter_start>", "<jupyter_output>")
    grammar = bound(grammars, Format("gbnf", 'root ::= "yes" | "no"'), tags, think=True)
    assert takes(model, grammar, "I wonder<jupyter_output>")
    assert not takes(model, grammar, "perhaps")
    assert takes(model, grammar, "yes")
    assert grammar.stopped


def test_thoughts_and_answer_are_told_apart_when_thoughts_may_come(grammars: Grammars) -> None:
    splitter = grammars.compile(SCHEMA, prompt("user\n<think>\n"), think=True).splitter
    assert splitter is not None
    assert splitter.feed("hm</think>\n{}") == Parts("{}", "hm")
    assert grammars.compile(SCHEMA, prompt("user\n"), think=False).splitter is None


def test_what_takes_too_long_to_compile_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcrt.runner.grammar.Guide", partial(Guide, seconds=0.002))
    names = {f"p{i}": {"type": "integer"} for i in range(800)}
    with pytest.raises(InvalidGrammar, match="the schema cannot be used: it takes longer than 2 ms"):
        Grammars(model).compile(Format("schema", json.dumps({"properties": names})), Prompt("hi"), think=False)


def test_a_fault_has_its_place_also_behind_thoughts(grammars: Grammars) -> None:
    wanted = Format("schema", json.dumps({"properties": {"a": {"type": "text"}}}))
    with pytest.raises(InvalidGrammar, match=r"at #/properties/a: unrecognized type text$"):
        grammars.compile(wanted, prompt("user\n<think>\n"), think=True)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            Format("schema", json.dumps({"properties": {"a": {"format": "nosuch", "type": "string"}}})),
            "at #/properties/a: ",
        ),
        (Format("schema", json.dumps({"items": {"allOf": [{"not": {}}]}})), "at #/items/allOf/0: "),
        (Format("schema", "{"), "not valid JSON"),
        (Format("regex", "(?=a)"), "the expression cannot be used: .*look-around"),
        (Format("gbnf", "root = x"), "the grammar cannot be read: Expected ::="),
        (Format("lark", "start: foo"), "the grammar cannot be used: .*unknown name"),
        (Format("regex", "a" * (1 << 20) + "b"), "at most"),
    ],
)
def test_what_cannot_be_followed_is_explained(grammars: Grammars, wanted: Format, message: str) -> None:
    with pytest.raises(InvalidGrammar, match=message):
        grammars.compile(wanted, Prompt("hi"), think=False)
