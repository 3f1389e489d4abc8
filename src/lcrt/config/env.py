"""How the text of a setting becomes a value. Every function raises ValueError for what it cannot read."""

import math
import re
from pathlib import Path

from lcrt.core.model import Speculation
from lcrt.core.name import DEFAULT_HOST
from lcrt.units import FOREVER, parse_duration

_TRUE = frozenset({"1", "t", "true", "yes", "y", "on"})
_FALSE = frozenset({"0", "f", "false", "no", "n", "off"})
_AUTO = "auto"
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
_MAX_COUNT = 2**31 - 1
SPECULATIONS: tuple[Speculation, ...] = ("auto", "lookup", "off")
_SIZE = re.compile(r"([0-9]{1,15}) ?(?:([kmgt])(i?)b?|b)?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def clean(text: str) -> str:
    """Take blanks and surrounding quotes off."""
    return text.strip().strip("\"'").strip()


def boolean(text: str) -> bool:
    """Read yes or no."""
    lowered = text.lower()
    if lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    raise ValueError("must be true or false")


def boolean_or_auto(text: str) -> bool | None:
    """Read yes, no, or None for ``auto``."""
    try:
        return None if text.lower() == _AUTO else boolean(text)
    except ValueError as error:
        raise ValueError("must be true, false or auto") from error


def count(text: str) -> int:
    """Read a number that is not negative."""
    if text.isascii() and text.isdecimal() and int(text) <= _MAX_COUNT:
        return int(text)
    raise ValueError("must be a whole number, not negative")


def size(text: str) -> int:
    """Read a positive number of bytes: ``1000000``, ``128MB`` or ``128MiB``."""
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("must be a number of bytes, such as 128MB or 128MiB")
    unit: int = (1024 if match[3] else 1000) ** _POWERS.get((match[2] or "").lower(), 0)
    return int(match[1]) * unit


def seconds(text: str) -> float:
    """Read a Go duration or a number of seconds; negative means forever."""
    try:
        value = float(text)
    except ValueError:
        value = parse_duration(text)
    if math.isnan(value):
        raise ValueError("must be a duration")
    return FOREVER if value < 0 else value


def timeout(text: str) -> float:
    """Read a duration where zero means forever too."""
    return seconds(text) or FOREVER


def latency(text: str) -> float:
    """Read a positive Go duration or a number of milliseconds."""
    try:
        value = float(text) / 1000
    except ValueError:
        value = parse_duration(text)
    if not 0 < value < math.inf:
        raise ValueError("must be a positive duration or a number of milliseconds")
    return value


def interval(text: str) -> float:
    """Read a Go duration or a number of milliseconds; 0 is none."""
    return 0.0 if text in ("0", "0s", "0ms") else latency(text)


def debug_level(text: str) -> int:
    """Read 0, 1 or 2; a plain yes is 1."""
    return int(text) if text in ("0", "1", "2") else int(boolean(text))


def words(text: str) -> tuple[str, ...]:
    """Read a list with commas."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def budget(text: str) -> int:
    """Read a number of bytes that may be none: ``0`` or ``off``."""
    return 0 if text.lower() in ("0", "off") else size(text)


def mirrors(text: str) -> tuple[str, ...]:
    """Read ``URL``, for the default registry, and ``HOST=URL``; all come back as the latter."""
    return tuple(map(_mirror, words(text)))


def _mirror(word: str) -> str:
    before, equals, after = word.partition("=")
    host, url = (before, after) if equals and "://" not in before else (DEFAULT_HOST, word)
    scheme, mark, place = url.partition("://")
    if not host or scheme not in ("http", "https") or not mark or not place.strip("/"):
        raise ValueError(f"`{word}` is no mirror: write https://MIRROR or HOST=https://MIRROR")
    return f"{host.lower()}={url.rstrip('/')}"


def cache_type(text: str) -> str:
    """Read the type of the numbers in the KV cache."""
    if text.lower() in _CACHE_TYPES:
        return text.lower()
    raise ValueError(f"must be one of {', '.join(_CACHE_TYPES)}")


def speculation(text: str) -> Speculation:
    """Read where guesses come from."""
    lowered = text.lower()
    for choice in SPECULATIONS:
        if lowered == choice:
            return choice
    raise ValueError(f"must be one of {', '.join(SPECULATIONS)}")


def directory(text: str) -> Path:
    """Read a path, with ``~`` for the home directory."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from error
