"""Manifests: one JSON file per model, at ``<host>/<namespace>/<model>/<tag>``.

Reading forgives what other programs left out or added; writing replaces the file in one step.
"""

import os
from pathlib import Path

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.blobs import sync_directory
from lcrt.store.digest import digest_of, hex_part, parse_digest
from lcrt.store.layers import CONFIG_TYPE, MANIFEST_TYPE, Layer

_MAX_LEN = 16 << 20
_DEPTH = 4
_TEMPORARY = ".new-"
_DIR_MODE = 0o755
_FILE_MODE = 0o644
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


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
        """Every blob it needs."""
        blobs = (*self.layers, self.config) if self.config else self.layers
        return frozenset(blob.digest for blob in blobs if blob.digest)

    def of_type(self, *media_types: str) -> tuple[Layer, ...]:
        """List the layers of some media types, in order."""
        return tuple(layer for layer in self.layers if layer.media_type in media_types)


class Manifests:
    """The manifests directory. Callers serialise changes; reading needs no lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, name: ModelName) -> ModelName | None:
        """Find a model's name as it is spelt on disk, whatever the case; None when there is none."""
        if (self.directory / name.path).is_file():
            return name
        return _match(self.directory, name.path.split("/"))

    def read(self, name: ModelName) -> Manifest:
        """Read the manifest spelt exactly like this; StoreError when it is missing or damaged."""
        path = self.directory / name.path
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_LEN + 1)
                modified = os.fstat(file.fileno()).st_mtime
            if len(raw) > _MAX_LEN:
                raise StoreError(f"manifest of {name.short} is damaged: too long")
            wire = msgspec.json.decode(raw, type=_Wire)
        except OSError as error:
            raise StoreError(f"cannot read the manifest of {name.short}: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreError(f"manifest of {name.short} is damaged: {error}") from error
        config = wire.config if wire.config and wire.config.digest else None
        manifest = Manifest(name, config, wire.layers or (), hex_part(digest_of(raw)), modified, raw)
        _check_digests(manifest)
        return manifest

    def read_all(self) -> tuple[list[Manifest], list[StoreError]]:
        """Read every manifest; damaged ones, and files whose place spells no name, are returned as errors."""
        manifests: list[Manifest] = []
        errors: list[StoreError] = []
        for path in sorted(self.directory.glob("/".join("*" * _DEPTH))):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                manifests.append(self.read(_name_of(path)))
            except StoreError as error:
                errors.append(error)
        return manifests, errors

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
        temporary = self.directory / f"{_TEMPORARY}{os.urandom(8).hex()}"
        try:
            target.parent.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            try:
                _write_synced(temporary, raw)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            directory = target.parent
            while directory != self.directory.parent:
                sync_directory(directory)
                directory = directory.parent
        except OSError as error:
            raise StoreError(f"cannot write the manifest of {name.short}: {error.strerror}") from error

    def remove(self, name: ModelName) -> None:
        """Delete a manifest and the directories that it leaves empty."""
        target = self.directory / name.path
        try:
            target.unlink(missing_ok=True)
            self._remove_empty(target.parent)
        except OSError as error:
            raise StoreError(f"cannot delete the manifest of {name.short}: {error.strerror}") from error

    def leftovers(self) -> list[Path]:
        """List what writers that were killed left behind."""
        return list(self.directory.glob(f"{_TEMPORARY}*"))

    def remove_empty_directories(self) -> None:
        """Delete directories without a model in them."""
        for depth in range(_DEPTH - 1, 0, -1):
            for path in self.directory.glob("/".join("*" * depth)):
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    def _remove_empty(self, directory: Path) -> None:
        while directory != self.directory and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
            directory = directory.parent
        if directory.is_dir():
            sync_directory(directory)


def _check_digests(manifest: Manifest) -> None:
    """Refuse digests that would name files outside the blobs."""
    try:
        for layer in manifest.layers:
            parse_digest(layer.digest)
        if manifest.config:
            parse_digest(manifest.config.digest)
    except InvalidRequest as error:
        raise StoreError(f"manifest of {manifest.name.short} is damaged: {error.message}") from error


def _write_synced(path: Path, data: bytes) -> None:
    fd = os.open(path, _OPEN_FLAGS, _FILE_MODE)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _match(directory: Path, parts: list[str]) -> ModelName | None:
    """Descend into entries that match the parts in any case; the whole name must match."""
    found = [directory]
    for part in parts:
        found = [entry for place in found for entry in _entries(place) if entry.name.lower() == part.lower()]
    return next((_name_of(path) for path in found if path.is_file()), None)


def _name_of(path: Path) -> ModelName:
    """Read the name that a manifest's place spells."""
    host, namespace, model, tag = path.parts[-_DEPTH:]
    name = ModelName.from_path(host, namespace, model, tag)
    if name is None:
        raise StoreError(f"`{path}` is not where a model's manifest can be")
    return name


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def config_layer(digest: str, size: int) -> Layer:
    """Describe a config blob the way a manifest lists it."""
    return Layer(media_type=CONFIG_TYPE, digest=digest, size=size)
