"""HEAD and POST /api/blobs/<digest>: files of models to be made, straight to disk."""

import asyncio

from lcrt.errors import NotFound
from lcrt.server.exchange import Exchange
from lcrt.server.services import Services
from lcrt.store.blobs import BlobWriter, check_digest
from lcrt.store.digest import parse_digest

_WRITE_SIZE = 4 << 20


async def probe(services: Services, exchange: Exchange) -> None:
    """Say whether the blob is there."""
    if not await asyncio.to_thread(services.store.has_blob, parse_digest(exchange.param)):
        raise NotFound(f"blob {exchange.param} not found")
    await exchange.reply(200)


async def upload(services: Services, exchange: Exchange) -> None:
    """Store what the client sends; it must be what its digest says."""
    if await asyncio.to_thread(services.store.has_blob, parse_digest(exchange.param)):
        await exchange.body.discard()
        await exchange.reply(200)
        return
    with services.store.blobs.writer() as writer:
        await _receive(exchange, writer)
        await asyncio.to_thread(services.store.keep_blob, writer)
        check_digest(exchange.param, writer.digest)
    await exchange.reply(201)


async def _receive(exchange: Exchange, writer: BlobWriter) -> None:
    """Write on another thread, in large pieces, so that nobody's answer waits for the disk."""
    parts: list[bytes] = []
    size = 0
    async for part in exchange.body.chunks():
        parts.append(part)
        size += len(part)
        if size >= _WRITE_SIZE:
            await asyncio.to_thread(_write, writer, parts)
            parts, size = [], 0
    await asyncio.to_thread(_write, writer, parts)


def _write(writer: BlobWriter, parts: list[bytes]) -> None:
    for part in parts:
        writer.write(part)
