"""Answers in channels, token by token: thoughts are free, the final message is bound."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from lcrt.chat.parsers.harmony import HarmonySplitter
from lcrt.chat.render import Prompt
from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar
from lcrt.native.grammar import Grammar
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from lcrt.runner.grammar import Grammars
from lcrt.runner.job import Bound
from tests.native import tiny_harmony

SCHEMA = Format("schema", '{"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}')
OPEN = "<|start|>user<|message|>hi<|end|><|start|>assistant"
ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|channel|>final<|message|>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = tiny_harmony.model(tmp_path_factory.mktemp("channels") / "model.gguf")
    with Model(path, ModelParams(vocab_only=True)) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def grammars(model: Model) -> Grammars:
    return Grammars(model)


class Walk:
    """One answer to a prompt, as far as it has come."""

    def __init__(self, model: Model, bound: Bound) -> None:
        assert isinstance(bound.grammar, Grammar)
        self.vocab = model.vocab
        self.grammar = bound.grammar

    def takes(self, text: str) -> bool:
        """Whether the text may come next; the answer goes on behind it."""
        tokens = self.vocab.tokenise(text, add_special=False, parse_special=True)
        if self.grammar.valid(tokens) < len(tokens):
            return False
        self.grammar.accept(tokens)
        return True

    def spells(self, text: str) -> bool:
        """The same letter by letter."""
        tokens = [self.vocab.tokenise(letter, add_special=False)[0] for letter in text]
        return self.grammar.valid(tokens) == len(tokens)

    def allowed(self) -> set[str]:
        """The pieces of the tokens that may come next."""
        bits = np.zeros((self.grammar.n_vocab + 31) // 32, np.uint32)
        self.grammar.mask(bits)
        tokens = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist()
        return {self.vocab.piece(token).decode("utf-8", "replace") for token in tokens}

    def forced(self) -> str:
        """The text that must come next."""
        return self.vocab.text(self.grammar.forced())


def walk(
    model: Model, grammars: Grammars, wanted: Format = SCHEMA, prompt: str = OPEN, tools: Sequence[str] = ()
) -> Walk:
    return Walk(model, grammars.compile(wanted, Prompt(prompt), think=False, tools=tools))


def marks(pieces: set[str]) -> set[str]:
    return pieces & set(tiny_harmony.MARKS)


def test_an_answer_begins_with_a_header_and_not_with_what_was_asked_for(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars)
    assert answer.forced() == "<|channel|>"
    assert answer.takes("<|channel|>")
    assert {"analysis", "commentary", "final"} <= answer.allowed()
    assert "{" not in answer.allowed()


@pytest.mark.parametrize("text", ["", "Hm, {1} or </final>? ", "日本 \n\n", "a <|en", "final json"])
def test_analysis_is_free_and_the_final_message_is_bound(model: Model, grammars: Grammars, text: str) -> None:
    answer = walk(model, grammars)
    assert answer.takes(f"{ANALYSIS}{text}")
    assert not answer.grammar.accepting
    assert marks(answer.allowed()) == {"<|end|>"}
    assert answer.takes("<|end|>")
    assert answer.forced() == "<|start|>assistant<|channel|>"
    assert answer.takes(f"<|start|>assistant{FINAL}")
    assert not answer.takes("so")
    assert answer.takes('{"n": 1}')
    assert answer.grammar.stopped
    assert {"<|return|>", "<|call|>"} <= answer.allowed() <= {"<|return|>", "<|call|>", "<|endoftext|>"}


def test_preambles_and_more_thoughts_may_come_before_the_answer(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars)
    assert answer.takes(f"{ANALYSIS}a<|end|><|start|>assistant<|channel|>commentary<|message|>First I look.<|end|>")
    assert answer.takes(f"<|start|>assistant{ANALYSIS}b<|end|><|start|>assistant{FINAL}" + '{"n": 1}')
    assert answer.grammar.stopped


@pytest.mark.parametrize("kind", ["", " json", " <|constrain|>json", "<|constrain|>json"])
def test_a_header_may_name_the_kind_of_content(model: Model, grammars: Grammars, kind: str) -> None:
    answer = walk(model, grammars)
    assert answer.takes(f"<|channel|>final{kind}<|message|>")
    assert answer.allowed() <= {"{", '{"'}


def test_the_mark_at_the_end_of_thoughts_cannot_be_spelled(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars)
    assert answer.takes(f"{ANALYSIS}a")
    assert answer.spells("<|end|")
    assert not answer.spells("<|end|>")
    assert answer.spells("<|message|>")


def test_no_mark_is_a_part_of_a_text_in_the_answer(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars, Format("schema", '{"type": "string"}'))
    assert answer.takes(f'{FINAL}"a')
    assert marks(answer.allowed()) == set()
    assert answer.spells('<|end|>"')


def test_a_text_that_looks_like_a_mark_is_forced_as_letters(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars, Format("schema", '{"const": "a<|end|>b"}'))
    assert answer.takes(FINAL)
    text = ""
    while not answer.grammar.stopped:
        tokens = list(answer.grammar.forced()) or [answer.vocab.tokenise(min(answer.allowed()), add_special=False)[0]]
        answer.grammar.accept(tokens)
        assert not any(answer.vocab.piece(token).decode() in tiny_harmony.MARKS for token in tokens)
        text += answer.vocab.text(tokens)
    assert text == '"a<|end|>b"'


@pytest.mark.parametrize(
    "call",
    [
        "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>",
        " to=functions.get_weather<|channel|>commentary<|message|>",
        " to=functions.get_weather<|channel|>analysis json<|message|>",
    ],
)
def test_with_tools_a_call_may_come_instead(model: Model, grammars: Grammars, call: str) -> None:
    before = f"{ANALYSIS}I ask.<|end|><|start|>assistant"
    answer = walk(model, grammars, tools=["get_weather", "get_time"])
    assert answer.takes(before + call + '{"city": "Paris"}')
    assert answer.grammar.stopped
    assert "<|call|>" in answer.allowed()
    assert not walk(model, grammars).takes(before + call)
    assert not walk(model, grammars, tools=["get_time"]).takes(before + call)


def test_with_tools_the_final_message_is_bound_as_ever(model: Model, grammars: Grammars) -> None:
    answer = walk(model, grammars, tools=["get"])
    assert answer.takes(f"{ANALYSIS}a<|end|><|start|>assistant{FINAL}")
    assert answer.allowed() <= {"{", '{"'}


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        (ANALYSIS, f"so<|end|><|start|>assistant{FINAL}"),
        (f"{ANALYSIS}I think", f" so<|end|><|start|>assistant{FINAL}"),
        ("<|channel|>", "final<|message|>"),
        ("<|channel|>final", "<|message|>"),
        (FINAL, ""),
        (f"{ANALYSIS}a<|end|><|start|>assistant{FINAL}", ""),
        (f"{FINAL}Here you are:\n", ""),
    ],
)
def test_what_the_prompt_has_begun_is_gone_on_with(model: Model, grammars: Grammars, begun: str, rest: str) -> None:
    answer = walk(model, grammars, prompt=OPEN + begun)
    assert answer.takes(rest)
    assert answer.allowed() <= {"{", '{"'}
    assert answer.takes('{"n": 1}')
    assert answer.grammar.stopped


@pytest.mark.parametrize("prompt", ["Once upon a time", "<|start|>user<|message|>hi<|end|>", f"{OPEN} to=x<|message|>"])
def test_where_no_message_of_the_model_is_open_the_first_token_is_bound(
    model: Model, grammars: Grammars, prompt: str
) -> None:
    tagged = Prompt(prompt, think_start=ANALYSIS, think_end="<|end|>")  # what the chat layer says of such models
    bound = grammars.compile(SCHEMA, tagged, think=True)
    assert Walk(model, bound).allowed() <= {"{", '{"'}
    assert bound.splitter is None


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Format("json"), '{"a": [1, {"b": null}]}'),
        (Format("regex", "[a-c]/d{2}"), "b/dd"),
        (Format("gbnf", 'root ::= "yes" | "no"'), "no"),
        (Format("lark", 'start: "a" NUMBER\nNUMBER: /[0-9]{3}/'), "a123"),
        (Format("choice", '["red", "blue"]'), "blue"),
    ],
)
def test_every_kind_of_format_is_bound_behind_thoughts(
    model: Model, grammars: Grammars, wanted: Format, text: str
) -> None:
    answer = walk(model, grammars, wanted)
    assert answer.takes(f"{ANALYSIS}free<|end|><|start|>assistant{FINAL}")
    assert not answer.takes("!")
    assert answer.takes(text)
    assert answer.grammar.accepting
    assert "<|return|>" in answer.allowed()


def test_thoughts_and_answer_are_told_apart_from_where_the_prompt_ends(grammars: Grammars) -> None:
    bound = grammars.compile(SCHEMA, Prompt(f"{OPEN}{ANALYSIS}I"), think=False)
    assert isinstance(bound.splitter, HarmonySplitter)
    parts = bound.splitter.feed(f" think<|end|><|start|>assistant{FINAL}" + "{}")
    assert (parts.thinking, parts.text) == (" think", "{}")


def test_a_fault_has_its_place_also_behind_thoughts(grammars: Grammars) -> None:
    wanted = Format("schema", '{"type": "object", "properties": {"a": {"items": {"type": "text"}}}}')
    with pytest.raises(InvalidGrammar, match=r"at #/properties/a/items: unrecognized type text$"):
        grammars.compile(wanted, Prompt(OPEN), think=False)
