"""The ASGI application: guard, route, answer, log one line."""

import logging
import time
from typing import Any

from lcrt.errors import Cancelled, LcrtError
from lcrt.server import errors
from lcrt.server.body import Receive
from lcrt.server.errors import Dialect
from lcrt.server.exchange import JSON, Exchange, Send
from lcrt.server.limits import Limits
from lcrt.server.router import Route, Router
from lcrt.server.routes import TABLE
from lcrt.server.security import Guard
from lcrt.server.services import Services

_LOG = logging.getLogger("lcrt.server")


class App:
    """Answers every request; nothing that a handler raises leaves it."""

    def __init__(self, services: Services, guard: Guard, limits: Limits) -> None:
        self._services = services
        self._guard = guard
        self._limits = limits
        self._router = Router(TABLE)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI asks."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._limits)
        try:
            await self._answer(exchange)
        finally:
            _log(exchange)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            if await self._guard.admit(exchange) and (route := await self._router.find(exchange)):
                await self._handle(route, exchange)
        except Cancelled as error:
            exchange.status = exchange.status or errors.status_of(error)

    async def _handle(self, route: Route, exchange: Exchange) -> None:
        if route.dialect is not Dialect.OLLAMA and exchange.header(b"content-encoding").lower() == "zstd":
            exchange.body.unpack = _unzstd
        try:
            await route.handler(self._services, exchange)
        except Cancelled:
            raise
        except LcrtError as error:
            await _fail(exchange, route.dialect, errors.status_of(error), str(error))
        except Exception:  # noqa: BLE001 -- the door: no request takes the daemon down
            _LOG.exception("%s %s failed", exchange.method, exchange.path)
            await _fail(exchange, route.dialect, 500, errors.INTERNAL)


def _unzstd(data: bytes) -> bytes:
    from lcrt.server.zstd import unpack  # few clients compress, and the library is not small

    return unpack(data)


async def _fail(exchange: Exchange, dialect: Dialect, status: int, message: str) -> None:
    if not exchange.status:
        await exchange.reply(status, errors.error_body(dialect, status, message), JSON)
    elif not exchange.ended:
        await exchange.end(errors.error_in_stream(dialect, exchange.content_type, status, message))


def _log(exchange: Exchange) -> None:
    took = time.monotonic() - exchange.started_at
    outcome = exchange.outcome
    if outcome is None:
        _LOG.info("%s %s %d in %.1f ms", exchange.method, exchange.path, exchange.status, took * 1e3)
        return
    _LOG.info(
        "%s %s %d model=%s prompt=%d cached=%d generated=%d "
        "load=%.3fs prefill=%.3fs decode=%.3fs total=%.3fs finish=%s",
        exchange.method,
        exchange.path,
        exchange.status,
        outcome.model,
        outcome.n_prompt,
        outcome.n_cached,
        outcome.n_generated,
        outcome.load,
        outcome.prefill,
        outcome.decode,
        took,
        outcome.finish,
    )
