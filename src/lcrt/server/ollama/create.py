"""POST /api/create."""

from collections.abc import Iterator

import msgspec

from lcrt.core.name import ModelName
from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError, NotSupported
from lcrt.modelfile.create import Progress, check_request, create
from lcrt.registry.options import PullRequest
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.ollama.request import WireMessage
from lcrt.server.reports import report
from lcrt.server.services import Services


class _Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    name: str | None = None
    stream: bool | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    draft_files: dict[str, str] | None = None
    draft_quantize: str | None = None
    quantize: str | None = None
    quantization: str | None = None
    imatrix: str | None = None
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
    """Make a model, with a line for each step. All of it ends when the client leaves."""
    body = _DECODER.decode(await exchange.body.read())
    request = _request(body)
    check_request(request)
    if body.remote_host:
        raise NotSupported("remote models are not available in this version")

    def pull(name: ModelName) -> Iterator[Progress]:
        return services.registries.pull(name, PullRequest(keep_old=services.keep_old))

    making = create(services.store, request, pull, keep_old=services.keep_old)
    await report(exchange, making, stream=body.stream is not False)


def _request(body: _Request) -> CreateRequest:
    return CreateRequest(
        model=body.model or body.name or "",
        from_=body.from_ or "",
        files=body.files,
        adapters=body.adapters,
        draft_files=body.draft_files,
        draft_quantize=body.draft_quantize or "",
        quantize=body.quantize or body.quantization or "",
        imatrix=body.imatrix or "",
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
