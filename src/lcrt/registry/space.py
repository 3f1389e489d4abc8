"""Room on the disk, looked for before anything is fetched."""

import os
from collections.abc import Iterable
from pathlib import Path

from lcrt.errors import LcrtError
from lcrt.registry.partial import allocated
from lcrt.store.blobs import Blobs
from lcrt.units import human_bytes

_MARGIN = 16 << 20
"""Bytes left free for records and manifests."""


def check_space(blobs: Blobs, missing: Iterable[tuple[str, int]]) -> None:
    """Refuse to begin what cannot end well; ``missing`` has digests and sizes."""
    needed = sum(max(size - allocated(blobs.partial(digest)), 0) for digest, size in missing)
    folder = _existing(blobs.directory)
    facts = os.statvfs(folder)
    free = facts.f_bavail * facts.f_frsize
    if needed and needed + _MARGIN > free:
        raise LcrtError(
            f"not enough space: {human_bytes(needed)} are to come, {human_bytes(free)} are free in {blobs.directory}",
            "remove models with `lcrt rm`, or let LCRT_MODELS name a folder on another disk",
        )


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
