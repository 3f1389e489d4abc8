"""Endpoints of later versions: today they check requests, and say what is missing."""

import msgspec

from lcrt.errors import NotSupported
from lcrt.server import inference
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.openai.wire import EMPTY, read_effort
from lcrt.server.services import Services


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    effort: str | None = None


class _ResponsesRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    reasoning: _Reasoning | None = None
    tools: tuple[msgspec.Raw, ...] | None = None


_RESPONSES_DECODER = Decoder(_ResponsesRequest, EMPTY)


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
