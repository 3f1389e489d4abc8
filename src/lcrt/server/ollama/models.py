"""Models on disk and in memory: tags, show, copy, delete, ps."""

import asyncio
import re
import time
from collections.abc import Sequence

import msgspec

from lcrt.core.model import CachedTokens, DraftedTokens, LoadedModel, ModelSpec
from lcrt.core.name import ModelName, ModelRef
from lcrt.errors import InvalidRequest, NotFound
from lcrt.modelfile.describe import Description, Details
from lcrt.modelfile.show import TensorRow, model_info, modelfile_text, parameters_text, shown_template, tensors
from lcrt.server import inference
from lcrt.server.clock import far_future, local_time
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, Exchange
from lcrt.server.services import Services, supported

_BLOCK = re.compile(r"blk\.(\d+)\.")
_COPILOT = "GitHubCopilotChat/"


class NameRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A body that names a model, by either of two keys."""

    model: str | None = None
    name: str | None = None
    stream: bool | None = None
    insecure: bool | None = None

    @property
    def text(self) -> str:
        """The name as sent."""
        return self.model or self.name or ""


class _ShowRequest(NameRequest, kw_only=True, forbid_unknown_fields=True):
    system: str | None = None
    template: str | None = None
    verbose: bool | None = None
    options: dict[str, object] | None = None


class _CopyRequest(msgspec.Struct, forbid_unknown_fields=True):
    source: str | None = None
    destination: str | None = None


class _Details(msgspec.Struct, frozen=True):
    parent_model: str
    format: str
    family: str
    families: Sequence[str] | None
    parameter_size: str
    quantization_level: str


class _ListedDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    parent_model: str
    format: str
    family: str
    families: Sequence[str] | None
    parameter_size: str
    quantization_level: str
    context_length: int = 0
    embedding_length: int = 0


class _Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: _ListedDetails
    capabilities: tuple[str, ...] = ()


class _Process(msgspec.Struct, frozen=True):
    name: str
    model: str
    size: int
    digest: str
    details: _Details
    expires_at: str
    size_vram: int
    context_length: int
    cached_tokens: CachedTokens
    drafted_tokens: DraftedTokens


class _ShownMessage(msgspec.Struct, frozen=True):
    role: str
    content: str


class _Shown(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    license: str = ""
    modelfile: str
    parameters: str = ""
    template: str = ""
    system: str = ""
    details: _Details
    messages: tuple[_ShownMessage, ...] = ()
    model_info: dict[str, object]
    projector_info: dict[str, object] | None = None
    tensors: list[TensorRow] = []
    capabilities: tuple[str, ...] = ()
    modified_at: str
    requires: str = ""


NAME_DECODER = Decoder(NameRequest)
_SHOW_DECODER = Decoder(_ShowRequest)
_COPY_DECODER = Decoder(_CopyRequest)


async def tags(services: Services, exchange: Exchange) -> None:
    """List the models on disk."""
    body = await asyncio.to_thread(_tags, services)
    await exchange.reply(200, body, JSON)


def _tags(services: Services) -> bytes:
    return msgspec.json.encode({"models": [_listed(model) for model in services.catalog.models()]})


def _listed(model: Description) -> _Listed:
    name = model.name.short
    return _Listed(
        name,
        name,
        local_time(model.modified),
        model.size,
        model.digest,
        msgspec.convert(msgspec.structs.asdict(model.details), _ListedDetails),
        supported(model.capabilities),
    )


async def ps(services: Services, exchange: Exchange) -> None:
    """List the models in memory, the one that stays longest first."""
    now = time.time()
    rows = sorted(services.models.loaded(), key=lambda row: -(row.expires_at or far_future(now)))
    body = msgspec.json.encode({"models": [_process(row, now) for row in rows]})
    await exchange.reply(200, body, JSON)


def _process(row: LoadedModel, now: float) -> _Process:
    name = row.model.name
    return _Process(
        name=name,
        model=name,
        size=row.info.size if row.info else row.model.size,
        digest=row.model.digest,
        details=_spec_details(row.model),
        expires_at=local_time(row.expires_at or far_future(now)),
        size_vram=row.info.size_device if row.info else 0,
        context_length=row.info.n_ctx if row.info else 0,
        cached_tokens=row.cached,
        drafted_tokens=row.drafted,
    )


def _spec_details(spec: ModelSpec) -> _Details:
    return _Details("", spec.format, spec.family, spec.families, spec.parameter_size, spec.quantization_level)


async def show(services: Services, exchange: Exchange) -> None:
    """Tell everything about a model."""
    request = _SHOW_DECODER.decode(await exchange.body.read())
    name = inference.parse_name(request.text)
    model = await inference.find_model(services, request.text, f"model '{name.short}' not found")
    is_copilot = exchange.header(b"user-agent").startswith(_COPILOT)
    body = await asyncio.to_thread(_show, services, model, request, is_copilot)
    await exchange.reply(200, body, JSON)


def _show(services: Services, model: Description, request: _ShowRequest, is_copilot: bool) -> bytes:
    verbose = bool(request.verbose)
    header = services.catalog.header(model.model) if model.model and model.details.format == "gguf" else None
    info = model_info(header, verbose=verbose) if header else {}
    if is_copilot:
        info["general.basename"] = request.text
    projector = services.catalog.header(model.projectors[0]) if model.projectors else None
    shown = _Shown(
        license="\n".join(model.license),
        modelfile=modelfile_text(model, request.system or "", request.options),
        parameters=parameters_text(model.parameters),
        template=shown_template(model),
        system=model.system,
        details=_details(model.details),
        messages=tuple(_ShownMessage(message.role, message.content) for message in model.messages),
        model_info=info,
        projector_info=model_info(projector, verbose=verbose) if projector else None,
        tensors=sorted(tensors(header), key=_tensor_order) if header else [],
        capabilities=supported(model.capabilities),
        modified_at=local_time(model.modified),
        requires=model.config.requires or "",
    )
    return msgspec.json.encode(shown)


def _tensor_order(tensor: TensorRow) -> tuple[int, str]:
    """Order by block, what is in no block first."""
    match = _BLOCK.match(tensor.name)
    return (int(match[1]) if match else -1, tensor.name)


def _details(details: Details) -> _Details:
    return msgspec.convert(msgspec.structs.asdict(details), _Details)


async def copy(services: Services, exchange: Exchange) -> None:
    """Give a model a second name."""
    request = _COPY_DECODER.decode(await exchange.body.read())
    source = _parse(request.source or "", "source")
    destination = _parse(request.destination or "", "destination")
    try:
        await asyncio.to_thread(services.store.copy, source, destination)
    except NotFound as error:
        raise NotFound(f'model "{request.source}" not found') from error
    await exchange.reply(200)


async def delete(services: Services, exchange: Exchange) -> None:
    """Delete a model."""
    request = NAME_DECODER.decode(await exchange.body.read())
    if not request.text:
        raise InvalidRequest("model is required")
    name = _parse(request.text, "name")
    try:
        await asyncio.to_thread(services.store.delete, name)
    except NotFound as error:
        raise NotFound(f"model '{request.text}' not found") from error
    await exchange.reply(200)


def _parse(text: str, what: str) -> ModelName:
    try:
        return ModelRef.parse(text).name
    except ValueError as error:
        raise InvalidRequest(f'{what} "{text}" is invalid') from error
