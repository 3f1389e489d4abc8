"""Who may talk to the daemon: the Host header against DNS rebinding, the Origin header for browsers."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from lcrt.server.exchange import Exchange, Header

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 -- recognised, not bound
_APP_ORIGINS = (
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
    "chrome-extension://*",
    "safari-extension://*",
    "moz-extension://*",
    "ms-browser-extension://*",
)
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
_STAINLESS = (
    "arch",
    "async",
    "custom-poll-interval",
    "helper-method",
    "lang",
    "os",
    "package-version",
    "poll-helper",
    "retry-count",
    "runtime",
    "runtime-version",
    "timeout",
)
_ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "User-Agent",
    "Accept",
    "X-Requested-With",
    "OpenAI-Beta",
    *(f"x-stainless-{name}" for name in _STAINLESS),
)
_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
    (b"access-control-allow-headers", ",".join(_ALLOWED_HEADERS).encode()),
    (b"access-control-max-age", b"43200"),
)
_PREFLIGHT_VARY = (
    (b"vary", b"Origin"),
    (b"vary", b"Access-Control-Request-Method"),
    (b"vary", b"Access-Control-Request-Headers"),
)


class Guard:
    """Checks every request before it is routed."""

    def __init__(self, origins: Sequence[str], *, loopback: bool) -> None:
        self._any_origin = "*" in origins
        self._origin = re.compile("|".join(_patterns(origins)), re.IGNORECASE)
        self._loopback = loopback
        self._own_name = socket.gethostname().lower()

    async def admit(self, exchange: Exchange) -> bool:
        """Let a request through; False when it has been answered here."""
        origin = exchange.header(b"origin")
        if origin and not _is_same_host(origin, exchange.header(b"host")):
            if not self._any_origin and not self._origin.fullmatch(origin):
                await exchange.reply(403)
                return False
            exchange.common_headers = self._cors(origin)
            if exchange.method == "OPTIONS":
                await exchange.reply(204, headers=(*_PREFLIGHT, *(() if self._any_origin else _PREFLIGHT_VARY[1:])))
                return False
        return not self._loopback or await self._admit_host(exchange)

    def _cors(self, origin: str) -> tuple[Header, ...]:
        if self._any_origin:
            return ((b"access-control-allow-origin", b"*"),)
        return ((b"access-control-allow-origin", origin.encode("latin-1")), _PREFLIGHT_VARY[0])

    async def _admit_host(self, exchange: Exchange) -> bool:
        host = _without_port(exchange.header(b"host"))
        if _is_own_address(host):
            return True
        if not self._is_local_name(host.lower()):
            await exchange.reply(403)
            return False
        if exchange.method == "OPTIONS":
            await exchange.reply(204)
            return False
        return True

    def _is_local_name(self, host: str) -> bool:
        return host in ("", "localhost", self._own_name) or host.endswith(_LOCAL_SUFFIXES)


def _patterns(origins: Sequence[str]) -> list[str]:
    local = [re.escape(f"{scheme}://{host}") + r"(?::[^/]*)?" for scheme in ("http", "https") for host in _LOCAL_HOSTS]
    wild = [re.escape(origin.strip()).replace(r"\*", ".*") for origin in (*_APP_ORIGINS, *origins) if origin.strip()]
    return local + wild


def _is_same_host(origin: str, host: str) -> bool:
    return bool(host) and origin in (f"http://{host}", f"https://{host}")


def _without_port(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host


def _is_own_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified or _can_bind(address)


def _can_bind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Only an address of this machine can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), 0))
    except OSError:
        return False
    return True
