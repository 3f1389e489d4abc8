"""POST /api/generate."""

import msgspec

from lcrt.core.event import Rendered
from lcrt.core.message import Message
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest, NotFound
from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.adapters import adapt
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, Exchange
from lcrt.server.inference import Answer, Plan
from lcrt.server.logprobs import WireLogprob, wire_logprobs
from lcrt.server.ollama.encoder import AnswerEncoder
from lcrt.server.ollama.request import Checked, Common, check
from lcrt.server.ollama.wire import done_reason, join, metrics
from lcrt.server.options import merge
from lcrt.server.services import Services


class GenerateRequest(Common, kw_only=True, forbid_unknown_fields=True):
    """The body."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: tuple[int, ...] | None = None
    raw: bool | None = None
    images: tuple[bytes, ...] | None = None


_DECODER = Decoder(GenerateRequest)


class _Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    model: str
    created_at: str
    response: str
    thinking: str = ""
    done: bool
    done_reason: str = ""
    context: tuple[int, ...] | None = None


class _Tail(msgspec.Struct, kw_only=True, omit_defaults=True):
    debug_info: dict[str, object] | None = msgspec.field(default=None, name="_debug_info")
    logprobs: tuple[WireLogprob, ...] = ()


class GenerateEncoder(AnswerEncoder):
    """Objects with ``response``."""

    before = b'"response":'
    behind = b""

    def whole(self, answer: Answer) -> bytes:
        """All of an answer."""
        head = _Head(
            model=self._model,
            created_at=self._clock.stamp().decode(),
            response=answer.text,
            thinking=answer.thinking,
            done=True,
            done_reason=done_reason(answer),
            context=answer.finish.context,
        )
        return join(head, metrics(answer), _Tail(logprobs=wire_logprobs(answer.logprobs)))

    def nothing(self, reason: str) -> bytes:
        """The answer to a request that only loads or unloads."""
        return join(self._head(done=True, reason=reason))

    def rendered(self, event: Rendered) -> bytes:
        """The prompt."""
        info: dict[str, object] = {"rendered_template": event.prompt}
        if event.n_images:
            info["image_count"] = event.n_images
        return join(self._head(done=False), _Tail(debug_info=info))

    def _head(self, *, done: bool, reason: str = "") -> _Head:
        stamp = self._clock.stamp().decode()
        return _Head(model=self._model, created_at=stamp, response="", done=done, done_reason=reason)


async def generate(services: Services, exchange: Exchange) -> None:
    """Answer the request."""
    request = _DECODER.decode(await exchange.body.read())
    checked = check(request)
    name = request.model or ""
    model = await _find(services, name)
    encoder = GenerateEncoder(name, services.clock)
    if not request.prompt and checked.keep_alive == 0:
        await services.models.expire(model.model)
        await exchange.reply(200, encoder.nothing("unload"), JSON)
        return
    plan = _plan(request, checked, model, name)
    plan = await adapt(services, plan, request.adapter, request.lora)
    if not request.prompt:
        await inference.load(services, exchange, plan)
        await exchange.reply(200, encoder.nothing("load"), JSON)
        return
    await inference.run(services, exchange, plan, encoder)


async def _find(services: Services, name: str) -> Description:
    if not name:
        raise NotFound("model '' not found")
    return await inference.find_model(services, name)


def _plan(request: GenerateRequest, checked: Checked, model: Description, name: str) -> Plan:
    if request.raw and (request.template or request.system or request.context):
        raise InvalidRequest("raw mode does not support template, system, or context")
    inference.check_think(name, model, checked.think)
    inference.check_can(name, model, "generate")
    options = merge(model.parameters, request.options or {})
    messages = () if request.raw or request.suffix else _messages(request, model)
    wanted = None
    if request.prompt:
        inference.check_images(name, model, messages or (Message("user", images=request.images or ()),))
        inference.check_template(request.template)
        wanted = inference.read_format(request.raw_format)
    inferred = InferenceRequest(
        messages=messages,
        prompt=request.prompt if request.raw or request.suffix else None,
        suffix=request.suffix or "",
        context=request.context or (),
        think=checked.think,
        format=wanted,
        options=options,
        truncate=request.truncate is not False,
        shift=request.shift is not False,
        n_logprobs=request.n_logprobs,
        want_context=not request.raw,
        render_only=bool(request.debug_render_only),
    )
    return Plan(name, model, inferred, checked.keep_alive, request.stream is not False)


def _messages(request: GenerateRequest, model: Description) -> tuple[Message, ...]:
    system = request.system or model.system
    leading = (Message("system", system),) if system else ()
    earlier = () if request.context else model.messages
    return (*leading, *earlier, Message("user", request.prompt or "", images=request.images or ()))
