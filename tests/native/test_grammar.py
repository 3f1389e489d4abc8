"""Grammars of the real library over a real vocabulary, and in the engine."""

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema.validators import validator_for

from lcrt.core.format import Format
from lcrt.core.options import Sampling
from lcrt.errors import BusyError, ClosedError, InvalidGrammar, InvalidRequest, LoadError, UnsupportedModel
from lcrt.native.engine import Engine
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from lcrt.runner.grammar import library_path
from lcrt.runner.grammar_text import grammar_text
from tests.native import tiny
from tests.schemas import SCHEMAS

COLOR = '{"enum": ["red", "rose"]}'
N_STEPS = 300


@pytest.fixture(scope="module")
def guide(real_model: Model) -> Iterator[Guide]:
    with Guide(real_model, library_path()) as opened:
        yield opened


def allowed(grammar: Grammar) -> set[int]:
    bits = np.zeros((grammar.n_vocab + 31) // 32, np.uint32)
    grammar.mask(bits)
    return set(np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist())


def walk(guide: Guide, model: Model, kind: Any, text: str, seed: int) -> str | None:
    """A text that a model of no sense writes under the grammar; None when it comes to no end."""
    rng = random.Random(seed)
    out = b""
    with guide.compile(kind, text) as grammar:
        for _ in range(N_STEPS):
            tokens = list(grammar.forced()) or [rng.choice(sorted(allowed(grammar)))]
            if model.vocab.is_eog(tokens[0]):
                return out.decode()
            grammar.accept(tokens)
            out += b"".join(map(model.vocab.piece, tokens))
            if grammar.stopped:
                return out.decode()
    return None


def test_the_mask_allows_the_beginnings_of_the_text_and_nothing_else(guide: Guide, real_model: Model) -> None:
    with guide.compile("schema", COLOR) as grammar:
        pieces = {real_model.vocab.piece(token) for token in allowed(grammar)}
    assert pieces == {b'"', b'"r', b'"ro', b'"re', b'"red', b'"rose'} & pieces
    assert b'"' in pieces


def test_tokens_without_a_choice_are_forced_and_the_end_is_told(guide: Guide, real_model: Model) -> None:
    with guide.compile("schema", '{"const": "a rather long constant"}') as grammar:
        assert not grammar.stopped
        tokens = grammar.forced()
        assert real_model.vocab.text(tokens) == '"a rather long constant"'
        grammar.accept(tokens)
        assert grammar.accepting
        assert grammar.stopped
        assert allowed(grammar) == {token for token in range(grammar.n_vocab) if real_model.vocab.is_eog(token)}


def test_what_was_taken_back_can_come_again(guide: Guide) -> None:
    with guide.compile("regex", "(ab|cd)*x") as grammar:
        before = allowed(grammar)
        token = min(before)
        grammar.accept([token])
        grammar.rewind(1)
        assert allowed(grammar) == before


def test_proposed_tokens_are_counted_up_to_the_first_wrong_one(guide: Guide, real_model: Model) -> None:
    tokens = real_model.vocab.tokenise("abcabd", add_special=False)
    with guide.compile("regex", "(abc)+") as grammar:
        assert 0 < grammar.valid(tokens) < len(tokens)
        assert grammar.valid(real_model.vocab.tokenise("zzz", add_special=False)) == 0
        assert grammar.valid([]) == 0


def test_a_token_that_was_not_allowed_is_an_error(guide: Guide, real_model: Model) -> None:
    with guide.compile("regex", "a") as grammar, pytest.raises(InvalidGrammar):
        grammar.accept(real_model.vocab.tokenise("b", add_special=False))


@pytest.mark.parametrize(("regex", "text"), [("^ab$", "ab"), (r"a/b", "a/b"), (r"\d{2}-x", None), ("é|ü", None)])
def test_expressions_match_the_whole_answer(guide: Guide, real_model: Model, regex: str, text: str | None) -> None:
    got = walk(guide, real_model, *grammar_text(Format("regex", regex)), seed=1)
    assert got is not None
    assert got == text if text else len(got) in (1, 4)


@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_the_grammar_lets_through_validates(guide: Guide, real_model: Model, name: str) -> None:
    schema = SCHEMAS[name]
    kind, text = grammar_text(Format("schema", json.dumps(schema)))
    answers = [walk(guide, real_model, kind, text, seed) for seed in range(4)]
    complete = [answer for answer in answers if answer is not None]
    assert complete
    for answer in complete:
        validator_for(schema)(schema).validate(json.loads(answer))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("schema", '{"type": "nosuch"}', "nosuch"),
        ("schema", '{"uniqueItems": true, "type": "array"}', "uniqueItems"),
        ("regex", "(a", "unclosed group"),
        ("regex", "a\0b", "NUL"),
        ("lark", "start: foo", "foo"),
        ("list", "{}", "grammars"),
    ],
)
def test_a_text_that_cannot_be_compiled_says_why(guide: Guide, kind: Any, text: str, message: str) -> None:
    assert message in guide.check(kind, text)
    with pytest.raises(InvalidGrammar, match=message):
        guide.compile(kind, text)


def test_what_takes_too_long_to_compile_is_given_up_and_remembered_when_it_is_ready(real_model: Model) -> None:
    names = {f"p{i}": {"type": "integer"} for i in range(800)}
    text = json.dumps({"type": "object", "properties": names})
    with Guide(real_model, library_path(), seconds=0.002) as own:
        with pytest.raises(InvalidRequest, match="longer than 2 ms"):
            own.compile("schema", text)
        while own.stats().n_kept == 0:
            threading.Event().wait(0.005)
        assert own.compile("schema", text).accepting is False
        assert (own.stats().n_compiled, own.stats().n_copied) == (1, 1)


def test_few_texts_are_compiled_at_a_time(real_model: Model) -> None:
    def slow(i: int) -> str:
        return json.dumps({"type": "object", "properties": {f"{i}p{j}": {"type": "integer"} for j in range(1500)}})

    with Guide(real_model, library_path(), seconds=0.002) as own:
        for i in range(4):
            with pytest.raises(InvalidRequest, match="longer than 2 ms"):
                own.compile("schema", slow(i))
        with pytest.raises(BusyError, match="too many grammars"):
            own.compile("schema", slow(4))
        while own.stats().n_kept < 4:
            threading.Event().wait(0.005)
        said = None
        while said is None:  # a busy machine needs more than 2 ms for this one too
            with contextlib.suppress(InvalidRequest, BusyError):
                said = own.check("regex", "a")
        assert said == ""


def test_the_texts_that_were_not_used_for_the_longest_time_are_forgotten(real_model: Model) -> None:
    with Guide(real_model, library_path(), n_kept=2) as own:
        for text in ("a", "b", "a", "c", "a", "b"):
            own.compile("regex", text).close()
        assert (own.stats().n_compiled, own.stats().n_copied, own.stats().n_kept) == (4, 2, 2)


def test_a_text_that_recurses_deep_does_no_harm(guide: Guide) -> None:
    rules = [f'r{i}: "a{i}" r{(i + 1) % 8000} | "c"' for i in range(8000)]
    guide.compile("lark", "start: r0\n" + "\n".join(rules)).close()


def test_a_text_that_is_too_long_is_refused(guide: Guide) -> None:
    with pytest.raises(InvalidRequest, match="bytes"):
        guide.compile("regex", "a" * (1 << 21))


def test_a_text_is_compiled_once_and_its_grammars_are_apart(real_model: Model) -> None:
    with Guide(real_model, library_path()) as own:
        first, second = own.compile("schema", COLOR), own.compile("schema", COLOR)
        first.accept(real_model.vocab.tokenise('"re', add_special=False))
        assert allowed(second) != allowed(first)
        first.close()
        assert allowed(own.compile("schema", COLOR)) == allowed(second)
        assert own.check("regex", "a+") == ""
        assert (own.stats().n_compiled, own.stats().n_copied, own.stats().n_kept) == (1, 2, 1)


def test_a_grammar_outlives_its_guide_and_not_itself(real_model: Model) -> None:
    with Guide(real_model, library_path()) as own:
        grammar = own.compile("regex", "ab")
    assert allowed(grammar)
    grammar.close()
    with pytest.raises(ClosedError):
        grammar.forced()
    with pytest.raises(ClosedError):
        own.compile("regex", "ab")


def test_a_library_that_is_none_is_told_apart_from_one_that_is_another(real_model: Model, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="llguidance"):
        Guide(real_model, tmp_path / "nothing.so")
    other = Path(np.__file__).parent.glob("_core/_multiarray_umath*.so")
    with pytest.raises(UnsupportedModel, match="llg_"):
        Guide(real_model, next(other))


def test_a_mask_of_the_wrong_size_is_refused(guide: Guide) -> None:
    with guide.compile("regex", "a") as grammar, pytest.raises(InvalidRequest, match="3 words"):
        grammar.mask(np.zeros(3, np.uint32))


def test_forced_tokens_are_right_where_the_tokenizer_puts_a_space_in_front(tmp_path: Path) -> None:
    path = tiny.llama(tmp_path / "space.gguf", tokenizer__ggml__add_space_prefix=True)
    with Model(path) as model, Guide(model, library_path()) as guide, guide.compile("regex", "hello") as grammar:
        assert model.vocab.tokenise("h", add_special=False) != model.vocab.tokenise("h", add_special=False)[-1:]
        assert b"".join(map(model.vocab.piece, grammar.forced())) == b"hello"


def answer(engine: Engine, grammar: Grammar | None, tokens: Any, **more: Any) -> tuple[str, str | None]:
    engine.submit(1, tokens, Sampling(seed=1, temperature=0.7), grammar=grammar, **more)
    text, finish = "", None
    while finish is None:
        assert engine.wait(20)
        for event in engine.events():
            text += event.text
            finish = finish or event.finish
    return text, finish


def test_the_engine_answers_in_the_grammar_and_takes_it_over(guide: Guide, real_model: Model) -> None:
    tokens = real_model.vocab.tokenise("Write JSON.")
    with Engine(real_model, ContextParams(n_ctx=256, n_threads=1)) as engine:
        grammar = guide.compile(*grammar_text(Format("schema", json.dumps(SCHEMAS["sentiment"]))))
        with pytest.raises(InvalidRequest):
            engine.submit(1, tokens, Sampling(), n_logprobs=99, grammar=grammar)
        text, finish = answer(engine, grammar, tokens, max_tokens=100)
        assert finish == "stop"
        assert set(json.loads(text)) == {"label", "score"}
        with pytest.raises(ClosedError):
            grammar.forced()
        stats = engine.stats()
    assert stats.n_masks > 0
    assert stats.n_forced > 0
    assert stats.mask > 0


def test_what_the_length_limit_ends_is_a_beginning(guide: Guide, real_model: Model) -> None:
    with Engine(real_model, ContextParams(n_ctx=256, n_threads=1)) as engine:
        grammar = guide.compile("regex", "[a-z]{200}")
        text, finish = answer(engine, grammar, real_model.vocab.tokenise("Write letters."), max_tokens=5)
    assert finish == "length"
    assert text.isalpha()
