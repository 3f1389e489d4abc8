"""Where in a schema the part is that cannot be compiled: the compiler itself does not say."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

CHECKS_MAX = 200
SECONDS_MAX = 0.5

_NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SINGLE = ("items", "additionalItems", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_SHARED = ("$schema", "$defs", "definitions", "x-guidance")
_POINTER_LINE = re.compile(r"^\s*\^+\s*$")

Check = Callable[[Any], str]
"""What is wrong with a schema; empty when nothing is."""


def describe(schema: Any, reason: str, check: Check) -> str:
    """The message for a person: the innermost place that has the same fault, and the fault."""
    return f"JSON schema conversion failed:\nJSON schema error at {find(schema, reason, check)}: {one_line(reason)}"


def find(schema: Any, reason: str, check: Check) -> str:
    """A JSON pointer, ``#`` for the whole. Gives up going deeper after some tries or half a second."""
    path = "#"
    n_left = CHECKS_MAX
    deadline = time.monotonic() + SECONDS_MAX
    at = schema
    shared = {key: schema[key] for key in _SHARED if key in schema} if isinstance(schema, dict) else {}
    found = True
    while found:
        found = False
        for name, child in _children(at):
            n_left -= 1
            if n_left < 0 or time.monotonic() > deadline:
                return path
            if check({**shared, **child}) == reason:
                path, at, found = f"{path}/{name}", child, True
                break
    return path


def _children(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    for key in _NAMED:
        named = schema.get(key)
        if isinstance(named, dict):
            yield from ((f"{key}/{_escape(name)}", child) for name, child in named.items() if isinstance(child, dict))
    for key in _LISTED:
        listed = schema.get(key)
        if isinstance(listed, list):
            yield from ((f"{key}/{i}", child) for i, child in enumerate(listed) if isinstance(child, dict))
    for key in _SINGLE:
        child = schema.get(key)
        if isinstance(child, dict):
            yield key, child


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def one_line(reason: str) -> str:
    """The compiler's text without its drawings."""
    lines = (line.strip() for line in reason.splitlines() if not _POINTER_LINE.match(line))
    return " ".join(line for line in lines if line).replace("Invalid type:", "unrecognized type")
