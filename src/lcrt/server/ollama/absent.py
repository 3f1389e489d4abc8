"""Endpoints of later versions: today they check requests, and say what is missing."""

import msgspec

from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest, LcrtError, NotFound, NotSupported
from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, NDJSON, Exchange
from lcrt.server.inference import Plan, parse_name
from lcrt.server.ollama.models import NAME_DECODER
from lcrt.server.ollama.request import read_keep_alive
from lcrt.server.options import merge
from lcrt.server.services import Services

NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
"""What clients know as the answer for a model that only completes."""


class _EmbedRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    input: object = None
    prompt: str | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    keep_alive: object = None
    options: dict[str, object] | None = None


_EMBED_DECODER = Decoder(_EmbedRequest)


async def embed(services: Services, exchange: Exchange) -> None:
    """Check a request for vectors; one without input only loads the model."""
    request = _EMBED_DECODER.decode(await exchange.body.read())
    keep_alive = read_keep_alive(request.keep_alive)
    name = request.model or ""
    if not name:
        raise NotFound("model '' not found")
    parse_name(name)
    has_input = check_input(request.input)
    model = await _find(services, name)
    if has_input:
        refuse_embedding(model)
    options = merge(model.parameters, request.options or {})
    await inference.load(services, exchange, Plan(name, model, InferenceRequest(options=options), keep_alive))
    await exchange.reply(200, msgspec.json.encode({"model": name, "embeddings": []}), JSON)


async def embeddings(services: Services, exchange: Exchange) -> None:
    """Check a request for one vector, the old way."""
    request = _EMBED_DECODER.decode(await exchange.body.read())
    read_keep_alive(request.keep_alive)
    model = await _find(services, request.model or "")
    if request.prompt and "embedding" not in model.capabilities:
        raise LcrtError(NO_EMBEDDINGS)
    if request.prompt:
        refuse_embedding(model)
    await exchange.reply(200, b'{"embedding":[]}', JSON)


def check_input(value: object) -> bool:
    """Tell whether there is anything to embed; InvalidRequest for what is no text."""
    if value is None or value in ("", []):
        return False
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("invalid input type")
    return True


def refuse_embedding(model: Description) -> None:
    """Say why there is no vector."""
    if "embedding" not in model.capabilities:
        raise NotSupported(NO_EMBEDDINGS)
    raise NotSupported("embeddings are not available in this version")


async def _find(services: Services, name: str) -> Description:
    return await inference.find_model(services, name, f'model "{name}" not found, try pulling it first')


async def pull(_services: Services, exchange: Exchange) -> None:
    """Check a request for a model of a registry."""
    request = NAME_DECODER.decode(await exchange.body.read())
    try:
        parse_name(request.text)
    except InvalidRequest as error:
        raise InvalidRequest("invalid model name") from error
    raise NotSupported("pulling models is not available in this version")


async def push(services: Services, exchange: Exchange) -> None:
    """Check a request to give a model to a registry; the model is looked for before the answer."""
    request = NAME_DECODER.decode(await exchange.body.read())
    if not request.text:
        raise InvalidRequest("model is required")
    error = await _push_error(services, request.text)
    if request.stream is False:
        raise error
    await exchange.start(NDJSON)
    await exchange.write(b'{"status":"retrieving manifest"}\n')
    if isinstance(error, NotFound):
        await exchange.write(b'{"status":"couldn\'t retrieve manifest"}\n')
    raise error


async def _push_error(services: Services, text: str) -> LcrtError:
    try:
        name = parse_name(text)
    except InvalidRequest:
        return NotFound(f"unqualified name: registry.ollama.ai/library/{text}:latest")
    if await services.find(name) is None:
        return NotFound(f"{name.short}: no such file or directory")
    return NotSupported("pushing models is not available in this version")
