"""Formats to grammars of one loaded model. Any thread."""

from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from lcrt.chat.render import Prompt
from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar, InvalidRequest, NotSupported
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.runner.grammar_text import SETTINGS, Tag, Thoughts, grammar_text, read_schema, settle_schema
from lcrt.runner.schema_path import describe, one_line

TEXT_LEN_MAX = 1 << 20


def library_path() -> Path:
    """The grammar library's shared object. Raises ``NotSupported`` when it is not installed."""
    spec = find_spec("llguidance._lib")
    if spec is None or spec.origin is None:
        raise NotSupported("structured output needs the package llguidance, which is not installed")
    return Path(spec.origin)


class Grammars:
    """Compiles what requests ask for. The vocabulary is read when the first one comes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._guide: Guide | None = None
        self._lock = Lock()

    def compile(self, wanted: Format, prompt: Prompt, *, think: bool) -> Grammar:
        """A grammar for one answer to this prompt. Raises ``InvalidGrammar`` with the place of the fault."""
        if len(wanted.text) > TEXT_LEN_MAX:
            raise InvalidGrammar(f"a format of {len(wanted.text)} characters, and at most {TEXT_LEN_MAX} are allowed")
        wanted = _converted(wanted)
        guide = self._opened()
        kind, text = grammar_text(wanted, self._thoughts(prompt, think=think))
        try:
            return guide.compile(kind, text)
        except InvalidGrammar as error:
            raise InvalidGrammar(_explained(guide, wanted, error.message)) from error
        except InvalidRequest as error:
            raise InvalidGrammar(f"the {_noun(wanted)} cannot be used: {error.message}") from error

    def _opened(self) -> Guide:
        with self._lock:
            if self._guide is None:
                self._guide = Guide(self._model, library_path())
            return self._guide

    def _thoughts(self, prompt: Prompt, *, think: bool) -> Thoughts | None:
        """What comes before the answer; None when nothing does."""
        if not prompt.think_end:
            return None
        is_open = prompt.text.rstrip().endswith(prompt.think_start.strip())
        if not is_open and not think:
            return None
        return Thoughts(self._tag(prompt.think_start.strip()), self._tag(prompt.think_end.strip()), is_open)

    def _tag(self, text: str) -> Tag:
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
