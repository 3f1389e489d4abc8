"""What a request of this dialect says about the form of its answer.

``response_format`` is OpenAI's. The other fields are those that users of llama-server (``grammar``,
``json_schema``) and of vLLM (``guided_*``, ``structured_outputs``) know, and ``regex`` and ``lark``.
"""

import re

import msgspec

from lcrt.core.format import Format, FormatKind
from lcrt.errors import InvalidRequest

_NOTHING = (b"", b"null")
_LARK = re.compile(r"^\s*(%llguidance\b|start\s*:)", re.MULTILINE)


class _JsonSchema(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    schema: msgspec.Raw = msgspec.Raw()


class _ResponseFormat(msgspec.Struct, forbid_unknown_fields=True):
    type: str | None = None
    json_schema: _JsonSchema | None = None
    schema: msgspec.Raw = msgspec.Raw()


class _StructuredOutputs(msgspec.Struct, forbid_unknown_fields=True):
    json: msgspec.Raw = msgspec.Raw()
    json_object: bool | None = None
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None


class Formatted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields about the form of an answer."""

    response_format: _ResponseFormat | None = None
    json_schema: msgspec.Raw = msgspec.Raw()
    grammar: str | None = None
    regex: str | None = None
    lark: str | None = None
    guided_json: msgspec.Raw = msgspec.Raw()
    guided_regex: str | None = None
    guided_choice: tuple[str, ...] | None = None
    guided_grammar: str | None = None
    structured_outputs: _StructuredOutputs | None = None

    def format(self) -> Format | None:
        """The one form that is asked for. InvalidRequest when there are several."""
        outputs = self.structured_outputs or _StructuredOutputs()
        found = {
            "response_format": _response_format(self.response_format),
            "json_schema": _schema(self.json_schema),
            "grammar": _text("gbnf", self.grammar),
            "regex": _text("regex", self.regex),
            "lark": _text("lark", self.lark),
            "guided_json": _schema(self.guided_json),
            "guided_regex": _text("regex", self.guided_regex),
            "guided_choice": _choice(self.guided_choice),
            "guided_grammar": _grammar(self.guided_grammar),
            "structured_outputs.json": _schema(outputs.json),
            "structured_outputs.json_object": Format("json") if outputs.json_object else None,
            "structured_outputs.regex": _text("regex", outputs.regex),
            "structured_outputs.choice": _choice(outputs.choice),
            "structured_outputs.grammar": _grammar(outputs.grammar),
        }
        given = {name: wanted for name, wanted in found.items() if wanted is not None}
        if len(given) > 1:
            raise InvalidRequest(f"an answer can have one form only, and these were given: {', '.join(given)}")
        return next(iter(given.values()), None)


def _response_format(given: _ResponseFormat | None) -> Format | None:
    """A schema that is missing counts as no format, as other types do."""
    kind = (given.type or "").strip().lower() if given else ""
    if given is None or kind not in ("json_object", "json_schema"):
        return None
    named = given.json_schema.schema if given.json_schema else msgspec.Raw()
    if kind == "json_schema":
        return _schema(named) or _schema(given.schema)
    return _schema(given.schema) or Format("json")


def _schema(raw: msgspec.Raw) -> Format | None:
    """A schema, or the text of one."""
    text = bytes(raw).strip()
    if text in _NOTHING:
        return None
    if text.startswith(b'"'):
        return Format("schema", msgspec.json.decode(text, type=str))
    return Format("schema", text.decode("utf-8", "replace"))


def _text(kind: FormatKind, text: str | None) -> Format | None:
    return Format(kind, text) if text else None


def _grammar(text: str | None) -> Format | None:
    """Both ways to write a grammar are usual under this name."""
    return _text("lark" if text and _LARK.search(text) else "gbnf", text)


def _choice(texts: tuple[str, ...] | None) -> Format | None:
    return Format("choice", msgspec.json.encode(texts).decode()) if texts else None
