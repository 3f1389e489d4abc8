"""POST /api/pull."""

from lcrt.errors import InvalidRequest
from lcrt.registry.options import PullRequest
from lcrt.server.decode import Decoder
from lcrt.server.exchange import Exchange
from lcrt.server.inference import parse_name
from lcrt.server.ollama.models import NameRequest
from lcrt.server.reports import report
from lcrt.server.services import Services


class _Request(NameRequest, kw_only=True, forbid_unknown_fields=True):
    """``limit_rate``, in bytes per second, and ``offline`` are our own."""

    limit_rate: int | None = None
    offline: bool | None = None


_DECODER = Decoder(_Request)


async def pull(services: Services, exchange: Exchange) -> None:
    """Fetch a model, with a line for each step."""
    body = _DECODER.decode(await exchange.body.read())
    try:
        name = parse_name(body.text)
    except InvalidRequest as error:
        raise InvalidRequest("invalid model name") from error
    request = PullRequest(
        insecure=bool(body.insecure),
        offline=bool(body.offline),
        limit_rate=max(body.limit_rate or 0, 0),
        keep_old=services.keep_old,
    )
    await report(exchange, services.registries.pull(name, request), stream=body.stream is not False)
