"""The only place that knows which status an error has, and how each dialect spells one."""

import secrets
from enum import Enum

import msgspec

from lcrt import errors
from lcrt.errors import LcrtError
from lcrt.server.exchange import SSE

INTERNAL = "internal error, see the server's log"

_STATUS: dict[type[LcrtError], int] = {
    errors.TooLarge: 413,
    errors.TooSlow: 408,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RequestError: 400,
    errors.Cancelled: 499,
    errors.NotSupported: 501,
    errors.BusyError: 503,
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


class Dialect(Enum):
    """Whose API an endpoint belongs to."""

    OLLAMA = "ollama"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class _OpenAIError(msgspec.Struct):
    message: str
    type: str
    param: None = None
    code: None = None


class _AnthropicError(msgspec.Struct):
    type: str
    message: str


def status_of(error: LcrtError) -> int:
    """Choose the status of an error: that of its nearest known base, else 500."""
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500


def error_body(dialect: Dialect, status: int, message: str) -> bytes:
    """Spell an error as the whole body of an answer."""
    if dialect is Dialect.OPENAI:
        detail = _OpenAIError(message, _OPENAI_TYPES.get(status, "api_error"))
        return msgspec.json.encode({"error": detail}) + b"\n"
    if dialect is Dialect.ANTHROPIC:
        request_id = f"req_{secrets.token_hex(12)}"
        wrong = _AnthropicError(_ANTHROPIC_TYPES.get(status, "api_error"), message)
        return msgspec.json.encode({"type": "error", "error": wrong, "request_id": request_id}) + b"\n"
    return msgspec.json.encode({"error": message})


def error_in_stream(dialect: Dialect, content_type: bytes, status: int, message: str) -> bytes:
    """Spell an error as the last thing in a stream that has begun."""
    body = error_body(dialect, status, message)
    if content_type != SSE:
        return body.removesuffix(b"\n") + b"\n"
    event = b"event: error\n" if dialect is Dialect.ANTHROPIC else b""
    return event + b"data: " + body.removesuffix(b"\n") + b"\n\n"
