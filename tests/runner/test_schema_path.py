"""Where in a schema the fault is."""

from typing import Any

import pytest

from lcrt.runner.schema_path import CHECKS_MAX, describe, find, one_line

REASON = "Unknown format: x"
BAD: dict[str, Any] = {"type": "string", "format": "x"}


def check(schema: Any) -> str:
    """Refuses what has the format anywhere."""
    return REASON if "'format': 'x'" in str(schema) else ""


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (BAD, "#"),
        ({"properties": {"a": {}, "b/c~": BAD}}, "#/properties/b~1c~0"),
        ({"items": {"anyOf": [{}, {"prefixItems": [BAD]}]}}, "#/items/anyOf/1/prefixItems/0"),
        ({"additionalProperties": BAD}, "#/additionalProperties"),
    ],
)
def test_the_innermost_place_with_the_same_fault_is_named(schema: dict[str, Any], path: str) -> None:
    assert find(schema, REASON, check) == path


def test_definitions_go_with_every_part_and_are_looked_at_first() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"items": BAD}}}
    assert (
        find(schema, REASON, lambda part: REASON if part.get("format") == "x" or "$defs" in part else "")
        == "#/$defs/n/items"
    )


def test_another_fault_in_a_part_is_not_followed() -> None:
    assert find({"properties": {"a": BAD}}, "something of the whole", check) == "#"


def test_looking_ends_after_some_tries() -> None:
    calls: list[Any] = []

    def refuse_nothing(part: Any) -> str:
        calls.append(part)
        return ""

    schema: dict[str, Any] = {"properties": {f"p{i}": {} for i in range(10 * CHECKS_MAX)}}
    assert find(schema, REASON, refuse_nothing) == "#"
    assert len(calls) == CHECKS_MAX


def test_the_message_has_the_place_and_no_drawings() -> None:
    assert describe({}, "regex parse error:\n    (a\n    ^\nerror: unclosed", check) == (
        "JSON schema conversion failed:\nJSON schema error at #: regex parse error: (a error: unclosed"
    )
    assert one_line("Invalid type: q") == "unrecognized type q"
