"""From a body to a request of its dialect, as forgiving as clients are used to.

Names are matched in any case, unknown ones are ignored, and so is what follows the first value.
The first try costs one pass; only a body with names that do not match exactly is read again.
"""

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from lcrt.errors import InvalidRequest

_T = TypeVar("_T")
_SMALL = 64
_TRAILING = "trailing characters (byte "
_UNKNOWN = "unknown field"


class Decoder(Generic[_T]):
    """Reads one kind of request. The Struct and those inside it forbid unknown fields."""

    def __init__(self, kind: type[_T], empty: str = "missing request body") -> None:
        self._kind = kind
        self._empty = empty
        self._decoder = msgspec.json.Decoder(kind)
        self._shape: inspect.Type | None = None

    def decode(self, body: bytes) -> _T:
        """Read a body; InvalidRequest says what is wrong with it."""
        if len(body) < _SMALL:
            body = body.strip()
            if not body:
                raise InvalidRequest(self._empty)
            if body == b"null":
                body = b"{}"
        try:
            return self._decode(body)
        except msgspec.DecodeError as error:
            raise InvalidRequest(str(error)) from error

    def _decode(self, body: bytes) -> _T:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            if _UNKNOWN not in str(error):
                raise
        except msgspec.DecodeError as error:
            return self._decoder_retry(_first_value(body, error))
        return self._decoder_retry(body)

    def _decoder_retry(self, body: bytes) -> _T:
        """Rename what differs in case, drop what is unknown, and read again."""
        try:
            value = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            value = msgspec.json.decode(_first_value(body, error))
        if self._shape is None:
            self._shape = inspect.type_info(self._kind)
        return self._decoder.decode(msgspec.json.encode(_fit(value, self._shape)))


def _first_value(body: bytes, error: msgspec.DecodeError) -> bytes:
    """Cut off what follows the first value (bytes count from one); the error again when it is another."""
    _, found, rest = str(error).partition(_TRAILING)
    if not found:
        raise error
    return body[: int(rest.partition(")")[0]) - 1]


def _fit(value: Any, shape: inspect.Type) -> Any:
    if isinstance(shape, inspect.UnionType):
        wanted = inspect.StructType if isinstance(value, dict) else inspect.CollectionType
        shape = next((kind for kind in shape.types if isinstance(kind, wanted)), shape)
    if isinstance(value, dict) and isinstance(shape, inspect.StructType):
        fields = {field.encode_name.lower(): field for field in shape.fields}
        found = ((fields.get(name.lower()), item) for name, item in value.items())
        return {field.encode_name: _fit(item, field.type) for field, item in found if field is not None}
    if isinstance(value, list):
        item_shape = getattr(shape, "item_type", None)
        return [_fit(item, item_shape) for item in value] if isinstance(item_shape, inspect.Type) else value
    return value
