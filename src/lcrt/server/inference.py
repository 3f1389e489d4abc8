"""One generation, whatever the dialect: name to model, model to lease, events to bytes."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from lcrt.core.event import Event, Finish, Rendered, Text, TokenLogprob
from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.model import ModelSpec
from lcrt.core.name import ModelName, ModelRef, Source
from lcrt.core.request import InferenceRequest
from lcrt.errors import Cancelled, EngineError, InvalidRequest, LcrtError, NotFound, NotSupported, RunnerGone
from lcrt.modelfile.describe import Description
from lcrt.modelfile.template import TemplateError, scan
from lcrt.runner.failure import error_of
from lcrt.server.exchange import Exchange, Outcome
from lcrt.server.services import Lease, Services, supported
from lcrt.server.stream import Attended

MAX_TOP_LOGPROBS = 20
_LOG = logging.getLogger("lcrt.server")


class Plan(msgspec.Struct, frozen=True):
    """Everything decided before the queue. ``name`` is the model as the client wrote it."""

    name: str
    model: Description
    request: InferenceRequest
    keep_alive: float | None = None
    stream: bool = False


class Answer(msgspec.Struct, frozen=True):
    """A generation that has ended; durations in seconds."""

    finish: Finish
    text: str = ""
    thinking: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    load: float = 0.0
    total: float = 0.0


class Encoder(Protocol):
    """How a dialect spells one generation."""

    content_type: bytes
    stream_type: bytes

    def text(self, event: Text) -> bytes:
        """A piece of a streamed answer."""
        ...

    def last(self, answer: Answer) -> bytes:
        """The end of a streamed answer; the texts in it are those not sent before."""
        ...

    def whole(self, answer: Answer) -> bytes:
        """All of an answer that is not streamed."""
        ...

    def rendered(self, event: Rendered) -> bytes:
        """The prompt, when only that was asked for."""
        ...


def parse_name(text: str) -> ModelName:
    """Read a model's name as clients write it; InvalidRequest when it breaks the grammar."""
    try:
        reference = ModelRef.parse(text)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    if reference.source is Source.CLOUD:
        raise NotFound(f"model '{text}' not found")
    return reference.name


async def find_model(services: Services, text: str, missing: str | None = None) -> Description:
    """Describe the model of this name; ``missing`` is the error text when there is none."""
    model = await services.find(parse_name(text))
    if model is None:
        raise NotFound(missing or f"model '{text}' not found")
    return model


def check_top_logprobs(count: int | None) -> None:
    """Refuse a number of alternatives that nobody can ask for."""
    if count is not None and not 0 <= count <= MAX_TOP_LOGPROBS:
        raise InvalidRequest(f"top_logprobs must be between 0 and {MAX_TOP_LOGPROBS}")


def check_think(name: str, model: Description, think: bool | str | None) -> None:
    """Refuse thinking where the model cannot."""
    if think and "thinking" not in supported(model.capabilities):
        raise InvalidRequest(f'"{name}" does not support thinking')


def check_can(name: str, model: Description, what: str, extra: tuple[str, ...] = ()) -> None:
    """Refuse a model that cannot complete, or lacks one of the ``extra`` capabilities."""
    can = supported(model.capabilities)
    if "completion" not in can:
        raise InvalidRequest(f'"{name}" does not support {what}')
    lacking = [capability for capability in extra if capability not in can]
    if lacking:
        raise InvalidRequest("\n".join([f"{model.name.full} does not support {lacking[0]}", *lacking[1:]]))


def check_images(name: str, model: Description, messages: tuple[Message, ...]) -> None:
    """Refuse pictures and sound where the model takes text only."""
    if any(message.images for message in messages) and "vision" not in supported(model.capabilities):
        raise InvalidRequest(f'"{name}" takes text only, not images or audio')


def read_format(raw: bytes) -> Format | None:
    """Tell a format from what is none."""
    if raw in (b"", b"null", b'""'):
        return None
    if raw == b'"json"':
        return Format("json")
    if raw.startswith(b"{"):
        return Format("schema", raw.decode("utf-8", "replace"))
    quoted = raw.decode("utf-8", "replace").replace("\\", "\\\\").replace('"', '\\"')
    raise LcrtError(f'invalid format: "{quoted}"; expected "json" or a valid JSON Schema object')


def check_template(source: str | None) -> None:
    """Tell a template that cannot be parsed from one that this version cannot render."""
    if not source:
        return
    try:
        scan(source)
    except TemplateError as error:
        raise LcrtError(str(error)) from error
    raise NotSupported("templates in requests are not available in this version")


def with_model_messages(model: Description, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put the model's own system text and messages in front, its system text only where none is given."""
    leading = (Message("system", model.system),) if model.system else ()
    if messages and messages[0].role == "system":
        leading = ()
    return (*leading, *model.messages, *messages)


async def load(services: Services, exchange: Exchange, plan: Plan) -> None:
    """Have the model in memory, nothing else."""
    async with Attended(exchange), await _lease(services, plan, plan.model.spec()) as lease:
        exchange.outcome = Outcome(plan.model.name.short, "load", load=lease.load_duration)


async def run(services: Services, exchange: Exchange, plan: Plan, encoder: Encoder) -> None:
    """Generate and send the answer. Errors before the first byte are raised.

    A runner that ends before it says anything of the request is replaced, once.
    """
    async with Attended(exchange):
        try:
            await _run(services, exchange, plan, encoder)
        except RunnerGone:
            _LOG.warning("the runner of %s is gone, its request goes to a new one", plan.model.name.short)
            await _run(services, exchange, plan, encoder)


async def _run(services: Services, exchange: Exchange, plan: Plan, encoder: Encoder) -> None:
    spec = plan.model.spec()
    request = msgspec.structs.replace(plan.request, template=spec.template) if spec.template else plan.request
    async with await _lease(services, plan, spec) as lease, _generate(lease, plan, request) as batches:
        exchange.outcome = Outcome(plan.model.name.short, "cancel", load=lease.load_duration)
        if plan.stream and not plan.request.render_only:
            await _stream(exchange, batches, encoder)
        else:
            await _collect(exchange, batches, encoder)


def _generate(
    lease: Lease, plan: Plan, request: InferenceRequest
) -> AbstractAsyncContextManager[AsyncIterator[tuple[Event, ...]]]:
    """Whether a gap can be filled is in the vocabulary, so only a loaded model knows."""
    if request.suffix and not lease.info.can_fill:
        raise InvalidRequest(f"{plan.model.name.full} does not support insert")
    return lease.generate(request)


async def _lease(services: Services, plan: Plan, spec: ModelSpec) -> Lease:
    await services.verify_links(plan.model)
    options = plan.request.options.load
    keep_alive = -1.0 if plan.keep_alive == float("inf") else plan.keep_alive
    return await services.models.acquire(spec, options, shift=plan.request.shift, keep_alive=keep_alive)


async def _stream(exchange: Exchange, batches: AsyncIterator[tuple[Event, ...]], encoder: Encoder) -> None:
    async for batch in batches:
        parts: list[bytes] = []
        finish: Finish | None = None
        for event in batch:
            if isinstance(event, Text):
                if event.text or event.thinking or event.logprobs:
                    parts.append(encoder.text(event))
            elif isinstance(event, Finish):
                finish = event
        if finish is not None:
            await _finish_stream(exchange, parts, finish, encoder)
            return
        if parts:
            await _send(exchange, parts, encoder)
    raise EngineError("the model's answer broke off")


async def _finish_stream(exchange: Exchange, parts: list[bytes], finish: Finish, encoder: Encoder) -> None:
    answer = _answer(exchange, finish)
    if finish.error is not None or finish.reason == "cancel":
        if parts:
            await _send(exchange, parts, encoder)
        _raise(finish)
    parts.append(encoder.last(answer))
    if not exchange.status:
        await exchange.start(encoder.stream_type)
    await exchange.end(b"".join(parts))


async def _send(exchange: Exchange, parts: list[bytes], encoder: Encoder) -> None:
    if not exchange.status:
        await exchange.start(encoder.stream_type)
    await exchange.write(b"".join(parts))


async def _collect(exchange: Exchange, batches: AsyncIterator[tuple[Event, ...]], encoder: Encoder) -> None:
    texts: list[Text] = []
    async for batch in batches:
        for event in batch:
            if isinstance(event, Text):
                texts.append(event)
            elif isinstance(event, Rendered):
                await exchange.reply(200, encoder.rendered(event), encoder.content_type)
                return
            elif isinstance(event, Finish):
                if event.error is not None or event.reason == "cancel":
                    _answer(exchange, event)
                    _raise(event)
                answer = _answer(exchange, event, texts)
                await exchange.reply(200, encoder.whole(answer), encoder.content_type)
                return
    raise EngineError("the model's answer broke off")


def _answer(exchange: Exchange, finish: Finish, texts: list[Text] | None = None) -> Answer:
    """Gather the answer, and note it for the log."""
    outcome = exchange.outcome or Outcome()
    usage = finish.usage
    outcome.finish = finish.reason
    outcome.n_prompt, outcome.n_cached, outcome.n_generated = usage.n_prompt, usage.n_cached, usage.n_sampled
    outcome.prefill, outcome.decode = usage.prefill, usage.decode
    pieces: list[Text | Finish] = [*(texts or []), finish]
    return Answer(
        finish=finish,
        text="".join(piece.text for piece in pieces),
        thinking="".join(piece.thinking for piece in pieces),
        logprobs=tuple(entry for piece in pieces for entry in piece.logprobs),
        load=outcome.load,
        total=time.monotonic() - exchange.started_at,
    )


def _raise(finish: Finish) -> None:
    if finish.error is not None:
        raise error_of(finish.error)
    raise Cancelled("the request was cancelled")
