"""Removal of what no model needs. The caller has the store's lock, so nobody writes manifests meanwhile."""

import logging
import math
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lcrt.store.blobs import TEMPORARY, Blobs
from lcrt.store.digest import digest_of_file_name
from lcrt.store.holds import GRACE
from lcrt.store.locks import is_abandoned
from lcrt.store.manifest import Manifests

_LOG = logging.getLogger("lcrt.store")
_PART = re.compile(r"sha256-([0-9a-f]{64})-partial(-\d+)?")

PARTIAL_GRACE = 7 * 24 * 3600.0
"""Seconds for which an interrupted download can be taken up again."""


class Ages(msgspec.Struct, frozen=True):
    """How old, in seconds, a file must be to go: a blob or unknown file, a download that broke off."""

    blob: float = GRACE
    partial: float = PARTIAL_GRACE


class Collected(msgspec.Struct, frozen=True):
    """What went: how many files and bytes, and which whole blobs; or why nothing may go."""

    n_files: int = 0
    size: int = 0
    refusal: str = ""
    digests: tuple[str, ...] = ()


def collect(manifests: Manifests, blobs: Blobs, held: frozenset[str], ages: Ages, now: float) -> Collected:
    """Delete unreferenced blobs, leftovers and empty directories that are old enough.

    Nothing is deleted while any manifest cannot be read: what it refers to is unknown. What a living
    process holds stays, with the parts of it that came so far.
    """
    models, errors = manifests.read_all()
    if errors:
        _LOG.warning("not pruning: %s", errors[0].message)
        return Collected(refusal=str(errors[0]))
    needed = frozenset().union(*(model.digests for model in models))
    sizes = [0 for path in manifests.leftovers() if _remove(path)]
    digests: list[str] = []
    files = _files(blobs.directory)
    times = _last_writes(files)
    for path in files:
        if _may_go(path, needed, held) and now - times[digest_of_part(path.name) or path.name] > _age(path, ages):
            size, digest = path.lstat().st_size, digest_of_file_name(path.name)
            if _remove(path):
                sizes.append(size)
                digests += [digest] if digest else []
    manifests.remove_empty_directories()
    return Collected(len(sizes), sum(sizes), digests=tuple(digests))


def digest_of_part(name: str) -> str | None:
    """Read the digest out of the name of a part of a blob, or of such a part's record; None for other files."""
    match = _PART.fullmatch(name)
    return f"sha256:{match[1]}" if match else None


def _may_go(path: Path, needed: frozenset[str], held: frozenset[str]) -> bool:
    part, digest = digest_of_part(path.name), digest_of_file_name(path.name)
    if path.name.startswith(TEMPORARY):
        return is_abandoned(path)
    return part not in held and digest not in held and digest not in needed


def _age(path: Path, ages: Ages) -> float:
    if path.name.startswith(TEMPORARY):
        return -math.inf
    return ages.partial if digest_of_part(path.name) else ages.blob


def _last_writes(files: Iterable[Path]) -> dict[str, float]:
    """Note when each file was written, and for the parts of a download together when the last of them was."""
    times: dict[str, float] = {}
    for path in files:
        key = digest_of_part(path.name) or path.name
        times[key] = max(times.get(key, -math.inf), path.lstat().st_mtime)
    return times


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_file() or path.is_symlink()] if directory.is_dir() else []


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError as error:
        _LOG.warning("cannot prune %s: %s", path, error.strerror)
        return False
    return True
