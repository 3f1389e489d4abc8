"""Where a model lies on the network."""

from urllib.parse import urlsplit

import msgspec

from lcrt.core.name import ModelName
from lcrt.registry.options import Mirrors

_PORTS = {"http": 80, "https": 443}


class Remote(msgspec.Struct, frozen=True):
    """A repository of a registry: ``base`` is the address without trailing slash, ``repository`` follows ``/v2/``."""

    base: str
    repository: str
    tag: str

    @property
    def manifest(self) -> str:
        """The address of the manifest."""
        return f"{self._root}/manifests/{self.tag}"

    def blob(self, digest: str) -> str:
        """The address of a blob."""
        return f"{self._root}/blobs/{digest}"

    @property
    def uploads(self) -> str:
        """The address where uploads begin."""
        return f"{self._root}/blobs/uploads/"

    @property
    def _root(self) -> str:
        return f"{self.base}/v2/{self.repository}"


def origin(name: ModelName, *, insecure: bool) -> Remote:
    """The place that the name itself says; ``insecure`` means without TLS."""
    scheme = "http" if insecure else "https"
    return Remote(f"{scheme}://{name.host}", f"{name.namespace}/{name.model}", name.tag)


def remotes(name: ModelName, mirrors: Mirrors, *, insecure: bool) -> tuple[Remote, ...]:
    """Every place to ask, in this order: the mirrors of the host, then the host itself."""
    own = origin(name, insecure=insecure)
    found = (msgspec.structs.replace(own, base=base) for host, base in mirrors if host == name.host.lower())
    return (*found, own)


def place(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address: what may share secrets."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme, 0)


def host_of(url: str) -> str:
    """Host and port of an address as people write it, without a port that goes without saying."""
    scheme, host, port = place(url)
    shown = f"[{host}]" if ":" in host else host
    return shown if port == _PORTS.get(scheme) else f"{shown}:{port}"
