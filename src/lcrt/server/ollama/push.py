"""POST /api/push."""

from collections.abc import Iterator

from lcrt.errors import InvalidRequest, NotFound
from lcrt.registry.progress import Progress
from lcrt.server.exchange import Exchange
from lcrt.server.inference import parse_name
from lcrt.server.ollama.models import NAME_DECODER
from lcrt.server.reports import report
from lcrt.server.services import Services


async def push(services: Services, exchange: Exchange) -> None:
    """Give a model to a registry, with a line for each step."""
    request = NAME_DECODER.decode(await exchange.body.read())
    if not request.text:
        raise InvalidRequest("model is required")
    try:
        name = parse_name(request.text)
    except InvalidRequest:
        steps = _unqualified(request.text)
    else:
        steps = services.registries.push(name, insecure=bool(request.insecure))
    await report(exchange, steps, stream=request.stream is not False)


def _unqualified(text: str) -> Iterator[Progress]:
    """What is no name is told like a model that is missing, as clients know it."""
    yield Progress("retrieving manifest")
    yield Progress("couldn't retrieve manifest")
    raise NotFound(f"unqualified name: registry.ollama.ai/library/{text}:latest")
