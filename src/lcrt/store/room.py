"""Room on the disk, looked for before anything large is written."""

import os
from pathlib import Path

from lcrt.errors import StoreError
from lcrt.units import human_bytes

MARGIN = 1 << 20
"""Bytes left free for manifests and small layers."""


def check_room(folder: Path, size: int, what: str = "are needed", *, margin: int = 0) -> None:
    """Refuse to begin to write ``size`` bytes where the disk cannot hold them and some more.

    ``what`` is said of them; ``margin`` counts where it is more than the usual one. A folder that does not exist yet
    counts as the one that it will be in.
    """
    facts = os.statvfs(next(each for each in (folder, *folder.parents) if each.exists()))
    free = facts.f_bavail * facts.f_frsize
    if size + max(margin, MARGIN) > free:
        raise StoreError(
            f"not enough space: {human_bytes(size)} {what}, {human_bytes(free)} are free in {folder}",
            "remove models with `lcrt rm`, or let LCRT_MODELS name a folder on another disk",
        )
