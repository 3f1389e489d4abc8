"""Room on the disk, looked for before anything is fetched."""

from collections.abc import Iterable

from lcrt.registry.partial import allocated
from lcrt.store.blobs import Blobs
from lcrt.store.room import check_room

_MARGIN = 16 << 20
"""Bytes left free for records and manifests."""


def check_space(blobs: Blobs, missing: Iterable[tuple[str, int]], to_come: int = 0) -> None:
    """Refuse to begin what cannot end well; ``missing`` has digests and sizes, ``to_come`` bytes are made of it."""
    needed = to_come + sum(max(size - allocated(blobs.partial(digest)), 0) for digest, size in missing)
    if needed:
        check_room(blobs.directory, needed, "are to come", margin=_MARGIN)
