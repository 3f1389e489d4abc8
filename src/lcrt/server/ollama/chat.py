"""POST /api/chat."""

import msgspec

from lcrt.core.event import Rendered
from lcrt.core.message import Message
from lcrt.core.request import InferenceRequest
from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.adapters import adapt
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, Exchange
from lcrt.server.inference import Answer, Plan
from lcrt.server.logprobs import WireLogprob, wire_logprobs
from lcrt.server.ollama.encoder import AnswerEncoder
from lcrt.server.ollama.request import Checked, Common, WireMessage, check
from lcrt.server.ollama.wire import done_reason, join, metrics
from lcrt.server.options import merge
from lcrt.server.services import Services


class ChatRequest(Common, kw_only=True, forbid_unknown_fields=True):
    """The body."""

    messages: tuple[WireMessage, ...] | None = None
    tools: tuple[msgspec.Raw, ...] | None = None


_DECODER = Decoder(ChatRequest)


class _Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    role: str
    content: str
    thinking: str = ""


class _Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    model: str
    created_at: str
    message: _Message
    done: bool
    done_reason: str = ""
    debug_info: dict[str, object] | None = msgspec.field(default=None, name="_debug_info")
    logprobs: tuple[WireLogprob, ...] = ()


class ChatEncoder(AnswerEncoder):
    """Objects with ``message``."""

    before = b'"message":{"role":"assistant","content":'
    behind = b"}"

    def whole(self, answer: Answer) -> bytes:
        """All of an answer."""
        head = _Head(
            model=self._model,
            created_at=self._clock.stamp().decode(),
            message=_Message(role="assistant", content=answer.text, thinking=answer.thinking),
            done=True,
            done_reason=done_reason(answer),
            logprobs=wire_logprobs(answer.logprobs),
        )
        return join(head, metrics(answer))

    def nothing(self, reason: str) -> bytes:
        """The answer to a request that only loads or unloads."""
        message = _Message(role="assistant", content="")
        stamp = self._clock.stamp().decode()
        return join(_Head(model=self._model, created_at=stamp, message=message, done=True, done_reason=reason))

    def rendered(self, event: Rendered) -> bytes:
        """The prompt."""
        info: dict[str, object] = {"rendered_template": event.prompt}
        if event.n_images:
            info["image_count"] = event.n_images
        message = _Message(role="", content="")
        stamp = self._clock.stamp().decode()
        return join(_Head(model=self._model, created_at=stamp, message=message, done=False, debug_info=info))


async def chat(services: Services, exchange: Exchange) -> None:
    """Answer the request."""
    request = _DECODER.decode(await exchange.body.read())
    checked = check(request)
    messages = tuple(message.message() for message in request.messages or ())
    name = request.model or ""
    model = await inference.find_model(services, name)
    encoder = ChatEncoder(name, services.clock)
    if not messages and checked.keep_alive == 0:
        await services.models.expire(model.model)
        await exchange.reply(200, encoder.nothing("unload"), JSON)
        return
    plan = _plan(request, checked, messages, model)
    plan = await adapt(services, plan, request.adapter, request.lora)
    if not messages:
        await inference.load(services, exchange, plan)
        await exchange.reply(200, encoder.nothing("load"), JSON)
        return
    await inference.run(services, exchange, plan, encoder)


def _plan(request: ChatRequest, checked: Checked, messages: tuple[Message, ...], model: Description) -> Plan:
    name = request.model or ""
    inference.check_think(name, model, checked.think)
    inference.check_can(name, model, "chat", ("tools",) if request.tools else ())
    options = merge(model.parameters, request.options or {})
    wanted = None
    if messages:
        inference.check_images(name, model, messages)
        wanted = inference.read_format(request.raw_format)
    inferred = InferenceRequest(
        messages=inference.with_model_messages(model, messages),
        tools=b"[" + b",".join(bytes(tool) for tool in request.tools) + b"]" if request.tools else None,
        think=checked.think,
        format=wanted,
        options=options,
        truncate=request.truncate is not False,
        shift=request.shift is not False,
        n_logprobs=request.n_logprobs,
        render_only=bool(request.debug_render_only),
    )
    return Plan(name, model, inferred, checked.keep_alive, request.stream is not False)
