"""Objects whose schema lists properties and is silent about others get no others.

A schema that is silent allows them, but who lists properties means these, and a small model that may
add what it likes comes to no end. Whatever the closed schema lets through, the open one does too.
"""

from typing import Any

_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_SINGLE = ("items", "additionalProperties", "additionalItems")
_UNIONS = ("anyOf", "oneOf")
_SPEAKS = {
    *("additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties"),
    *("allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "not", "if"),
}
_MERGES = {"properties", "required", "allOf", "anyOf", "oneOf", "additionalProperties"}


def close(schema: Any) -> Any:
    """The same with ``additionalProperties: false`` where that takes nothing away that is listed.

    Schemas that are merged with others stay open, and so do all definitions when some are merged.
    """
    return _Closer(keeps_definitions=_merges_references(schema)).close(schema)


def _merges_references(schema: Any) -> bool:
    """Whether something is said beside a reference, or several schemas are to hold at once."""
    if isinstance(schema, list):
        return any(_merges_references(item) for item in schema)
    if not isinstance(schema, dict):
        return False
    together = schema.get("allOf")
    if isinstance(together, list) and (len(together) > 1 or "properties" in schema):
        return True
    if "$ref" in schema and _MERGES & schema.keys():
        return True
    return any(_merges_references(value) for value in schema.values())


class _Closer:
    def __init__(self, *, keeps_definitions: bool) -> None:
        self._skipped = {"$defs", "definitions"} if keeps_definitions else set()

    def close(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        out = {key: self._part(key, value, schema) for key, value in schema.items()}
        if _is_silent(schema):
            out["additionalProperties"] = False
        return out

    def _part(self, key: str, value: Any, schema: dict[str, Any]) -> Any:
        if key in self._skipped:
            return value
        if key in _NAMED and isinstance(value, dict):
            return {name: self.close(child) for name, child in value.items()}
        if key in _SINGLE:
            return [self.close(child) for child in value] if isinstance(value, list) else self.close(value)
        if key == "prefixItems" and isinstance(value, list):
            return [self.close(child) for child in value]
        if key in _UNIONS and isinstance(value, list) and not _MERGES & (schema.keys() - {key}):
            return [self.close(child) for child in value]
        return value


def _is_silent(schema: dict[str, Any]) -> bool:
    listed = schema.get("properties")
    if not isinstance(listed, dict) or not listed or _SPEAKS & schema.keys():
        return False
    required = schema.get("required", [])
    return isinstance(required, list) and all(isinstance(name, str) and name in listed for name in required)
