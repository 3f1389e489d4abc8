"""Where settings come from: each source maps a setting's name to text and says where that text stands."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from lcrt.config.env import clean
from lcrt.errors import ConfigError


class Source(Protocol):
    """One place with settings."""

    def text(self, name: str) -> tuple[str, str] | None:
        """Return the text of a setting and the label of its place, None when it is not set here."""


class Flags:
    """What was given on the command line."""

    def __init__(self, values: Mapping[str, object | None]) -> None:
        self._values = values

    def text(self, name: str) -> tuple[str, str] | None:
        """Look a flag up."""
        value = self._values.get(name)
        return None if value is None else (plain(value), f"--{name.replace('_', '-')}")


class Environment:
    """Variables with one prefix; empty ones count as not set."""

    def __init__(self, prefix: str, values: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._values = values

    def text(self, name: str) -> tuple[str, str] | None:
        """Look a variable up."""
        variable = self._prefix + name.upper()
        value = clean(self._values.get(variable, ""))
        return (value, variable) if value else None


class File:
    """A TOML file with one key per setting."""

    def __init__(self, path: Path, known: Iterable[str], *, must_exist: bool) -> None:
        self._path = path
        self._values = _read(path, must_exist=must_exist)
        unknown = sorted(set(self._values) - set(known))
        if unknown:
            raise ConfigError(f"`{path}`: unknown setting `{unknown[0]}`")

    def text(self, name: str) -> tuple[str, str] | None:
        """Look a key up."""
        value = self._values.get(name)
        return None if value is None else (plain(value), f"{self._path}: {name}")


def plain(value: object) -> str:
    """Spell a typed value the way the environment would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return clean(str(value))


def _read(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(f"no such settings file: `{path}`") from error
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read `{path}`: {error.strerror}") from error
    import tomllib  # costs as much as everything else here, and most have no file

    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` is not TOML: {error}") from error
