"""The JSON files of a model's folder, read within limits."""

import json
from pathlib import Path
from typing import Any

from lcrt.errors import InvalidRequest

_MAX = 16 << 20


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object, empty when there is no such file. InvalidRequest for anything else.

    What Python's own module writes is read too: ``NaN`` and ``Infinity`` are in files that people publish.
    """
    if not path.is_file():
        return {}
    value = _read(path)
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{path.name}` holds no JSON object")
    return value


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Read a list of JSON objects in the same way."""
    if not path.is_file():
        return []
    values = _read(path)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidRequest(f"`{path.name}` holds no list of JSON objects")
    return values


def _read(path: Path) -> object:
    if path.stat().st_size > _MAX:
        raise InvalidRequest(f"`{path.name}` is larger than {_MAX >> 20} MiB")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"`{path.name}` is no JSON: {error}") from error
