"""Sizes, counts, durations and times: as people read them and as Go writes them.

Durations are seconds as float; forever is ``math.inf``. Wrong text raises ValueError.
"""

import math
import re
from collections.abc import Sequence

FOREVER = math.inf

_BYTE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB"))
_HOUR = 3600.0
_YEAR_HOURS = 24 * 365
_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAX_NS = 2**63 - 1
_NUMBER = re.compile(r"([0-9]*)(\.[0-9]*)?")
_UNIT = re.compile(r"[^0-9.]+")
_MAX_DURATION_LEN = 256


def human_bytes(size: int) -> str:
    """Use decimal units: ``512 B``, ``4.7 GB``, ``12 GB``."""
    for factor, unit in _BYTE_UNITS:
        if size >= factor:
            value = size / factor
            whole = value >= 10 or value == math.trunc(value)
            return f"{int(value)} {unit}" if whole else f"{value:.1f} {unit}"
    return f"{size} B"


def human_number(count: int) -> str:
    """Shorten a count: ``3.2B``, ``134.52M``, ``33K``."""
    if count >= 10**9:
        return f"{count // 10**9}B" if count % 10**9 == 0 else f"{count / 1e9:.1f}B"
    if count >= 10**6:
        return f"{count // 10**6}M" if count % 10**6 == 0 else f"{count / 1e6:.2f}M"
    if count >= 1000:
        return f"{count / 1e3:.0f}K"
    return str(count)


def human_duration(seconds: float) -> str:
    """Describe a span roughly: ``5 minutes``, ``About an hour``, ``3 weeks``."""
    return _below_an_hour(seconds) if int(seconds / 60) < 60 else _hours_and_more(seconds)


def _below_an_hour(seconds: float) -> str:
    n_seconds, n_minutes = int(seconds), int(seconds / 60)
    if n_seconds < 1:
        return "Less than a second"
    if n_seconds < 60:
        return "1 second" if n_seconds == 1 else f"{n_seconds} seconds"
    return "About a minute" if n_minutes == 1 else f"{n_minutes} minutes"


def _hours_and_more(seconds: float) -> str:
    hours = math.floor(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < _YEAR_HOURS * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / _HOUR) // _YEAR_HOURS} years"


def human_time(when: float | None, now: float) -> str:
    """Describe a moment in Unix seconds as seen from ``now``; None is ``Never``."""
    if when is None:
        return "Never"
    ahead = when - now
    if math.isinf(ahead) or ahead / _HOUR / _YEAR_HOURS >= 21:
        return "Forever"
    return f"{human_duration(ahead)} from now" if ahead > 0 else f"{human_duration(-ahead)} ago"


def parse_duration(text: str) -> float:
    """Read a Go duration into seconds, such as ``1h2m3.5s``, ``-10ms`` or ``0``."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    if not rest or len(text) > _MAX_DURATION_LEN:
        raise ValueError(f"time: invalid duration {_quote(text)}")
    total = 0.0
    while rest:
        amount, rest = _duration_part(rest, text)
        total += amount
    if total > _MAX_NS:
        raise ValueError(f"time: invalid duration {_quote(text)}")
    return sign * total / 1e9


def _duration_part(rest: str, text: str) -> tuple[float, str]:
    """Read nanoseconds of the first number and unit, and what follows them."""
    number = _NUMBER.match(rest)
    if number is None or number.group() in ("", "."):
        raise ValueError(f"time: invalid duration {_quote(text)}")
    rest = rest[number.end() :]
    unit = _UNIT.match(rest)
    if unit is None:
        raise ValueError(f"time: missing unit in duration {_quote(text)}")
    factor = _NS.get(unit.group())
    if factor is None:
        raise ValueError(f"time: unknown unit {_quote(unit.group())} in duration {_quote(text)}")
    whole, fraction = number.groups()
    amount = int(whole or "0") * factor + float(f"0{fraction or '.'}0") * factor
    return amount, rest[unit.end() :]


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def format_duration(seconds: float) -> str:
    """Write a span as Go prints it: ``1h2m3.5s``, ``1.5ms``, ``0s``."""
    total = round(seconds * 1e9)
    if total == 0:
        return "0s"
    sign, total = ("-", -total) if total < 0 else ("", total)
    if total < 10**9:
        factor, unit = next((f, u) for f, u in ((10**6, "ms"), (10**3, "µs"), (1, "ns")) if total >= f)
        return f"{sign}{_decimal(total, factor)}{unit}"
    minutes, rest = divmod(total, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, 10**9)}s"


def _decimal(value: int, factor: int) -> str:
    whole, rest = divmod(value, factor)
    digits = f"{rest:0{len(str(factor)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def parse_keep_alive(value: object) -> float:
    """Read a ``keep_alive`` from JSON into seconds: a number, or a Go duration; negative means forever."""
    match value:
        case bool():
            raise ValueError("Unsupported type: 'bool'")
        case int() | float():
            seconds = float(value)
        case str():
            seconds = parse_duration(value)
        case _:
            kind = "[]interface {}" if isinstance(value, Sequence) else "map[string]interface {}"
            raise ValueError(f"Unsupported type: '{kind}'")
    return FOREVER if seconds < 0 else seconds
