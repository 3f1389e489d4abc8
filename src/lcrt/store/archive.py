"""A model in one file: a tar archive with the layout of an OCI image, for machines without a network.

``oci-layout``, ``index.json`` and ``blobs/sha256/<hex>`` are read and nothing else: no path of an
archive leads to a place on disk, and no byte becomes part of a model before its digest is right.
"""

import contextlib
import errno
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from lcrt.core.name import ModelName, ModelRef
from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.digest import digest_of, file_name, hex_part, parse_digest
from lcrt.store.failure import store_error
from lcrt.store.holds import Hold
from lcrt.store.layers import MANIFEST_TYPE, Layer
from lcrt.store.manifest import MAX_LEN, Manifest, parse_manifest
from lcrt.store.store import Store

Watch = Callable[[str, int, int], None]
"""Told a digest, and how many of its bytes are done of how many."""

_REF_NAME = "org.opencontainers.image.ref.name"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_MODEL_TYPES = "application/vnd.ollama.image."
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_MAX_MEMBERS = 1 << 16
_PIECE = 1 << 20
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"BZh")
"""How files begin that gzip, xz, zstd and bzip2 wrote."""

_OURS = "`lcrt export NAME FILE` writes archives that can be imported"


class _Descriptor(msgspec.Struct, frozen=True):
    digest: str
    size: int
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, frozen=True):
    manifests: tuple[_Descriptor, ...]


def export_model(store: Store, name: ModelName, path: Path, watch: Watch | None = None) -> int:
    """Write a model to a file, whole or not at all; returns its bytes. StoreError when a blob is damaged."""
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder", "name a file in it")
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            write_archive(store, name, file, watch)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", f"is there a folder {path.parent}?") from error
    except OSError as error:
        raise cannot_write(str(path), error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path.stat().st_size


def write_archive(store: Store, name: ModelName, file: BinaryIO, watch: Watch | None = None) -> None:
    """Write a model to a stream; the blobs cannot go meanwhile."""
    with store.hold() as hold:
        manifest = store.get(name)
        with contextlib.suppress(StoreError):
            hold.reserve(*manifest.digests)
        digest = digest_of(manifest.raw)
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": MANIFEST_TYPE,
                    "digest": digest,
                    "size": len(manifest.raw),
                    "annotations": {_REF_NAME: manifest.name.full},
                }
            ],
        }
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for member, data in (("oci-layout", _LAYOUT), ("index.json", msgspec.json.encode(index))):
                tar.addfile(_member(member, len(data)), io.BytesIO(data))
            tar.addfile(_member(_place(digest), len(manifest.raw)), io.BytesIO(manifest.raw))
            for layer in _parts(manifest):
                _add_blob(tar, store, layer, watch)


def cannot_write(place: str, error: OSError) -> StoreError:
    """Say that an archive cannot be written, and what to do next."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room there, or name a file on another disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "name a file where this user may write"
    else:
        hint = "name a file elsewhere"
    return StoreError(f"cannot write {place}: {error.strerror or error}", hint)


def import_archive(store: Store, path: Path, name: str = "", watch: Watch | None = None) -> list[ModelName]:
    """Make the models of an archive; ``name`` is for an archive of one. InvalidRequest when it is none."""
    try:
        with path.open("rb") as file, _tar(file, path) as archive:
            wanted = _manifests(archive, name)
            for manifest in wanted:
                _import(store, archive, manifest, watch)
            return [manifest.name for manifest in wanted]
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InvalidRequest(f"could not read {path}: {error.strerror}", "check the path and the rights") from error


class _Archive:
    """The files of a tar archive that an OCI image has, by name."""

    def __init__(self, tar: tarfile.TarFile, path: Path) -> None:
        self.path = path
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        for i, member in enumerate(tar):
            name = member.name.removeprefix("./")
            if i >= _MAX_MEMBERS:
                raise tarfile.ReadError("too many files")
            if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and (name == "index.json" or _BLOB.fullmatch(name)):
                self._members[name] = member

    def size(self, name: str) -> int:
        """Say how long a file is; InvalidRequest when it is missing."""
        if name not in self._members:
            raise InvalidRequest(f"{self.path} is not complete: {name} is missing", "export the model again")
        return self._members[name].size

    def pieces(self, name: str) -> Iterator[bytes]:
        """Read a file."""
        reader = self._tar.extractfile(self._members[name])
        while piece := reader.read(_PIECE) if reader else b"":
            yield piece

    def small(self, name: str) -> bytes:
        """Read a short file whole."""
        if self.size(name) > MAX_LEN:
            raise InvalidRequest(f"{self.path}: {name} is too long", _OURS)
        return b"".join(self.pieces(name))


class _Cautious(io.RawIOBase):
    """The archive's bytes for the tar reader, which may not ask for many at once: a header could claim gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes."""
        if not 0 <= size <= _PIECE:
            raise tarfile.ReadError("a header is too long")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where it is."""
        return self._file.tell()


@contextlib.contextmanager
def _tar(file: BinaryIO, path: Path) -> Iterator[_Archive]:
    try:
        with tarfile.open(fileobj=_Cautious(file), mode="r:") as tar:
            yield _Archive(tar, path)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"{path} is no archive of a model: {error}", _hint(file)) from error


def _hint(file: BinaryIO) -> str:
    """Say what to do with a file that is no archive."""
    file.seek(0)
    if file.read(4).startswith(_COMPRESSED):
        return "it is compressed, unpack it first: gunzip, unxz or unzstd"
    return f"has it been copied whole? {_OURS}"


def _manifests(archive: _Archive, name: str) -> list[Manifest]:
    try:
        index = msgspec.json.decode(archive.small("index.json"), type=_Index)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{archive.path}: index.json is damaged: {error}", "export the model again") from error
    if not index.manifests:
        raise InvalidRequest(f"{archive.path} has no model in it", _OURS)
    if name and len(index.manifests) > 1:
        raise InvalidRequest(f"{archive.path} has {len(index.manifests)} models", "leave the name away")
    return [_manifest(archive, descriptor, name) for descriptor in index.manifests]


def _manifest(archive: _Archive, descriptor: _Descriptor, name: str) -> Manifest:
    digest = parse_digest(descriptor.digest)
    raw = archive.small(_place(digest))
    if digest_of(raw) != digest:
        raise InvalidRequest(f"{archive.path}: the manifest is not what its digest says", "export the model again")
    manifest = parse_manifest(_name(archive, descriptor, name), raw)
    if not any(layer.media_type.startswith(_MODEL_TYPES) for layer in manifest.layers):
        raise InvalidRequest(f"{archive.path} is an image of something else than a model", _OURS)
    return manifest


def _name(archive: _Archive, descriptor: _Descriptor, name: str) -> ModelName:
    text = name or descriptor.annotations.get(_REF_NAME, "")
    if not text:
        raise InvalidRequest(f"{archive.path} does not name its model", f"say a name: lcrt import {archive.path} NAME")
    try:
        return ModelRef.parse(text).name
    except ValueError as error:
        raise InvalidRequest(f"invalid model name: {text}", "say another: lcrt import FILE NAME") from error


def _import(store: Store, archive: _Archive, manifest: Manifest, watch: Watch | None) -> None:
    parts = _parts(manifest)
    for layer in parts:
        if not store.blobs.has(layer.digest, layer.size) and archive.size(_place(layer.digest)) != layer.size:
            raise InvalidRequest(
                f"{archive.path}: a blob has not the size that the manifest says", "export the model again"
            )
    with store.hold() as hold:
        hold.reserve(*manifest.digests)
        for layer in parts:
            if not store.blobs.has(layer.digest, layer.size):
                _add_to_store(store, hold, archive, layer, watch)
        store.publish_raw(manifest.name, manifest.raw)


def _add_to_store(store: Store, hold: Hold, archive: _Archive, layer: Layer, watch: Watch | None) -> None:
    with store.blobs.writer() as writer:
        for piece in archive.pieces(_place(layer.digest)):
            writer.write(piece)
            if watch:
                watch(layer.digest, writer.size, layer.size)
        writer.finish()
        if writer.digest != parse_digest(layer.digest):
            raise InvalidRequest(f"{archive.path}: blob {layer.digest} has other bytes", "export the model again")
        hold.place(writer)


def _parts(manifest: Manifest) -> list[Layer]:
    """List layers and config, each blob once, under their proper spelling."""
    parts = (*manifest.layers, *((manifest.config,) if manifest.config else ()))
    return list({parse_digest(layer.digest): layer for layer in parts}.values())


def _place(digest: str) -> str:
    return f"blobs/sha256/{hex_part(parse_digest(digest))}"


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


class _Hashed(io.RawIOBase):
    """A blob that is hashed as it is read."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        super().__init__()
        self.hash = hashlib.sha256()
        self._file = file
        self._told = told
        self._n_read = 0

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise store_error("cannot read a blob", error) from error
        self.hash.update(data)
        self._n_read += len(data)
        self._told(self._n_read)
        return data


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise store_error(f"cannot read blob {path.name}", error) from error


def _add_blob(tar: tarfile.TarFile, store: Store, layer: Layer, watch: Watch | None) -> None:
    path = store.blobs.path(layer.digest)
    size = store.blobs.size(layer.digest)
    with _opened(path) as file:
        reader = _Hashed(file, lambda n_read: watch(layer.digest, n_read, size) if watch else None)
        tar.addfile(_member(_place(layer.digest), size), reader)
    if reader.hash.hexdigest() != hex_part(parse_digest(layer.digest)):
        raise StoreError(f"blob {file_name(layer.digest)} is damaged", "run `lcrt store check --repair`")
