"""Model parameters as text: the values of PARAMETER lines, typed by the option that they set."""

import math
from collections.abc import Callable, Iterable, Mapping

from lcrt.errors import InvalidRequest

STOP = "stop"

_INT = frozenset(
    {"num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "num_predict", "draft_num_predict"}
    | {"seed", "top_k", "repeat_last_n"}
)
_FLOAT = frozenset(
    {"temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty"}
)
_BOOL = frozenset({"use_mmap"})
_MAX_NUMBER = 2**64
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})

DEPRECATED = frozenset(
    {"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"}
    | {"mirostat", "mirostat_tau", "mirostat_eta"}
)
"""Parameters that mean nothing any more; they are left out."""


def parse_parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Type the values; ``stop`` gathers into a list, the last of any other counts.

    InvalidRequest for a name or a value that no option has.
    """
    found: dict[str, object] = {}
    stops: list[str] = []
    for name, text in pairs:
        if name == STOP:
            stops.append(text)
            found[STOP] = stops
        elif name not in DEPRECATED:
            found[name] = parse_parameter(name, text)
    return found


def parse_parameter(name: str, text: str) -> int | float | bool:
    """Type one value that is not ``stop``."""
    if name in _INT:
        return _number(int, "int", text)
    if name in _FLOAT:
        return _number(float, "float", text)
    if name in _BOOL:
        if text not in _TRUE | _FALSE:
            raise InvalidRequest(f"invalid bool value [{text}]")
        return text in _TRUE
    raise InvalidRequest(f"unknown parameter '{name}'")


def _number(kind: Callable[[str], int | float], what: str, text: str) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not abs(value) < _MAX_NUMBER or "_" in text or text != text.strip():
        raise InvalidRequest(f"invalid {what} value [{text}]")
    return value


def flatten(parameters: Mapping[str, object]) -> list[tuple[str, object]]:
    """List name and value by name, a list's elements each on their own."""
    pairs: list[tuple[str, object]] = []
    for name, value in sorted(parameters.items()):
        pairs += [(name, element) for element in value] if isinstance(value, (list, tuple)) else [(name, value)]
    return pairs
