"""What the daemon says about itself, and the cloud that it has not."""

import msgspec

from lcrt.errors import NotSupported
from lcrt.server.exchange import JSON, TEXT, Exchange
from lcrt.server.services import COMPATIBLE_VERSION, Services


async def root(_services: Services, exchange: Exchange) -> None:
    """Clients look here to see whether anybody is home, and some for this very text."""
    await exchange.reply(200, b"Ollama is running", TEXT)


async def version(services: Services, exchange: Exchange) -> None:
    """Name the API's version, which clients compare, and our own."""
    body = msgspec.json.encode({"version": COMPATIBLE_VERSION, "lcrt": services.version})
    await exchange.reply(200, body, JSON)


async def status(_services: Services, exchange: Exchange) -> None:
    """Say that there is no cloud."""
    await exchange.reply(200, b'{"cloud":{"disabled":true,"source":"config"}}', JSON)


async def me(_services: Services, exchange: Exchange) -> None:
    """Nobody is signed in."""
    await exchange.reply(401, b'{"error":"unauthorized"}', JSON)


async def sign_out(_services: Services, exchange: Exchange) -> None:
    """Nobody is signed in."""
    await exchange.reply(401, b'{"error":"you are not currently signed in"}', JSON)


async def cloud(_services: Services, _exchange: Exchange) -> None:
    """Refuse what only a cloud can do."""
    raise NotSupported("cloud features are not available")
