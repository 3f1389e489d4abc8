"""Messages to the text of a prompt, through the model's own template."""

import logging
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from lcrt.core.message import Message
from lcrt.errors import InvalidRequest

log = logging.getLogger("lcrt.chat")

PLAIN_TEMPLATE = "{{ .Prompt }}"
GO_TEMPLATE_TEXT = "this model needs a Go template, which this version cannot render"


class Conversation(msgspec.Struct, frozen=True):
    """What a template renders; ``tools`` is the text of a JSON list, ``go_template`` the model's own."""

    messages: Sequence[Message]
    tools: bytes | None = None
    think: bool = False
    go_template: str = ""


class Prompt(msgspec.Struct, frozen=True):
    """A rendered conversation; ``stops`` are strings at which this template's answers end.

    ``think_start`` and ``think_end`` are the tags around what the model thinks, empty when it has none.
    """

    text: str
    stops: tuple[str, ...] = ()
    think_start: str = ""
    think_end: str = ""


class Template(Protocol):
    """What can turn messages into a prompt."""

    def render(self, conversation: Conversation, /) -> Prompt:
        """Raises ``InvalidRequest`` for messages that the template refuses."""


class ChatApply(Protocol):
    """The chat layer over a Jinja template: a JSON request in, a JSON answer out. Any thread."""

    def apply(self, request: bytes, /) -> bytes:
        """Raises ``InvalidRequest`` for messages that the template refuses."""


class _Answer(msgspec.Struct, frozen=True):
    prompt: str
    stops: tuple[str, ...] = ()
    thinking_start: str = ""
    thinking_end: tuple[str, ...] = ()


class JinjaTemplate:
    """The template of the GGUF. Any thread."""

    def __init__(self, chat: ChatApply) -> None:
        self._chat = chat
        self._decoder = msgspec.json.Decoder(_Answer)

    def render(self, conversation: Conversation, /) -> Prompt:
        """See ``Template``."""
        request: dict[str, object] = {
            "messages": [_message(m) for m in conversation.messages],
            "enable_thinking": conversation.think,
            "add_generation_prompt": True,
            "now": int(time.time()),
        }
        if conversation.tools:
            request["tools"] = msgspec.Raw(conversation.tools)
        answer = self._decoder.decode(self._chat.apply(msgspec.json.encode(request)))
        think_end = answer.thinking_end[0] if answer.thinking_start and answer.thinking_end else ""
        return Prompt(answer.prompt, answer.stops, answer.thinking_start, think_end)


class ChatmlTemplate:
    """For models without any template: ChatML, as llama.cpp and Ollama do then."""

    def render(self, conversation: Conversation, /) -> Prompt:
        """See ``Template``."""
        turns = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in conversation.messages)
        return Prompt(f"{turns}<|im_start|>assistant\n")


class PlainTemplate:
    """For models that ask for no more: the texts of the messages, one after another."""

    def render(self, conversation: Conversation, /) -> Prompt:
        """See ``Template``."""
        return Prompt("\n".join(m.content for m in conversation.messages if m.content))


class MissingTemplate:
    """For models whose template cannot be used; every conversation hears the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def render(self, _conversation: Conversation, /) -> Prompt:
        """Always raises ``InvalidRequest``."""
        raise InvalidRequest(self._reason)


class ModelTemplate:
    """What speaks for the models over one file: each brings its Go template, ``jinja`` is the file's. Any thread.

    A Go template that cannot be rendered gives way to the file's, with one word in the log for each.
    """

    def __init__(self, jinja: Template | None) -> None:
        self._jinja = jinja
        self._plain = PlainTemplate()
        self._chatml = ChatmlTemplate()
        self._warned: set[str] = set()

    def render(self, conversation: Conversation, /) -> Prompt:
        """See ``Template``."""
        return self._choose(conversation.go_template.strip()).render(conversation)

    def _choose(self, source: str) -> Template:
        if source == PLAIN_TEMPLATE:
            return self._plain
        if self._jinja is None and not source:
            if source not in self._warned:
                self._warned.add(source)
                log.warning("this model has no chat template; ChatML is used")
            return self._chatml
        if self._jinja is None:
            raise InvalidRequest(GO_TEMPLATE_TEXT)
        if source and source not in self._warned:
            self._warned.add(source)
            log.warning("%s; the one in the GGUF file is used instead", GO_TEMPLATE_TEXT)
        return self._jinja


def _message(message: Message) -> dict[str, object]:
    """One message in the form of OpenAI's chat API."""
    out: dict[str, object] = {"role": message.role, "content": message.content}
    if message.thinking:
        out["reasoning_content"] = message.thinking
    if message.tool_name:
        out["name"] = message.tool_name
    if message.tool_call_id:
        out["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return out
