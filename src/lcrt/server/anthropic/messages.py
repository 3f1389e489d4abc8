"""POST /v1/messages: comes in a later version; today requests are checked."""

import msgspec

from lcrt.errors import InvalidRequest, NotSupported
from lcrt.server import inference
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.services import Services


class _MessagesRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    max_tokens: int | None = None
    messages: tuple[msgspec.Raw, ...] | None = None
    tools: tuple[msgspec.Raw, ...] | None = None


_DECODER = Decoder(_MessagesRequest, "EOF")


async def messages(services: Services, exchange: Exchange) -> None:
    """Check the request."""
    request = _DECODER.decode(await exchange.body.read())
    if not request.model:
        raise InvalidRequest("model is required")
    if not request.max_tokens or request.max_tokens < 0:
        raise InvalidRequest("max_tokens is required and must be positive")
    if not request.messages:
        raise InvalidRequest("messages is required")
    model = await inference.find_model(services, request.model)
    inference.check_can(request.model, model, "chat", ("tools",) if request.tools else ())
    raise NotSupported("the messages endpoint is not available in this version, use /v1/chat/completions")
