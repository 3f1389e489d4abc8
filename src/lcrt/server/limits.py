"""What one client may take: bytes, connections and time."""

import resource

import msgspec

_RESERVED_FILES = 128
_MAX_CONNECTIONS = 4096


class Limits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds.

    ``max_body`` bounds a JSON body (images travel inside it as base64); blobs have no bound.
    ``header_timeout`` runs from the first byte of a request to the end of its headers,
    ``body_timeout`` and ``write_timeout`` between two bytes that arrive or leave,
    ``idle_timeout`` while a connection waits for its next request.
    """

    max_body: int = 128 << 20
    max_header: int = 32 << 10
    max_header_count: int = 100
    max_connections: int = _MAX_CONNECTIONS
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    write_timeout: float = 300.0
    idle_timeout: float = 120.0


def fit_to_files(limits: Limits) -> Limits:
    """Lower the number of connections to what the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    room = max(soft - _RESERVED_FILES, 16)
    return msgspec.structs.replace(limits, max_connections=min(limits.max_connections, room))
