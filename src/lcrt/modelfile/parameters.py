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


def check_parameters(parameters: Mapping[str, object]) -> None:
    """Refuse, by name, what no option can be; those that mean nothing any more may have any value."""
    for name, value in parameters.items():
        if name in DEPRECATED or value is None:
            continue
        if name not in _KINDS:
            raise InvalidRequest(f"unknown parameter '{name}'", f"known: {', '.join(sorted(_KINDS))}")
        words, fits = _KINDS[name]
        if not fits(value):
            raise InvalidRequest(f"parameter '{name}' must be {words}")


def usable(parameters: Mapping[str, object]) -> dict[str, object]:
    """Leave out what ``check_parameters`` refuses."""
    return {
        name: value
        for name, value in parameters.items()
        if name in DEPRECATED or (name in _KINDS and _KINDS[name][1](value))
    }


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def _is_integer(value: object) -> bool:
    return _is_number(value) and value == int(value)  # type: ignore[call-overload]


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)


def _is_bias(value: object) -> bool:
    return isinstance(value, dict) and all(str(key).isdecimal() and _is_number(each) for key, each in value.items())


_KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    **dict.fromkeys(_INT, ("an integer", _is_integer)),
    **dict.fromkeys(_FLOAT, ("a number", _is_number)),
    **dict.fromkeys(_BOOL | {"ignore_eos"}, ("true or false", _is_bool)),
    STOP: ("a list of strings", _is_texts),
    "logit_bias": ("an object of token numbers and numbers", _is_bias),
}


KNOWN = frozenset(_KINDS)
"""Names that mean something."""


def flatten(parameters: Mapping[str, object]) -> list[tuple[str, object]]:
    """List name and value by name, a list's elements each on their own."""
    pairs: list[tuple[str, object]] = []
    for name, value in sorted(parameters.items()):
        pairs += [(name, element) for element in value] if isinstance(value, (list, tuple)) else [(name, value)]
    return pairs
