"""Endpoints of later versions: today they check requests, and say what is missing."""

import msgspec

from lcrt.errors import InvalidRequest, NotSupported
from lcrt.server import inference
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.openai.wire import EMPTY, read_effort
from lcrt.server.services import Services

_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
_FORMATS = ("", "float", "base64")


class _EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    input: object = None
    dimensions: int | None = None
    encoding_format: str | None = None


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    effort: str | None = None


class _ResponsesRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    reasoning: _Reasoning | None = None
    tools: tuple[msgspec.Raw, ...] | None = None


_EMBEDDINGS_DECODER = Decoder(_EmbeddingsRequest, EMPTY)
_RESPONSES_DECODER = Decoder(_ResponsesRequest, EMPTY)


async def embeddings(services: Services, exchange: Exchange) -> None:
    """Check a request for vectors."""
    request = _EMBEDDINGS_DECODER.decode(await exchange.body.read())
    encoding = request.encoding_format or ""
    if encoding.lower() not in _FORMATS:
        raise InvalidRequest(
            f"Invalid value for 'encoding_format' = {encoding}. Supported values: ['float', 'base64']."
        )
    if request.input is None or request.input == []:
        raise InvalidRequest("invalid input")
    texts = request.input if isinstance(request.input, list) else [request.input]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("invalid input type")
    name = request.model or ""
    model = await inference.find_model(services, name, f'model "{name}" not found, try pulling it first')
    if "embedding" not in model.capabilities:
        raise NotSupported(_NO_EMBEDDINGS)
    raise NotSupported("embeddings are not available in this version")


async def responses(services: Services, exchange: Exchange) -> None:
    """Check a request of the newer chat endpoint."""
    request = _RESPONSES_DECODER.decode(await exchange.body.read())
    think = read_effort(request.reasoning.effort if request.reasoning else None)
    name = request.model or ""
    model = await inference.find_model(services, name)
    inference.check_think(name, model, think)
    inference.check_can(name, model, "chat", ("tools",) if request.tools else ())
    raise NotSupported("the responses endpoint is not available in this version, use /v1/chat/completions")


async def transcriptions(_services: Services, _exchange: Exchange) -> None:
    """Refuse speech."""
    raise NotSupported("audio transcription is not available in this version")
