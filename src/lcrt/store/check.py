"""Is every byte of a store what it should be? All digests, all references; bad ones are set aside on request."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.digest import digest_of_file_name, hex_part, parse_digest
from lcrt.store.failure import store_error
from lcrt.store.intake import Stamp, hash_file
from lcrt.store.manifest import Manifest, Unreadable
from lcrt.store.store import Store

Watch = Callable[[str, int, int], None]
"""Told a digest, and how many of its bytes were read of how many."""

_DIR_MODE = 0o755


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong, and the short names of the models that suffer from it."""

    text: str
    models: tuple[str, ...] = ()


class Findings(msgspec.Struct, frozen=True):
    """What a check saw; ``aside`` is where a repair put what was bad."""

    n_models: int
    n_blobs: int
    size: int
    problems: tuple[Problem, ...] = ()
    aside: tuple[Path, ...] = ()

    @property
    def again(self) -> tuple[str, ...]:
        """Name the models that must be pulled or made again."""
        return tuple(dict.fromkeys(name for problem in self.problems for name in problem.models))


class _Bad(msgspec.Struct, frozen=True):
    """A file that is not what it should be, as it was when it was read."""

    path: Path
    stamp: Stamp


def check(store: Store, *, repair: bool = False, watch: Watch | None = None) -> Findings:
    """Hash every blob and follow every reference; ``repair`` moves damaged files out of the way."""
    found = list(store.manifests.scan())
    models = [entry for entry in found if isinstance(entry, Manifest)]
    unreadable = [entry for entry in found if isinstance(entry, Unreadable)]
    problems = [Problem(str(entry.error)) for entry in unreadable]
    users = _users(models)
    blobs = _blobs(store)
    bad: list[_Bad] = []
    for digest, path in blobs.items():
        stamp = _stamp(path)
        if stamp is not None and not _is_good(path, digest, stamp.size, watch):
            bad.append(_Bad(path, stamp))
            problems.append(Problem(f"blob {digest} has other bytes than its name says", users.get(digest, ())))
    problems += [problem for model in models for problem in _references(model, blobs) if _is_still_there(store, model)]
    aside: tuple[Path, ...] = ()
    if repair:
        damaged = [entry.path for entry in unreadable if entry.path is not None]
        aside = tuple(_set_aside(store, [*bad, *_stamped(damaged)]))
    size = sum(stamp.size for stamp in map(_stamp, blobs.values()) if stamp is not None)
    return Findings(len(models), len(blobs), size, tuple(problems), aside)


def _users(models: Iterable[Manifest]) -> dict[str, tuple[str, ...]]:
    users: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for model in models:
        for digest in model.digests:
            users[digest] += (model.name.short,)
    return users


def _blobs(store: Store) -> dict[str, Path]:
    folder = store.blobs.directory
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    named = ((digest_of_file_name(path.name), path) for path in files)
    return {digest: path for digest, path in named if digest is not None and path.is_file()}


def _stamp(path: Path) -> Stamp | None:
    """Take a file's stamp; None when it has gone: others may work in the store meanwhile."""
    try:
        return Stamp.of(path.stat())
    except FileNotFoundError:
        return None


def _is_good(path: Path, digest: str, size: int, watch: Watch | None) -> bool:
    """Tell whether a blob is what its name says, or has gone."""
    try:
        return hash_file(path, lambda n_read: watch(digest, n_read, size) if watch else None) == digest
    except InvalidRequest:
        if _stamp(path) is None:
            return True
        raise


def _references(model: Manifest, blobs: dict[str, Path]) -> Iterator[Problem]:
    """Find layers without their blob, or with one of another size."""
    name = model.name.short
    for layer in (*model.layers, *((model.config,) if model.config else ())):
        path = blobs.get(parse_digest(layer.digest))
        stamp = _stamp(path) if path is not None else None
        if stamp is None:
            yield Problem(f"{name} needs blob {layer.digest}, which is missing", (name,))
        elif stamp.size != layer.size:
            yield Problem(f"{name} says {layer.size} bytes for blob {layer.digest}, which has {stamp.size}", (name,))


def _is_still_there(store: Store, model: Manifest) -> bool:
    """Tell whether a model is as it was when the check began."""
    try:
        return store.manifests.read(model.name).raw == model.raw
    except StoreError:
        return False


def _stamped(paths: Iterable[Path]) -> list[_Bad]:
    found: list[_Bad] = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found.append(_Bad(path, Stamp.of(path.stat())))
    return found


def _set_aside(store: Store, bad: list[_Bad]) -> Iterable[Path]:
    """Move bad files to a folder where nothing looks for models; those that changed since are left alone."""
    if not bad:
        return
    try:
        with store.lock:
            store.aside.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            for entry in bad:
                if entry.path.is_file() and Stamp.of(entry.path.stat()) == entry.stamp:
                    yield _move(store, entry.path)
            store.manifests.remove_empty_directories()
    except OSError as error:
        raise store_error("cannot set a damaged file aside", error) from error


def _move(store: Store, path: Path) -> Path:
    """Move one file; of a person's own file only the link goes."""
    digest = digest_of_file_name(path.name)
    if digest is not None:
        store.notes.forget(digest)
    if digest is not None and (path.is_symlink() or path.stat().st_nlink > 1):
        record = store.links.records().get(digest)
        path.unlink()
        store.links.forget(digest)
        return Path(record.path) if record else path
    place = "-".join(path.parts[-4:]) if digest is None else hex_part(digest)
    target = store.aside / f"{place}.{os.urandom(4).hex()}"
    path.rename(target)
    return target
