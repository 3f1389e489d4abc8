"""A conversation as the client keeps it, and the requests that it makes of it."""

from typing import Self

import msgspec

from lcrt.cli.app import UsageError
from lcrt.client.wire import ChatMessage, Shown

THINK_LEVELS = ("high", "medium", "low", "max")
Think = bool | str | None


class Session(msgspec.Struct, frozen=True):
    """Settings and messages so far; ``messages`` leaves out the system message and the model's own."""

    model: str
    system: str = ""
    messages: tuple[ChatMessage, ...] = ()
    options: dict[str, object] = {}
    format: str = ""
    think: Think = None
    keep_alive: str = ""
    wordwrap: bool = True
    verbose: bool = False
    hide_thinking: bool = False

    def having(self, **changes: object) -> Self:
        """Return the same with some values replaced."""
        return msgspec.structs.replace(self, **changes)

    def said(self, role: str, content: str, thinking: str = "") -> Self:
        """Return the conversation with one message more."""
        return self.having(messages=(*self.messages, ChatMessage(role, content, thinking)))

    def for_model(self, shown: Shown) -> Self:
        """Think where the user did not decide and the model can."""
        can_think = "thinking" in (shown.capabilities or [])
        return self.having(think=True) if self.think is None and can_think else self


def parse_think(text: str | None) -> Think:
    """Read the value of ``--think``."""
    if text is None or text in THINK_LEVELS:
        return text
    if text in ("true", "false"):
        return text == "true"
    raise UsageError(f'invalid value for --think: "{text}" (must be true, false, high, medium, low, or max)')


def load_request(session: Session) -> dict[str, object]:
    """Ask for the model to be loaded."""
    return {"model": session.model, **_keep_alive(session), **_think(session)}


def generate_request(session: Session, prompt: str) -> dict[str, object]:
    """Ask for one answer to a prompt."""
    return {"prompt": prompt, **_common(session)}


def chat_request(session: Session) -> dict[str, object]:
    """Ask for the next message of the conversation."""
    system = (ChatMessage("system", session.system),) if session.system else ()
    return {"messages": (*system, *session.messages), **_common(session)}


def save_request(session: Session, name: str, shown: Shown) -> dict[str, object]:
    """Ask for a model that begins where the conversation is now."""
    request: dict[str, object] = {"model": name, "from": session.model}
    if session.system:
        request["system"] = session.system
    if session.options:
        request["parameters"] = session.options
    if session.messages:
        request["messages"] = (*(shown.messages or ()), *session.messages)
    return request


def format_value(text: str) -> object:
    """Return ``json`` as a string and anything else as the JSON that it must be."""
    if text == "json":
        return text
    try:
        msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise UsageError(f"format must be json or a JSON schema: {error}") from error
    return msgspec.Raw(text.encode())


def _common(session: Session) -> dict[str, object]:
    request: dict[str, object] = {"model": session.model, **_keep_alive(session), **_think(session)}
    if session.options:
        request["options"] = session.options
    if session.format:
        request["format"] = format_value(session.format)
    return request


def _keep_alive(session: Session) -> dict[str, object]:
    return {"keep_alive": session.keep_alive} if session.keep_alive else {}


def _think(session: Session) -> dict[str, object]:
    return {} if session.think is None else {"think": session.think}
