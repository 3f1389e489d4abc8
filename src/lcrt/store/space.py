"""Where the bytes of a store are."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lcrt.store.digest import digest_of_file_name
from lcrt.store.prune import digest_of_part
from lcrt.store.store import Store

_BLOCK = 512


class Share(msgspec.Struct, frozen=True):
    """One model: all its bytes, those that no other model has, and those that lie elsewhere."""

    name: str
    size: int
    own: int
    elsewhere: int


class Space(msgspec.Struct, frozen=True):
    """Bytes on disk by what they are for. ``shares`` count each model alone, the rest nothing twice."""

    shares: tuple[Share, ...]
    models: int
    unreferenced: int
    partial: int
    aside: int
    elsewhere: int

    @property
    def total(self) -> int:
        """What the store takes on its disk."""
        return self.models + self.unreferenced + self.partial + self.aside


def space(store: Store) -> Space:
    """Measure a store."""
    models = store.models()
    users = Counter(digest for model in models for digest in model.digests)
    sizes, elsewhere = _blobs(store)
    shares = [
        Share(
            model.name.short,
            sum(sizes.get(digest, 0) + elsewhere.get(digest, 0) for digest in model.digests),
            sum(sizes.get(digest, 0) for digest in model.digests if users[digest] == 1),
            sum(elsewhere.get(digest, 0) for digest in model.digests),
        )
        for model in models
    ]
    needed = sum(size for digest, size in sizes.items() if digest in users)
    others = [path for path in _files(store.blobs.directory) if digest_of_file_name(path.name) is None]
    parts = [path for path in others if digest_of_part(path.name)]
    return Space(
        shares=tuple(sorted(shares, key=lambda share: (-share.size, share.name))),
        models=needed,
        unreferenced=sum(sizes.values()) - needed + _on_disk(set(others) - set(parts)),
        partial=_on_disk(parts),
        aside=_on_disk(_files(store.aside)),
        elsewhere=sum(elsewhere.values()),
    )


def _blobs(store: Store) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes of blobs that are the store's own, and of those that are a person's own file."""
    links = store.links.records()
    own: dict[str, int] = {}
    elsewhere: dict[str, int] = {}
    for path in _files(store.blobs.directory):
        digest = digest_of_file_name(path.name)
        if digest is not None:
            sizes = elsewhere if path.is_symlink() or digest in links else own
            sizes[digest] = _size(path)
    return own, elsewhere


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _on_disk(paths: Iterable[Path]) -> int:
    """Count blocks: files that are downloaded in parts have holes."""
    return sum(os.lstat(path).st_blocks * _BLOCK for path in paths)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir()] if folder.is_dir() else []
