"""POST /v1/completions."""

import msgspec

from lcrt.core.event import Rendered, Text, Usage
from lcrt.core.message import Message
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.adapters import adapt
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON_PLAIN, SSE, Exchange
from lcrt.server.inference import Answer, Plan
from lcrt.server.openai.wire import DONE, EMPTY, FINGERPRINT, Sampled, Typed, WireUsage, new_id, now, sse, usage
from lcrt.server.options import merge
from lcrt.server.services import Services


class CompletionRequest(Sampled, kw_only=True, forbid_unknown_fields=True):
    """The body. Fields that nobody reads end the list."""

    prompt: str | None = None
    suffix: str | None = None
    logprobs: int | None = None
    echo: object = None
    best_of: object = None


_DECODER = Decoder(CompletionRequest, EMPTY)


class _Choice(msgspec.Struct, kw_only=True):
    text: str
    index: int = 0
    finish_reason: str | None = None


class _Completion(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: str
    object: str = msgspec.field(default_factory=lambda: "text_completion")
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[_Choice, ...]
    usage: WireUsage | None = None
    debug_info: dict[str, str] | None = msgspec.field(default=None, name="_debug_info")


class CompletionEncoder(Typed):
    """Completions and their chunks."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._id = new_id("cmpl")
        self._created = now()
        fixed: dict[str, object] = {"model": model, "system_fingerprint": FINGERPRINT}
        if include_usage:
            fixed |= {"usage": msgspec.to_builtins(WireUsage())}
        head = msgspec.json.encode({"id": self._id, "object": "text_completion", "created": self._created})
        self._prefix = b'data: %b,"choices":[{"text":' % head[:-1]
        self._suffix = b"}],%b\n\n" % msgspec.json.encode(fixed)[1:]

    def text(self, event: Text) -> bytes:
        """A piece of a streamed answer; thinking is not shown here."""
        return self._chunk(event.text, b"null") if event.text else b""

    def _chunk(self, text: str, finish: bytes) -> bytes:
        return b'%b%b,"index":0,"finish_reason":%b%b' % (
            self._prefix,
            msgspec.json.encode(text),
            finish,
            self._suffix,
        )

    def last(self, answer: Answer) -> bytes:
        """The end of a streamed answer, with the rest of the text."""
        end = self._chunk(answer.text, b'"%b"' % answer.finish.reason.encode())
        if self._include_usage:
            end += sse(self._completion((), usage(answer.finish.usage)))
        return end + DONE

    def whole(self, answer: Answer) -> bytes:
        """All of an answer that is not streamed."""
        choice = _Choice(text=answer.text, finish_reason=answer.finish.reason)
        return msgspec.json.encode(self._completion((choice,), usage(answer.finish.usage))) + b"\n"

    def nothing(self, *, stream: bool) -> bytes:
        """The answer to an empty prompt."""
        completion = self._completion((_Choice(text="", finish_reason="load"),), usage(Usage()))
        return sse(completion) + DONE if stream else msgspec.json.encode(completion) + b"\n"

    def rendered(self, event: Rendered) -> bytes:
        """The prompt."""
        choice = _Choice(text="", finish_reason="stop")
        completion = self._completion((choice,), WireUsage())
        completion.debug_info = {"rendered_template": event.prompt}
        return msgspec.json.encode(completion) + b"\n"

    def _completion(self, choices: tuple[_Choice, ...], counts: WireUsage) -> _Completion:
        return _Completion(
            id=self._id,
            created=self._created,
            model=self._model,
            system_fingerprint=FINGERPRINT,
            choices=choices,
            usage=counts,
        )


async def completions(services: Services, exchange: Exchange) -> None:
    """Answer the request."""
    request = _DECODER.decode(await exchange.body.read())
    given = request.options() | _stop(request.stop)
    given["top_p"] = request.top_p or 1.0
    name = request.model or ""
    model = await inference.find_model(services, name)
    inference.check_can(name, model, "generate")
    plan = Plan(name, model, _inference(request, model, given), stream=bool(request.stream))
    plan = await adapt(services, plan, request.adapter, request.lora)
    encoder = CompletionEncoder(name, include_usage=request.include_usage)
    if request.prompt:
        await inference.run(services, exchange, plan, encoder)
        return
    await inference.load(services, exchange, plan)
    await exchange.reply(200, encoder.nothing(stream=plan.stream), SSE if plan.stream else JSON_PLAIN)


def _inference(request: CompletionRequest, model: Description, given: dict[str, object]) -> InferenceRequest:
    system = (Message("system", model.system),) if model.system else ()
    messages = (*system, *model.messages, Message("user", request.prompt or ""))
    return InferenceRequest(
        messages=() if request.suffix else messages,
        prompt=request.prompt if request.suffix else None,
        suffix=request.suffix or "",
        format=request.format(),
        options=merge(model.parameters, given),
        render_only=bool(request.debug_render_only),
    )


def _stop(stop: object) -> dict[str, object]:
    if isinstance(stop, str):
        return {"stop": [stop]}
    if not isinstance(stop, list):
        return {}
    for text in stop:
        if not isinstance(text, str):
            raise InvalidRequest("invalid type for 'stop' field: float64")
    return {"stop": stop}
