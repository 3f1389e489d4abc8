"""Fields that generate and chat share, and how they are checked."""

import msgspec

from lcrt.core.message import Message, ToolCall
from lcrt.errors import InvalidRequest
from lcrt.server.adapters import Adapter, Lora
from lcrt.server.inference import MAX_TOP_LOGPROBS, check_top_logprobs
from lcrt.units import parse_keep_alive

_LEVELS = ("high", "medium", "low", "max")
_CHOICES = '"high", "medium", "low", "max", true, or false'


class Common(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every generation may ask for; null and absent are the same."""

    model: str | None = None
    stream: bool | None = None
    format: msgspec.Raw = msgspec.Raw()
    keep_alive: object = None
    options: dict[str, object] | None = None
    think: object = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    adapter: Adapter = None
    lora: Lora = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")

    @property
    def raw_format(self) -> bytes:
        """The JSON text of ``format``, empty when there is none."""
        return bytes(self.format).strip()

    @property
    def n_logprobs(self) -> int:
        """What the engine calls the number of alternatives, -1 for no logprobs at all."""
        return min(self.top_logprobs or 0, MAX_TOP_LOGPROBS) if self.logprobs else -1


class Checked(msgspec.Struct, frozen=True):
    """Values whose type alone does not say that they are right."""

    keep_alive: float | None
    think: bool | str | None


def check(request: Common) -> Checked:
    """Check what Ollama checks before it looks at the model's name."""
    checked = Checked(read_keep_alive(request.keep_alive), read_think(request.think))
    check_top_logprobs(request.top_logprobs)
    return checked


def read_keep_alive(value: object) -> float | None:
    """Read seconds, infinity for ever, None when not given."""
    if value is None:
        return None
    try:
        return parse_keep_alive(value)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def read_think(value: object) -> bool | str | None:
    """Read a switch or a level."""
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InvalidRequest(f"think must be a boolean or string ({_CHOICES})")
    if not value:
        return None
    if value not in _LEVELS:
        raise InvalidRequest(f'invalid think value: "{value}" (must be {_CHOICES})')
    return value


class WireFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tool call calls."""

    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    index: int | None = None


class WireToolCall(msgspec.Struct, forbid_unknown_fields=True):
    """One call in a message of the assistant."""

    id: str | None = None
    function: WireFunction = WireFunction()


class WireMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message as clients send it."""

    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    images: tuple[bytes, ...] | None = None
    tool_calls: tuple[WireToolCall, ...] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None

    def message(self) -> Message:
        """The same, as the rest of lcrt knows it."""
        return Message(
            role=(self.role or "").lower(),
            content=self.content or "",
            thinking=self.thinking or "",
            images=self.images or (),
            tool_calls=tuple(_tool_call(call) for call in self.tool_calls or ()),
            tool_name=self.tool_name or "",
            tool_call_id=self.tool_call_id or "",
        )


def _tool_call(call: WireToolCall) -> ToolCall:
    arguments = bytes(call.function.arguments).strip()
    if arguments in (b"", b"null"):
        arguments = b"{}"
    if not arguments.startswith(b"{"):
        raise InvalidRequest("tool call arguments must be an object")
    return ToolCall(call.function.name or "", arguments.decode(), call.id or "", call.function.index or 0)
