"""Room on the disk, looked for before anything large is written."""

import os
from pathlib import Path

from lcrt.errors import StoreError
from lcrt.units import human_bytes

MARGIN = 1 << 20
"""Bytes left free for manifests and small layers."""


def check_room(folder: Path, size: int) -> None:
    """Refuse to begin to write what the disk cannot hold."""
    facts = os.statvfs(folder)
    free = facts.f_bavail * facts.f_frsize
    if size + MARGIN > free:
        raise StoreError(
            f"not enough space: the new file takes {human_bytes(size)}, {human_bytes(free)} are free in {folder}",
            "remove models with `lcrt rm`, or let LCRT_MODELS name a folder on another disk",
        )
