"""The model's ``config.json``: what is asked for is checked, what is not asked for may be anything."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from lcrt.convert.jsonfile import read_object
from lcrt.errors import InvalidRequest

FILE_NAME = "config.json"
ARCHITECTURES = "architectures"
QUANTIZATION = "quantization_config"
_COUNT_MAX = 2**31 - 1
_LAYERS_MAX = 1024
_LIST_MAX = 1 << 16
_FLOAT_MAX = 3.4e38
"""The largest number that a GGUF's usual type for one can hold."""


class Config:
    """Values by name. A value that is missing, without a default, or of another type is an InvalidRequest.

    ``null`` counts as missing, as it does for those who write these files.
    """

    def __init__(self, values: dict[str, Any], file_name: str = FILE_NAME) -> None:
        self._values = values
        self._file_name = file_name

    def has(self, name: str) -> bool:
        """Tell whether there is a value."""
        return self._values.get(name) is not None

    def is_off(self, name: str) -> bool:
        """Tell whether the value is ``null`` in so many words: some take that for none, and a missing one for usual."""
        return name in self._values and self._values[name] is None

    def raw(self, name: str) -> object:
        """Read a value of any type, None when there is none."""
        return self._values.get(name)

    def count(self, name: str, default: int | None = None, *, most: int = _COUNT_MAX) -> int:
        """Read a whole number of 0 or more."""
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name, f"a number from 0 to {most}")
        return value

    def size(self, name: str, default: int | None = None) -> int:
        """Read a whole number of 1 or more."""
        value = self.count(name, default)
        if value == 0:
            raise self._wrong(name, "more than 0")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Read a finite number that is not too large for a float32."""
        value = self._value(name, default)
        if not _is_number(value):
            raise self._wrong(name, "a number")
        return float(value)

    def positive(self, name: str, default: float | None = None) -> float:
        """Read a number of more than 0."""
        value = self.number(name, default)
        if value <= 0:
            raise self._wrong(name, "more than 0")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Read a string."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Read true or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def numbers(self, name: str, default: Sequence[float] | None = None) -> list[float]:
        """Read a list of finite numbers."""
        values = self._list(name, default)
        if not all(map(_is_number, values)):
            raise self._wrong(name, "a list of numbers")
        return [float(value) for value in values]

    def texts(self, name: str, default: Sequence[str] | None = None) -> list[str]:
        """Read a list of strings."""
        values = self._list(name, default)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of texts")
        return [str(value) for value in values]

    def part(self, name: str) -> "Config":
        """Read an object in the object, empty when there is none."""
        value = self._value(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Config(value, self._file_name)

    def parts(self, name: str) -> list["Config"]:
        """Read the objects in the object in the object."""
        inner = self.part(name)
        return [inner.part(key) for key in self._values.get(name) or ()]

    def over(self, name: str) -> "Config":
        """Lay the object in the object over this one, which keeps the names of its architectures."""
        value = self._value(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        told = {key: inner for key, inner in value.items() if inner is not None and key != ARCHITECTURES}
        return Config({**self._values, **told}, self._file_name)

    @property
    def n_layers(self) -> int:
        """How many layers the model has."""
        return self.count("num_hidden_layers", most=_LAYERS_MAX)

    def wrong(self, reason: str) -> InvalidRequest:
        """Make the error for values that contradict one another."""
        return InvalidRequest(f"`{self._file_name}` cannot be used: {reason}")

    def _value(self, name: str, default: object) -> object:
        value = self._values.get(name)
        if value is not None:
            return value
        if default is None:
            raise self.wrong(f"{name} is missing")
        return default

    def _list(self, name: str, default: object) -> list[Any]:
        value = self._value(name, default)
        if not isinstance(value, list | tuple) or len(value) > _LIST_MAX:
            raise self._wrong(name, "a list")
        return list(value)

    def _wrong(self, name: str, wanted: str) -> InvalidRequest:
        return self.wrong(f"{name} must be {wanted}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_FLOAT_MAX <= value <= _FLOAT_MAX


def read_config(folder: Path) -> Config:
    """Read the folder's config; what a model of several kinds says of its text part counts as said of all."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise InvalidRequest(
            f"there is no `{FILE_NAME}` in the folder", "copy all of the model's files, not only weights"
        )
    return Config(read_object(path)).over("text_config")


def is_quantized(folder: Path) -> bool:
    """Tell whether the folder's weights were quantized before; what is wrong with it, converting says."""
    with contextlib.suppress(InvalidRequest):
        return read_config(folder).has(QUANTIZATION)
    return False
