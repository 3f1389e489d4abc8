"""Messages of a chat completion, as the rest of lcrt knows them."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lcrt.core.message import Message, ToolCall
from lcrt.errors import InvalidRequest

_IMAGE = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,(.*)", re.DOTALL)
_KINDS: Mapping[type, str] = {bool: "bool", int: "float64", float: "float64", dict: "map[string]interface {}"}


class WireFunction(msgspec.Struct, forbid_unknown_fields=True):
    """What a tool call calls; ``arguments`` is JSON inside a string."""

    name: str | None = None
    arguments: str | None = None


class WireToolCall(msgspec.Struct, forbid_unknown_fields=True):
    """One call in a message of the assistant."""

    id: str | None = None
    index: int | None = None
    type: str | None = None
    function: WireFunction | None = None


class WireMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message as clients send it."""

    role: str | None = None
    content: object = None
    reasoning: str | None = None
    name: str | None = None
    tool_calls: tuple[WireToolCall, ...] | None = None
    tool_call_id: str | None = None
    refusal: object = None


def read_messages(wire: tuple[WireMessage, ...]) -> tuple[Message, ...]:
    """Translate a conversation; InvalidRequest says which part of it is wrong."""
    return tuple(_message(message, wire[:i]) for i, message in enumerate(wire))


def _message(wire: WireMessage, earlier: tuple[WireMessage, ...]) -> Message:
    calls = tuple(_call(call) for call in wire.tool_calls or ())
    text, images = _content(wire.content, can_be_absent=bool(calls))
    return Message(
        role=(wire.role or "").lower(),
        content=text,
        thinking=wire.reasoning or "",
        images=images,
        tool_calls=calls,
        tool_name=wire.name or _called(wire.tool_call_id, earlier),
        tool_call_id=wire.tool_call_id or "",
    )


def _call(wire: WireToolCall) -> ToolCall:
    function = wire.function or WireFunction()
    arguments = function.arguments or "{}"
    try:
        msgspec.json.decode(arguments, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InvalidRequest("invalid tool call arguments") from error
    return ToolCall(function.name or "", arguments, wire.id or "", wire.index or 0)


def _called(call_id: str | None, earlier: tuple[WireMessage, ...]) -> str:
    """Name the tool whose call this message answers."""
    for message in reversed(earlier):
        for call in message.tool_calls or ():
            if call_id and call.id == call_id and call.function:
                return call.function.name or ""
    return ""


def _content(content: object, *, can_be_absent: bool) -> tuple[str, tuple[bytes, ...]]:
    if isinstance(content, str):
        return content, ()
    if isinstance(content, list):
        return _parts(content)
    if content is None and can_be_absent:
        return "", ()
    raise InvalidRequest(f"invalid message content type: {_KINDS.get(type(content), '<nil>')}")


def _parts(parts: list[Any]) -> tuple[str, tuple[bytes, ...]]:
    texts: list[str] = []
    media: list[bytes] = []
    for part in parts:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                media.append(_image(url))
            case {"type": "input_audio", "input_audio": audio}:
                media.append(_audio(audio))
            case _:
                raise InvalidRequest("invalid message format")
    return "\n".join(texts), tuple(media)


def _image(url: str) -> bytes:
    if url.startswith(("http://", "https://")):
        raise InvalidRequest("image URLs are not currently supported, please use base64 encoded data instead")
    match = _IMAGE.fullmatch(url)
    try:
        return base64.b64decode(match[1] if match else "%", validate=True)
    except binascii.Error as error:
        raise InvalidRequest("invalid image input") from error


def _audio(audio: object) -> bytes:
    if not isinstance(audio, dict):
        raise InvalidRequest("invalid input_audio format")
    data = audio.get("data")
    if not isinstance(data, str) or not data:
        raise InvalidRequest("invalid input_audio format: missing data")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise InvalidRequest(f"invalid input_audio base64 data: {error}") from error
