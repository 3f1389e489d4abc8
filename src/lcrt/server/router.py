"""From method and path to a handler."""

import posixpath
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from lcrt.server.errors import Dialect
from lcrt.server.exchange import HTML, TEXT_PLAIN, Exchange

if TYPE_CHECKING:
    from lcrt.server.services import Services

Handler = Callable[["Services", Exchange], Awaitable[None]]

_REASONS = {301: "Moved Permanently", 307: "Temporary Redirect"}


class Route(msgspec.Struct, frozen=True):
    """What answers, and in which dialect it fails."""

    handler: Handler
    dialect: Dialect = Dialect.OLLAMA


Methods = Mapping[str, Route]


class Router:
    """A path that ends in ``/`` in the table matches everything below it; the rest becomes ``param``."""

    def __init__(self, table: Mapping[str, Methods]) -> None:
        self._exact = {path: methods for path, methods in table.items() if path == "/" or not path.endswith("/")}
        self._below = tuple((path, methods) for path, methods in table.items() if path not in self._exact)

    async def find(self, exchange: Exchange) -> Route | None:
        """Choose the route; None when the request has been answered here: not found, not allowed, moved."""
        clean = _unclean(exchange.path)
        methods, exchange.param = self._match(exchange.path)
        shorter = exchange.path.removesuffix("/")
        if clean is not None:
            await _redirect(exchange, clean, 307)
        elif methods is not None and exchange.method in methods:
            return methods[exchange.method]
        elif methods is not None:
            await exchange.reply(405, b"405 method not allowed", TEXT_PLAIN)
        elif exchange.path != shorter and exchange.method in (self._match(shorter)[0] or {}):
            await _redirect(exchange, shorter, 301 if exchange.method == "GET" else 307)
        else:
            await exchange.reply(404, b"404 page not found", TEXT_PLAIN)
        return None

    def _match(self, path: str) -> tuple[Methods | None, str]:
        if methods := self._exact.get(path):
            return methods, ""
        for prefix, methods in self._below:
            if path.startswith(prefix) and not path.endswith("/"):
                return methods, path[len(prefix) :]
        return None, ""


def _unclean(path: str) -> str | None:
    """The path without empty, ``.`` and ``..`` parts when it has some."""
    if "//" not in path and "/." not in path:
        return None
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    return clean if clean != path else None


async def _redirect(exchange: Exchange, path: str, status: int) -> None:
    quoted = _quote(path)
    location = quoted + (b"?" + exchange.query if exchange.query else b"")
    with_body = exchange.method in ("GET", "HEAD")
    text = b'<a href="%b">%b</a>.\n\n' % (_escape(location), _REASONS[status].encode()) if with_body else b""
    await exchange.reply(status, text, HTML if with_body else b"", ((b"location", location),))


def _quote(path: str) -> bytes:
    """Percent-encode what may not stand in a Location header."""
    safe = b"/:@-._~!$&'()*+,;="
    return b"".join(
        bytes((char,)) if char in safe or (chr(char).isalnum() and char < 128) else b"%%%02X" % char
        for char in path.encode("utf-8", "replace")
    )


def _escape(text: bytes) -> bytes:
    return text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b'"', b"&#34;")
