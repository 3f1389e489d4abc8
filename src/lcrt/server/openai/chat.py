"""POST /v1/chat/completions."""

import msgspec

from lcrt.core.event import Finish, Rendered, Text
from lcrt.core.message import Message
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.adapters import adapt
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.inference import Answer, Plan
from lcrt.server.logprobs import WireLogprob, wire_logprobs
from lcrt.server.openai.messages import WireMessage, read_messages
from lcrt.server.openai.wire import (
    DONE,
    EMPTY,
    FINGERPRINT,
    Reasoning,
    Sampled,
    Typed,
    WireUsage,
    new_id,
    now,
    read_effort,
    sse,
    usage,
)
from lcrt.server.options import merge
from lcrt.server.services import Services

_encode = msgspec.json.Encoder().encode
_CHUNK = "chat.completion.chunk"


class ChatRequest(Sampled, kw_only=True, forbid_unknown_fields=True):
    """The body."""

    messages: tuple[WireMessage, ...] | None = None
    max_completion_tokens: int | None = None
    tools: tuple[msgspec.Raw, ...] | None = None
    tool_choice: object = None
    parallel_tool_calls: object = None
    reasoning: Reasoning | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


_DECODER = Decoder(ChatRequest, EMPTY)


class _Logprobs(msgspec.Struct, frozen=True):
    content: tuple[WireLogprob, ...]


class _Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    role: str
    content: str
    reasoning: str = ""


class _Choice(msgspec.Struct, kw_only=True, omit_defaults=True):
    index: int
    message: _Message
    finish_reason: str
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[_Choice, ...]
    usage: WireUsage
    debug_info: dict[str, str] | None = msgspec.field(default=None, name="_debug_info")


class _UsageChunk(msgspec.Struct, kw_only=True):
    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[()]
    usage: WireUsage


class ChatEncoder(Typed):
    """Completions and their chunks; everything that stays the same is encoded once."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._id = new_id("chatcmpl")
        self._created = now()
        head = _encode({"id": self._id, "object": _CHUNK, "created": self._created, "model": model})
        self._prefix = b'data: %b,"system_fingerprint":"%b","choices":[{"index":0,"delta":{' % (
            head[:-1],
            FINGERPRINT.encode(),
        )
        self._role = b'"role":"assistant",'

    def text(self, event: Text) -> bytes:
        """A piece of a streamed answer; thinking and text that came together are two chunks."""
        logprobs = _encode(_Logprobs(wire_logprobs(event.logprobs))) if event.logprobs else b""
        if not event.thinking:
            return self._delta(b'"content":' + _encode(event.text), logprobs)
        thinking = self._delta(b'"content":"","reasoning":' + _encode(event.thinking), logprobs)
        return thinking + self._delta(b'"content":' + _encode(event.text), b"") if event.text else thinking

    def _delta(self, fields: bytes, logprobs: bytes) -> bytes:
        role, self._role = self._role, b""
        tail = b',"logprobs":' + logprobs if logprobs else b""
        return b'%b%b%b},"finish_reason":null%b}]}\n\n' % (self._prefix, role, fields, tail)

    def last(self, answer: Answer) -> bytes:
        """The end of a streamed answer: what is left of the text, the finish, the counts."""
        parts: list[bytes] = []
        if answer.text or answer.thinking or self._role:
            parts.append(self.text(Text(answer.text, logprobs=answer.logprobs, thinking=answer.thinking)))
        parts.append(b'%b},"finish_reason":"%b"}]}\n\n' % (self._prefix, answer.finish.reason.encode()))
        if self._include_usage:
            parts.append(sse(self._usage(answer.finish)))
        return b"".join([*parts, DONE])

    def _usage(self, finish: Finish) -> _UsageChunk:
        return _UsageChunk(
            id=self._id,
            object=_CHUNK,
            created=self._created,
            model=self._model,
            system_fingerprint=FINGERPRINT,
            choices=(),
            usage=usage(finish.usage),
        )

    def whole(self, answer: Answer) -> bytes:
        """All of an answer that is not streamed."""
        message = _Message(role="assistant", content=answer.text, reasoning=answer.thinking)
        logprobs = _Logprobs(wire_logprobs(answer.logprobs)) if answer.logprobs else None
        choice = _Choice(index=0, message=message, finish_reason=answer.finish.reason, logprobs=logprobs)
        return self._completion(choice, usage(answer.finish.usage))

    def rendered(self, event: Rendered) -> bytes:
        """The prompt."""
        choice = _Choice(index=0, message=_Message(role="assistant", content=""), finish_reason="stop")
        return self._completion(choice, WireUsage(), {"rendered_template": event.prompt})

    def _completion(self, choice: _Choice, counts: WireUsage, debug: dict[str, str] | None = None) -> bytes:
        completion = _Completion(
            id=self._id,
            object="chat.completion",
            created=self._created,
            model=self._model,
            system_fingerprint=FINGERPRINT,
            choices=(choice,),
            usage=counts,
            debug_info=debug,
        )
        return _encode(completion) + b"\n"


async def chat_completions(services: Services, exchange: Exchange) -> None:
    """Answer the request."""
    request = _DECODER.decode(await exchange.body.read())
    if not request.messages:
        raise InvalidRequest("[] is too short - 'messages'")
    messages = read_messages(request.messages)
    effort = request.reasoning.effort if request.reasoning else None
    think = read_effort(effort or request.reasoning_effort)
    inference.check_top_logprobs(request.top_logprobs)
    name = request.model or ""
    model = await inference.find_model(services, name)
    inference.check_think(name, model, think)
    inference.check_can(name, model, "chat", ("tools",) if request.tools else ())
    inference.check_images(name, model, messages)
    inferred = _inference(request, model, messages, think)
    plan = Plan(name, model, inferred, stream=bool(request.stream))
    plan = await adapt(services, plan, request.adapter, request.lora)
    await inference.run(services, exchange, plan, ChatEncoder(name, include_usage=request.include_usage))


def _inference(
    request: ChatRequest, model: Description, messages: tuple[Message, ...], think: bool | str | None
) -> InferenceRequest:
    given = request.options()
    if request.max_completion_tokens is not None:
        given["num_predict"] = request.max_completion_tokens
    if isinstance(request.stop, str):
        given["stop"] = [request.stop]
    elif isinstance(request.stop, list):
        given["stop"] = [text for text in request.stop if isinstance(text, str)]
    return InferenceRequest(
        messages=inference.with_model_messages(model, messages),
        think=think,
        format=request.format(),
        options=merge(model.parameters, given),
        n_logprobs=request.top_logprobs or 0 if request.logprobs else -1,
        render_only=bool(request.debug_render_only),
    )
