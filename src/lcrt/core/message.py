"""Messages of a conversation, independent of the dialect that carried them."""

import msgspec


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call that the model made; ``arguments`` is the text of a JSON object, key order kept."""

    name: str
    arguments: str
    id: str = ""
    index: int = 0


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn. ``images`` are the decoded bytes of pictures or audio."""

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""
