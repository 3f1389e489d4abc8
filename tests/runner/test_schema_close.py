"""Which objects get no further properties."""

from typing import Any

import pytest

from lcrt.runner.schema_close import close

A = {"type": "object", "properties": {"a": {"type": "integer"}}}
CLOSED = A | {"additionalProperties": False}
B = {"type": "object", "properties": {"b": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (A, CLOSED),
        ({"properties": {"x": A}}, {"properties": {"x": CLOSED}, "additionalProperties": False}),
        ({"type": "array", "items": A}, {"type": "array", "items": CLOSED}),
        ({"items": [A, B]}, {"items": [CLOSED, B | {"additionalProperties": False}]}),
        ({"prefixItems": [A]}, {"prefixItems": [CLOSED]}),
        ({"anyOf": [A, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        ({"$ref": "#/$defs/a", "$defs": {"a": A}}, {"$ref": "#/$defs/a", "$defs": {"a": CLOSED}}),
        (
            {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": A}},
            {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": CLOSED}},
        ),
    ],
)
def test_who_lists_properties_means_these(schema: Any, wanted: Any) -> None:
    assert close(schema) == wanted


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        A | {"additionalProperties": True},
        A | {"additionalProperties": {"type": "string"}},
        A | {"patternProperties": {"^x": {}}},
        A | {"required": ["a", "b"]},
        A | {"allOf": [B]},
        A | {"anyOf": [B, B]},
        {"allOf": [A, B]},
        {"properties": {"x": A | {"$ref": "#/$defs/b"}}, "additionalProperties": True, "$defs": {"b": B}},
        {"allOf": [{"$ref": "#/$defs/b"}, {"required": ["c"]}], "$defs": {"b": B}},
        {"const": A},
        {"enum": [A]},
    ],
)
def test_what_speaks_for_itself_or_is_merged_stays_as_it_is(schema: Any) -> None:
    assert close(schema) == schema
