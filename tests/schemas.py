"""JSON schemas as people write them for language models: references, enums, patterns, ranges, unions.

All of them end: texts, lists and numbers are bounded, so that a small model completes its answers.
"""

from typing import Any

Schema = dict[str, Any]


def text(longest: int = 12, **more: Any) -> Schema:
    """A bounded text."""
    return {"type": "string", "maxLength": longest, **more}


def whole(least: int, most: int) -> Schema:
    """A whole number of a range."""
    return {"type": "integer", "minimum": least, "maximum": most}


def items(item: Schema, most: int = 2, **more: Any) -> Schema:
    """A bounded list."""
    return {"type": "array", "items": item, "maxItems": most, **more}


def closed(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


PERSON = closed({"name": text(), "age": whole(0, 120), "email": text(24, format="email")}, optional=("email",))
ADDRESS = closed({"street": text(), "city": text(), "zip": {"type": "string", "pattern": "^[0-9]{5}$"}})
MONEY = closed(
    {"amount": {"type": "number", "minimum": 0, "maximum": 9999}, "currency": {"enum": ["EUR", "USD", "GBP"]}}
)
TREE = closed({"value": whole(0, 9), "children": items({"$ref": "#/$defs/node"}, 1)})

SCHEMAS: dict[str, Schema] = {
    "person": PERSON,
    "people": items(PERSON),
    "invoice": closed(
        {
            "number": {"type": "string", "pattern": "^INV-[0-9]{4}$"},
            "to": {"$ref": "#/$defs/person"},
            "lines": items(closed({"what": text(), "price": {"$ref": "#/$defs/money"}}), 2, minItems=1),
        },
    )
    | {"$defs": {"person": PERSON, "money": MONEY}},
    "order": closed({"id": whole(1, 99999), "ship": ADDRESS, "paid": {"type": "boolean"}, "note": text(20)}),
    "tree": {"$ref": "#/$defs/node", "$defs": {"node": TREE}},
    "sentiment": closed({"label": {"enum": ["positive", "negative", "neutral"]}, "score": whole(0, 100)}),
    "classify": closed({"category": {"enum": ["bug", "feature", "question"]}, "urgent": {"type": "boolean"}}),
    "weather": closed(
        {
            "location": text(),
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "temperature": {"type": "number", "minimum": -60, "maximum": 60},
        }
    ),
    "calendar": closed(
        {
            "title": text(16),
            "date": {"type": "string", "format": "date"},
            "start": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
            "guests": items(text()),
        }
    ),
    "moment": closed({"at": {"type": "string", "format": "date-time"}, "kind": {"const": "moment"}}),
    "color": closed({"name": text(), "hex": {"type": "string", "pattern": "^#[0-9a-f]{6}$"}}),
    "point": closed(
        {
            "x": {"type": "number", "minimum": -1, "maximum": 1},
            "y": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        }
    ),
    "pair": {"type": "array", "prefixItems": [whole(0, 9), text(5)], "items": False, "minItems": 2},
    "nullable": closed(
        {"nick": {"type": ["string", "null"], "maxLength": 8}, "rank": {"anyOf": [whole(1, 5), {"type": "null"}]}}
    ),
    "union": {"anyOf": [closed({"circle": whole(1, 9)}), closed({"square": whole(1, 9)})]},
    "discriminated": {
        "oneOf": [
            closed({"kind": {"const": "cat"}, "lives": whole(1, 9)}),
            closed({"kind": {"const": "dog"}, "tricks": items(text())}),
        ]
    },
    "all_of": {
        "allOf": [
            {"type": "object", "properties": {"a": whole(0, 9)}, "required": ["a"]},
            {"properties": {"b": text(6)}, "required": ["b"], "additionalProperties": True},
        ],
        "maxProperties": 2,
    },
    "function_call": closed(
        {"name": {"const": "get_weather"}, "arguments": closed({"city": text(), "days": whole(1, 7)})}
    ),
    "steps": closed({"steps": items(closed({"explanation": text(20), "output": text(10)}), 2), "answer": text(10)}),
    "recipe": closed(
        {
            "title": text(16),
            "minutes": {"type": "integer", "minimum": 5, "maximum": 240, "multipleOf": 5},
            "ingredients": items(closed({"what": text(), "grams": whole(1, 999)}), 3, minItems=1),
        }
    ),
    "ipv4": closed({"host": {"type": "string", "format": "ipv4"}, "port": whole(1, 65535)}),
    "uuid": closed({"id": {"type": "string", "format": "uuid"}}),
    "version": {"type": "string", "pattern": "^v?[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}$"},
    "phone": {"type": "string", "pattern": "^\\+?[0-9]{7,12}$"},
    "plate": {"type": "string", "pattern": "[A-Z]{1,3}-[0-9]{1,4}", "maxLength": 12},
    "choice": {"enum": ["yes", "no", "maybe", None, 3, True, {"a": [1]}]},
    "constant": {"const": {"status": "ok", "code": 200}},
    "integer": whole(10, 20),
    "negative": {"type": "integer", "minimum": -50, "maximum": -10},
    "fraction": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    "flags": items({"type": "boolean"}, 4, minItems=2),
    "matrix": items(items(whole(0, 9), 3, minItems=3), 2, minItems=2),
    "map": {
        "type": "object",
        "patternProperties": {"^[a-z]{2}$": whole(0, 100)},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 3,
    },
    "dictionary": {"type": "object", "additionalProperties": text(8), "maxProperties": 2},
    "definitions": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"unit": {"enum": ["kg", "g"]}},
        "type": "object",
        "properties": {"weight": whole(1, 99), "unit": {"$ref": "#/definitions/unit"}},
        "required": ["weight", "unit"],
        "additionalProperties": False,
    },
    "annotated": closed(
        {"level": {"title": "Level", "description": "how much", "default": 1, "examples": [2], **whole(1, 5)}},
        title="Annotated",
        description="with what only people read",
    ),
    "unicode": closed({"straße": text(6), "名前": text(6), 'a "quoted" key': whole(0, 1)}),
    "review": closed(
        {
            "rating": whole(1, 5),
            "pros": items(text(14)),
            "cons": items(text(14)),
            "author": {"$ref": "#/$defs/author"},
        },
    )
    | {"$defs": {"author": closed({"name": text(), "verified": {"type": "boolean"}}, optional=("verified",))}},
    "employee": closed(
        {
            "name": text(),
            "role": {"enum": ["engineer", "designer", "manager"]},
            "salary": {"$ref": "#/$defs/money"},
            "address": {"$ref": "#/$defs/address"},
        },
        optional=("address",),
    )
    | {"$defs": {"money": MONEY, "address": ADDRESS}},
    "log_line": closed(
        {
            "level": {"enum": ["debug", "info", "warn", "error"]},
            "code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{3}$"},
            "message": text(24),
        }
    ),
}
