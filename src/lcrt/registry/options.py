"""How the network is used. Nothing here imports the HTTP library."""

import msgspec

from lcrt.config.settings import Settings

PARTS = 8
"""Connections for one blob when nothing else is said."""

UPLOADS = 4
"""Blobs of one model that are given to a registry at once."""

Mirrors = tuple[tuple[str, str], ...]
"""Hosts, and the address that is asked in their place."""


class Options(msgspec.Struct, frozen=True):
    """Sizes in bytes, rates in bytes per second with 0 for no limit, times in seconds.

    ``stall``: a connection that brings nothing for so long is opened anew, and so is one that brings far less
    than the others for ``slow_window``. ``first_wait`` is the pause after
    a failure; it doubles up to the ``tries``-th failure in a row, which is final. ``part_size``: 0 lets the
    size of the blob decide. A push waits ``patience`` for another one of the same blob, which may be ending.
    """

    user_agent: str = "lcrt"
    parts: int = PARTS
    uploads: int = UPLOADS
    part_size: int = 0
    limit_rate: int = 0
    mirrors: Mirrors = ()
    offline: bool = False
    connect_timeout: float = 10.0
    stall: float = 30.0
    slow_window: float = 10.0
    first_wait: float = 1.0
    tries: int = 6
    patience: float = 5.0


def from_settings(settings: Settings, user_agent: str) -> Options:
    """Take over what the settings say."""
    return Options(
        user_agent=user_agent,
        parts=settings.pull_parts or PARTS,
        limit_rate=settings.limit_rate,
        mirrors=tuple((host, url) for host, _, url in (word.partition("=") for word in settings.registry_mirror)),
        offline=settings.offline,
    )


class PullRequest(msgspec.Struct, frozen=True):
    """How one pull is wished. ``limit_rate`` in bytes per second; ``keep_old``: blobs of a replaced model stay."""

    insecure: bool = False
    offline: bool = False
    limit_rate: int = 0
    keep_old: bool = False
