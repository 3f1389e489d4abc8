"""POST /api/create."""

import msgspec

from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError, NotSupported
from lcrt.modelfile.create import Progress, check_request, create
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON_PLAIN, NDJSON, Exchange
from lcrt.server.ollama.request import WireMessage
from lcrt.server.services import Services
from lcrt.server.stream import steps

_encode = msgspec.json.Encoder().encode


class _Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    name: str | None = None
    stream: bool | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    draft_files: dict[str, str] | None = None
    quantize: str | None = None
    quantization: str | None = None
    template: str | None = None
    system: str | None = None
    license: object = None
    parameters: dict[str, object] | None = None
    messages: tuple[WireMessage, ...] | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    remote_host: str | None = None
    info: dict[str, object] | None = None


_DECODER = Decoder(_Request)


async def create_model(services: Services, exchange: Exchange) -> None:
    """Make a model, with a line for each step."""
    body = _DECODER.decode(await exchange.body.read())
    request = _request(body)
    check_request(request)
    _check_later(body)
    last = Progress("success")
    async for progress in steps(create(services.store, request, keep_old=services.keep_old)):
        last = progress
        if body.stream is not False:
            if not exchange.status:
                await exchange.start(NDJSON)
            await exchange.write(_encode(progress) + b"\n")
    if body.stream is not False:
        await exchange.end()
    else:
        await exchange.reply(200, _encode(last), JSON_PLAIN)


def _check_later(body: _Request) -> None:
    if body.draft_files:
        raise NotSupported("draft models are not available in this version")
    if body.remote_host:
        raise NotSupported("remote models are not available in this version")


def _request(body: _Request) -> CreateRequest:
    return CreateRequest(
        model=body.model or body.name or "",
        from_=body.from_ or "",
        files=body.files,
        adapters=body.adapters,
        quantize=body.quantize or body.quantization or "",
        template=body.template or "",
        system=body.system or "",
        license=_license(body.license),
        parameters=body.parameters or {},
        messages=tuple(message.message() for message in body.messages or ()),
        renderer=body.renderer or "",
        parser=body.parser or "",
        requires=body.requires or "",
        info=body.info or {},
    )


def _license(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise LcrtError("license must be a string or a list of strings")
