"""Formats to grammars of one loaded model. Any thread."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from lcrt.chat.parsers import harmony, tags
from lcrt.chat.parsers.split import Splitter
from lcrt.chat.render import Prompt
from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar, InvalidRequest, NotSupported
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.runner.grammar_text import ANY_OBJECT, SETTINGS, grammar_text, read_schema, schema_text, settle_schema
from lcrt.runner.job import Bound
from lcrt.runner.schema_path import describe, one_line

TEXT_LEN_MAX = 1 << 20


def library_path() -> Path:
    """The grammar library's shared object. Raises ``NotSupported`` when it is not installed."""
    spec = find_spec("llguidance._lib")
    if spec is None or spec.origin is None:
        raise NotSupported("structured output needs the package llguidance, which is not installed")
    return Path(spec.origin)


class _Frame(msgspec.Struct, frozen=True):
    """What stands around an answer: Lark rules, the part of them that the prompt has begun, what takes it apart."""

    rules: Sequence[str] = ()
    begun: Sequence[int] = ()
    splitter: Splitter | None = None


class Grammars:
    """Compiles what requests ask for. The vocabulary is read when the first one comes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._guide: Guide | None = None
        self._lock = Lock()
        self._marks = self._read_marks()

    def compile(self, wanted: Format, prompt: Prompt, *, think: bool, tools: Sequence[str] = ()) -> Bound:
        """What binds one answer to this prompt. Raises ``InvalidGrammar`` with the place of the fault."""
        if len(wanted.text) > TEXT_LEN_MAX:
            raise InvalidGrammar(f"a format of {len(wanted.text)} characters, and at most {TEXT_LEN_MAX} are allowed")
        wanted = _converted(wanted)
        frame = self._frame(prompt, think=think, tools=tools)
        grammar = self._compile(wanted, frame)
        if grammar.valid(frame.begun) < len(frame.begun):
            grammar.close()
            return Bound(self._compile(wanted, _Frame()))
        grammar.accept(frame.begun)
        return Bound(grammar, frame.splitter)

    def _compile(self, wanted: Format, frame: _Frame) -> Grammar:
        guide = self._opened()
        kind, text = grammar_text(wanted, frame.rules)
        try:
            return guide.compile(kind, text)
        except InvalidGrammar as error:
            reason = guide.check(*grammar_text(wanted)) or error.message
            raise InvalidGrammar(_explained(guide, wanted, reason)) from error
        except InvalidRequest as error:
            raise InvalidGrammar(f"the {_noun(wanted)} cannot be used: {error.message}") from error

    def _opened(self) -> Guide:
        with self._lock:
            if self._guide is None:
                self._guide = Guide(self._model, library_path())
            return self._guide

    def _frame(self, prompt: Prompt, *, think: bool, tools: Sequence[str]) -> _Frame:
        """What comes before the answer; nothing when the prompt leaves no room for it."""
        message = harmony.begun(prompt.text) if self._marks else None
        if message is not None:
            return self._channels(message, tools)
        start, end = prompt.think_start.strip(), prompt.think_end.strip()
        if harmony.CHANNEL in start:
            return _Frame()
        is_open = bool(end) and prompt.text.rstrip().endswith(start)
        if not end or not (is_open or think):
            return _Frame()
        thoughts = tags.Thoughts(self._tag(start), self._tag(end), is_open)
        return _Frame(tags.frame(thoughts), splitter=tags.TagSplitter(start, end, is_open=is_open))

    def _channels(self, message: str, tools: Sequence[str]) -> _Frame:
        if harmony.is_final(message):
            return _Frame()
        rules = harmony.frame(self._marks, schema_text(ANY_OBJECT), tools)
        begun = self._model.vocab.tokenise(message, add_special=False, parse_special=True)
        return _Frame(rules, begun, harmony.HarmonySplitter(message))

    def _read_marks(self) -> dict[str, int]:
        """The numbers of the marks around messages in channels; none when the vocabulary lacks one."""
        vocab = self._model.vocab
        found = {mark: vocab.tokenise(mark, add_special=False, parse_special=True) for mark in harmony.MARKS}
        return {mark: found[mark][0] for mark in found} if all(len(ids) == 1 for ids in found.values()) else {}

    def _tag(self, text: str) -> tags.Tag:
        items: list[str | int] = []
        run: list[int] = []
        for token in self._model.vocab.tokenise(text, add_special=False, parse_special=True):
            if self._model.vocab.piece(token, special=False):
                run.append(token)
                continue
            items += [*self._run(run), token]
            run = []
        return (*items, *self._run(run))

    def _run(self, tokens: list[int]) -> list[str]:
        return [b"".join(map(self._model.vocab.piece, tokens)).decode("utf-8", "replace")] if tokens else []


def _converted(wanted: Format) -> Format:
    """The converter is Python that few requests need: it is imported with the first of them."""
    if wanted.kind != "gbnf":
        return wanted
    from llguidance.gbnf_to_lark import GbnfToLarkError, gbnf_to_lark

    try:
        return Format("lark", gbnf_to_lark(wanted.text))
    except (GbnfToLarkError, ValueError, RecursionError) as error:
        raise InvalidGrammar(f"the grammar cannot be read: {one_line(str(error))}") from error


def _noun(wanted: Format) -> str:
    return {"regex": "expression", "json": "schema", "schema": "schema"}.get(wanted.kind, "grammar")


def _explained(guide: Guide, wanted: Format, reason: str) -> str:
    if wanted.kind != "schema":
        return f"the {_noun(wanted)} cannot be used: {one_line(reason)}"

    def check(schema: Any) -> str:
        if isinstance(schema, dict):
            schema = {**schema, SETTINGS: settings}
        return guide.check("schema", msgspec.json.encode(schema).decode())

    schema = settle_schema(read_schema(wanted.text))
    settings = schema[SETTINGS] if isinstance(schema, dict) else {}
    return describe(schema, reason, check)
