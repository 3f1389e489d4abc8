"""Formats as the texts that the grammar library compiles. Pure functions of text.

With thinking the whole answer is one grammar: a frame, which leaves the thoughts free, around what was asked for.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from lcrt.core.format import Format
from lcrt.errors import InvalidGrammar
from lcrt.runner.schema_close import close

GrammarKind = Literal["schema", "regex", "lark", "list"]

WHITESPACE = r"( |\n{1,2}[ \t]{0,20})"
"""Between the parts of JSON: enough for every usual layout, and never for ever."""

ANY_OBJECT = '{"type":"object"}'
SETTINGS = "x-guidance"

_SLASH = re.compile(r"(\\.)|/", re.DOTALL)


def grammar_text(wanted: Format, frame: Sequence[str] = ()) -> tuple[GrammarKind, str]:
    """What to compile for a format. Raises ``InvalidGrammar`` for JSON that cannot be read.

    ``frame`` are Lark rules of everything around the answer, which they call ``answer``.
    """
    kind, text = _plain(wanted)
    return _framed(frame, kind, text) if frame else (kind, text)


def _plain(wanted: Format) -> tuple[Literal["schema", "regex", "lark"], str]:
    match wanted.kind:
        case "json":
            return "schema", schema_text(ANY_OBJECT)
        case "schema":
            return "schema", schema_text(wanted.text)
        case "regex":
            return "regex", wanted.text
        case "choice":
            return "lark", choice_text(wanted.text)
        case _:
            return "lark", wanted.text


def read_schema(text: str) -> Any:
    """The decoded schema; its keys keep their order."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidGrammar(f"the schema is not valid JSON: {error}") from error


def settle_schema(schema: Any) -> Any:
    """The same without unlisted properties and with bounded white space, unless it says what it wants."""
    if not isinstance(schema, dict):
        return schema
    schema = close(schema)
    given = schema.get(SETTINGS)
    settings = {"whitespace_pattern": WHITESPACE} | (given if isinstance(given, dict) else {})
    return {SETTINGS: settings, **{key: value for key, value in schema.items() if key != SETTINGS}}


def schema_text(text: str) -> str:
    """A settled schema as text. Raises ``InvalidGrammar`` for JSON that cannot be read."""
    return msgspec.json.encode(settle_schema(read_schema(text))).decode()


def _framed(frame: Sequence[str], kind: Literal["schema", "regex", "lark"], text: str) -> tuple[GrammarKind, str]:
    if kind == "lark":
        top = {"lark_grammar": "\n".join([*frame, "answer: @asked"])}
        return "list", json.dumps({"grammars": [top, {"name": "asked", "lark_grammar": text}]})
    body = f"%json {text}" if kind == "schema" else f"/{_in_slashes(text)}/"
    return "lark", "\n".join([*frame, f"answer: {body}", ""])


def _in_slashes(regex: str) -> str:
    """The same expression where a slash would end it."""
    return _SLASH.sub(lambda found: found[1] or r"\/", regex).replace("\n", r"\n")


def choice_text(texts: str) -> str:
    """A grammar of the texts in a JSON list and no others."""
    choices = msgspec.json.decode(texts, type=list[str])
    return "start: " + " | ".join(json.dumps(choice) for choice in choices)
