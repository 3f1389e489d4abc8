"""Where a daemon listens: ``[scheme://]host[:port][/path]``."""

import re
from typing import Self

import msgspec

DEFAULT_PORT = 11434
_DEFAULT_HOST = "127.0.0.1"
_SCHEME_PORTS = {"http": 80, "https": 443}
_ANY_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- recognised, not bound
_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")
_MAX_PORT = 65535


class Address(msgspec.Struct, frozen=True):
    """An address; ``path`` is a prefix without trailing slash, ``host`` is bare also for IPv6."""

    scheme: str = "http"
    host: str = _DEFAULT_HOST
    port: int = DEFAULT_PORT
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a person wrote; ValueError when it is no address."""
        before, mark, rest = text.rpartition("://")
        scheme = before.lower() or "http"
        if scheme not in _SCHEME_PORTS:
            raise ValueError(f"`{before}` is neither http nor https")
        place, slash, path = rest.partition("/")
        host, port = _split_port(place)
        if any(char.isspace() or char in "@?#" for char in host):
            raise ValueError(f"`{host}` is no host")
        default = _SCHEME_PORTS[scheme] if mark else DEFAULT_PORT
        if not host:
            host = "0.0.0.0" if port else _DEFAULT_HOST  # noqa: S104 -- a port alone means every interface
        return cls(scheme, host, _port(port, default), (slash + path).rstrip("/"))

    @property
    def for_client(self) -> Self:
        """The same with a host that one can connect to: every interface becomes loopback."""
        return type(self)(self.scheme, _ANY_HOSTS.get(self.host, self.host), self.port, self.path)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can be meant."""
        return _LOOPBACK.fullmatch(self.host.lower()) is not None

    @property
    def netloc(self) -> str:
        """Host and port as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL without trailing slash."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    def __str__(self) -> str:
        return self.url


def _split_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"`{place}` is no host")
        return host, rest.removeprefix(":")
    if place.count(":") > 1:
        return place, ""
    host, _, port = place.partition(":")
    return host, port


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or int(text) > _MAX_PORT:
        raise ValueError(f"`{text}` is no port")
    return int(text)
