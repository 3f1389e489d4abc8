"""Damage done to JSON: any one place of a document gets another value, or is gone."""

import json
import struct
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]

GONE = object()
ODD_NUMBERS = [0, -1, 1, 2, 3, 7, 2**31, 2**32, 2**63, 10**30, 0.0, -0.5, 1e300, float("inf"), float("nan")]
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.just(GONE),
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(["", "x", "\0", "\ud7ff", "../x", "a" * 70000, "F64", "BF16", "I8", "<s>", "\u2581"]),
    st.sampled_from([[], {}, [[]], [1, 2], [0, 0], [2**40, 2**40], ["x"], {"x": 1}, [None], [-1, 5]]),
)


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every place of a document, the whole of it too; of long lists and objects a few."""
    found: list[Place] = [at]
    if isinstance(value, dict):
        for key in _some(list(value)):
            found += places(value[key], (*at, key))
    elif isinstance(value, list):
        for i in _some(list(range(len(value)))):
            found += places(value[i], (*at, i))
    return found


def _some(keys: list[Any]) -> list[Any]:
    return keys if len(keys) < 60 else [*keys[:3], *keys[-3:]]


def changed(value: Any, at: Place, new: Any) -> Any:
    """The document with another value in one place."""
    if not at:
        return {} if new is GONE else new
    first, rest = at[0], at[1:]
    out: Any = dict(value) if isinstance(value, dict) else list(value)
    if not rest and new is GONE:
        del out[first]
    else:
        out[first] = changed(out[first], rest, new)
    return out


def spoil(path: Path, draw: st.DataObject) -> None:
    """Change one place of a JSON file, or of the header of a safetensors file."""
    data = path.read_bytes()
    in_header = path.suffix == ".safetensors"
    n_header = struct.unpack("<Q", data[:8])[0] if in_header else 0
    document = json.loads(data[8 : 8 + n_header] if in_header else data)
    at = draw.draw(st.sampled_from(places(document)), label="place")
    text = json.dumps(changed(document, at, draw.draw(VALUES, label="value"))).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + n_header :] if in_header else text)
