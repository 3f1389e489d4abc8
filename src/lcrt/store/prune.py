"""Removal of what no model needs, when the server starts."""

import logging
from collections.abc import Container
from pathlib import Path

from lcrt.store.blobs import Blobs
from lcrt.store.digest import digest_of_file_name
from lcrt.store.manifest import Manifests

_LOG = logging.getLogger("lcrt.store")

GRACE = 3600.0
"""Seconds for which a file that nobody refers to is kept: it may belong to an upload or a download."""


def prune(manifests: Manifests, blobs: Blobs, held: Container[str], now: float) -> int:
    """Delete unreferenced blobs, leftovers and empty directories older than GRACE; returns how many files went.

    Nothing is deleted while any manifest cannot be read: what it refers to is unknown.
    """
    models, errors = manifests.read_all()
    if errors:
        _LOG.warning("not pruning: %s", errors[0].message)
        return 0
    needed = frozenset().union(*(model.digests for model in models))
    n_removed = 0
    for path in _files(blobs.directory):
        digest = digest_of_file_name(path.name)
        if digest is not None and (digest in needed or digest in held):
            continue
        n_removed += _remove_old(path, now)
    n_removed += sum(_remove_old(path, now) for path in manifests.leftovers())
    manifests.remove_empty_directories()
    return n_removed


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []


def _remove_old(path: Path, now: float) -> bool:
    try:
        if now - path.stat().st_mtime <= GRACE:
            return False
        path.unlink()
    except OSError as error:
        _LOG.warning("cannot prune %s: %s", path, error.strerror)
        return False
    return True
