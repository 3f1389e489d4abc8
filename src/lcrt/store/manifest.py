"""Manifests: one JSON file per model, at ``<host>/<namespace>/<model>/<tag>``.

Reading forgives what other programs left out or added; writing replaces the file in one step.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.blobs import TEMPORARY, sync_directory
from lcrt.store.digest import digest_of, hex_part, parse_digest
from lcrt.store.failure import store_error
from lcrt.store.layers import CONFIG_TYPE, MANIFEST_TYPE, Layer

MAX_LEN = 16 << 20
"""Bytes of the longest manifest that is read."""

_DEPTH = 4
_SETTLED = 0.1
"""Seconds after which a file that changes again surely gets another time."""

_DIR_MODE = 0o755
_FILE_MODE = 0o644
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_Stamp = tuple[int, int, int]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    config: Layer | None = None
    layers: tuple[Layer, ...] | None = None
    schema_version: int | None = 2
    media_type: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """What a model is made of, with the facts of its file.

    ``digest`` is the sha256 of the file's bytes in hex, ``modified`` its time in Unix seconds.
    """

    name: ModelName
    config: Layer | None
    layers: tuple[Layer, ...]
    digest: str
    modified: float
    raw: bytes

    @property
    def size(self) -> int:
        """Bytes of all layers and the config."""
        return sum(layer.size for layer in self.layers) + (self.config.size if self.config else 0)

    @property
    def digests(self) -> frozenset[str]:
        """Every blob it needs, however the manifest spells it."""
        blobs = (*self.layers, self.config) if self.config else self.layers
        return frozenset(parse_digest(blob.digest) for blob in blobs)

    def of_type(self, *media_types: str) -> tuple[Layer, ...]:
        """List the layers of some media types, in order."""
        return tuple(layer for layer in self.layers if layer.media_type in media_types)


class Unreadable(msgspec.Struct, frozen=True):
    """A manifest that cannot be read; ``path`` is None when that may be for want of rights, not damage."""

    error: StoreError
    path: Path | None = None


class Manifests:
    """The manifests directory. Callers serialise changes; reading needs no lock.

    What was read is kept until the file changes: the same file is not decoded twice.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[str, tuple[_Stamp, Manifest]] = {}

    def find(self, name: ModelName) -> ModelName | None:
        """Find a model's name as it is spelt on disk, whatever the case; None when there is none."""
        if (self.directory / name.path).is_file():
            return name
        return _match(self.directory, name.path.split("/"))

    def read(self, name: ModelName) -> Manifest:
        """Read the manifest spelt exactly like this; StoreError when it is missing or damaged."""
        try:
            return self._read(f"{self.directory}/{name.path}", name)
        except OSError as error:
            raise store_error(f"cannot read the manifest of {name.short}", error) from error

    def read_all(self) -> tuple[list[Manifest], list[StoreError]]:
        """Read every manifest; damaged ones, and files whose place spells no name, are returned as errors."""
        found = list(self.scan())
        manifests = [entry for entry in found if isinstance(entry, Manifest)]
        self._forget_removed(manifests)
        return manifests, [entry.error for entry in found if isinstance(entry, Unreadable)]

    def scan(self) -> Iterator["Manifest | Unreadable"]:
        """Read every manifest, one after another, in the order of their paths."""
        errors: list[StoreError] = []
        for path in walk(self.directory, _DEPTH, errors):
            try:
                yield self._read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                errors.append(store_error(f"cannot read the manifest `{path}`", error))
            except StoreError as error:
                yield Unreadable(error, Path(path))
        yield from (Unreadable(error) for error in errors)

    def write(self, name: ModelName, config: Layer, layers: tuple[Layer, ...]) -> None:
        """Write a new manifest, in place of an old one."""
        wire = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.wire(),
            "layers": [layer.wire() for layer in layers],
        }
        self.write_raw(name, msgspec.json.encode(wire) + b"\n")

    def write_raw(self, name: ModelName, raw: bytes) -> None:
        """Put bytes in place as a manifest: the old file or the new one is there, never half of one."""
        target = self.directory / name.path
        temporary = self.directory / f"{TEMPORARY}{os.urandom(8).hex()}"
        try:
            target.parent.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            try:
                _write_synced(temporary, raw)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                self._remove_empty(target.parent)
                raise
            directory = target.parent
            while directory != self.directory.parent:
                sync_directory(directory)
                directory = directory.parent
        except OSError as error:
            raise store_error(f"cannot write the manifest of {name.short}", error) from error

    def remove(self, name: ModelName) -> None:
        """Delete a manifest and the directories that it leaves empty."""
        target = self.directory / name.path
        try:
            target.unlink(missing_ok=True)
            self._remove_empty(target.parent)
        except OSError as error:
            raise store_error(f"cannot delete the manifest of {name.short}", error) from error

    def leftovers(self) -> list[Path]:
        """List what writers that were killed left behind."""
        return list(self.directory.glob(f"{TEMPORARY}*"))

    def remove_empty_directories(self) -> None:
        """Delete directories without a model in them."""
        for depth in range(_DEPTH - 1, 0, -1):
            for path in self.directory.glob("/".join("*" * depth)):
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    def _read(self, path: str, name: ModelName | None = None) -> Manifest:
        """Read a file, or remember it."""
        stamp = _stamp(os.stat(path))  # noqa: PTH116 -- called for every model of a list
        known = self._known.get(path)
        if known and known[0] == stamp:
            return known[1]
        manifest, stamp = _decode(path, name or name_of(path))
        if time.time() - manifest.modified > _SETTLED:
            self._known[path] = stamp, manifest
        return manifest

    def _forget_removed(self, manifests: list[Manifest]) -> None:
        if len(self._known) > len(manifests):
            there = {f"{self.directory}/{manifest.name.path}" for manifest in manifests}
            self._known = {path: known for path, known in self._known.items() if path in there}

    def _remove_empty(self, directory: Path) -> None:
        while directory != self.directory and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
            directory = directory.parent
        if directory.is_dir():
            sync_directory(directory)


def walk(directory: Path, depth: int, errors: list[StoreError]) -> Iterator[str]:
    """List the files that lie ``depth`` entries below a directory; what cannot be listed is an error."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        errors.append(store_error(f"cannot read `{directory}`", error))
        return
    for entry in entries:
        if depth > 1:
            yield from walk(Path(entry.path), depth - 1, errors)
        elif not entry.name.startswith(".") and entry.is_file():
            yield entry.path


def name_of(path: str) -> ModelName:
    """Read the name that a manifest's place spells."""
    host, namespace, model, tag = path.split("/")[-_DEPTH:]
    name = ModelName.from_path(host, namespace, model, tag)
    if name is None:
        raise StoreError(f"`{path}` is not where a model's manifest can be", "move it away")
    return name


def parse_manifest(name: ModelName, raw: bytes, modified: float = 0.0) -> Manifest:
    """Read a manifest's bytes; StoreError when they are none."""
    try:
        wire = msgspec.json.decode(raw, type=_Wire)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(name, str(error)) from error
    config = wire.config if wire.config and wire.config.digest else None
    manifest = Manifest(name, config, wire.layers or (), hex_part(digest_of(raw)), modified, raw)
    _check_digests(manifest)
    return manifest


def _decode(path: str, name: ModelName) -> tuple[Manifest, _Stamp]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 -- called for every model of a list
        facts = os.fstat(file.fileno())
        if facts.st_size > MAX_LEN:
            raise _damaged(name, "too long")
        raw = file.read(MAX_LEN) or b""
    return parse_manifest(name, raw, facts.st_mtime), _stamp(facts)


def _damaged(name: ModelName, why: str) -> StoreError:
    return StoreError(f"manifest of {name.short} is damaged: {why}", f"pull or create {name.short} again, or remove it")


def _stamp(facts: os.stat_result) -> _Stamp:
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _check_digests(manifest: Manifest) -> None:
    """Refuse digests that would name files outside the blobs."""
    try:
        for layer in manifest.layers:
            parse_digest(layer.digest)
        if manifest.config:
            parse_digest(manifest.config.digest)
    except InvalidRequest as error:
        raise _damaged(manifest.name, error.message) from error


def _write_synced(path: Path, data: bytes) -> None:
    fd = os.open(path, _OPEN_FLAGS, _FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def _match(directory: Path, parts: list[str]) -> ModelName | None:
    """Descend into entries that match the parts in any case; the whole name must match."""
    found = [directory]
    for part in parts:
        found = [entry for place in found for entry in _entries(place) if entry.name.lower() == part.lower()]
    return next((name_of(str(path)) for path in found if path.is_file()), None)


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def config_layer(digest: str, size: int) -> Layer:
    """Describe a config blob the way a manifest lists it."""
    return Layer(media_type=CONFIG_TYPE, digest=digest, size=size)
