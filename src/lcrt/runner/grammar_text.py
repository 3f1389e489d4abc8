"""Formats as the texts that the grammar library compiles. Pure functions of text.

With thinking the whole answer is one grammar: free text up to the tag that ends the thoughts, then
what was asked for.
"""

import json
import re
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

_AFTER_THOUGHTS = r"/[ \t\r\n]{0,8}/"
_SLASH = re.compile(r"(\\.)|/", re.DOTALL)


Tag = tuple[str | int, ...]
"""Text, and the numbers of control tokens, in order."""


class Thoughts(msgspec.Struct, frozen=True):
    """How the model writes what it thinks; ``is_open``: the prompt has begun it."""

    start: Tag
    end: Tag
    is_open: bool


def grammar_text(wanted: Format, thoughts: Thoughts | None = None) -> tuple[GrammarKind, str]:
    """What to compile for a format. Raises ``InvalidGrammar`` for JSON that cannot be read."""
    kind, text = _plain(wanted)
    return (kind, text) if thoughts is None else _behind(thoughts, kind, text)


def _plain(wanted: Format) -> tuple[Literal["schema", "regex", "lark"], str]:
    match wanted.kind:
        case "json":
            return "schema", _schema_text(ANY_OBJECT)
        case "schema":
            return "schema", _schema_text(wanted.text)
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


def _schema_text(text: str) -> str:
    return msgspec.json.encode(settle_schema(read_schema(text))).decode()


def _behind(thoughts: Thoughts, kind: Literal["schema", "regex", "lark"], text: str) -> tuple[GrammarKind, str]:
    before = "thoughts space" if thoughts.is_open else f"({_items(thoughts.start)} thoughts space)?"
    answer = "@answer" if kind == "lark" else "answer"
    lines = [f"start: {before} {answer}", *_until(thoughts.end), f"space: {_AFTER_THOUGHTS}"]
    if kind == "lark":
        top = {"lark_grammar": "\n".join(lines)}
        return "list", json.dumps({"grammars": [top, {"name": "answer", "lark_grammar": text}]})
    body = f"%json {text}" if kind == "schema" else f"/{_in_slashes(text)}/"
    return "lark", "\n".join([*lines, f"answer: {body}", ""])


def _until(end: Tag) -> list[str]:
    """Rules for free text up to the tag and with it."""
    if isinstance(end[0], str):
        return [f"free[suffix={json.dumps(end[0])}]: /(?s:.*)/", f"thoughts: free {_items(end[1:])}"]
    return [f"thoughts: /(?s:.*)/ {_items(end)}"]


def _items(tag: Tag) -> str:
    return " ".join(json.dumps(item) if isinstance(item, str) else f"<[{item}]>" for item in tag)


def _in_slashes(regex: str) -> str:
    """The same expression where a slash would end it."""
    return _SLASH.sub(lambda found: found[1] or r"\/", regex).replace("\n", r"\n")


def choice_text(texts: str) -> str:
    """A grammar of the texts in a JSON list and no others."""
    choices = msgspec.json.decode(texts, type=list[str])
    return "start: " + " | ".join(json.dumps(choice) for choice in choices)
