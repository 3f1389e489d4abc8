"""The weights of a model that is being made: GGUF files checked, joined, converted and quantized."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from lcrt.convert.run import FILE_TYPES, convert, convert_adapter
from lcrt.errors import InvalidRequest, ModelFormatError, StoreError, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.check import check_file
from lcrt.gguf.join import is_shard, join, ordered, stem
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import Header, is_gguf, read_header
from lcrt.modelfile import quantize
from lcrt.modelfile.layerlist import LayerList
from lcrt.modelfile.room import check_room
from lcrt.store import layers
from lcrt.store.blobs import BlobWriter
from lcrt.store.digest import parse_digest
from lcrt.store.failure import store_error
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store
from lcrt.task.progress import NO_DIGEST, Progress

MEDIA_TYPES = {
    FileKind.MODEL: layers.MODEL,
    FileKind.ADAPTER: layers.ADAPTER,
    FileKind.PROJECTOR: layers.PROJECTOR,
}
_SAFETENSORS = ".safetensors"
_PIECE = 4 << 20

Steps = Generator[Progress, None, None]


class Part(msgspec.Struct, frozen=True):
    """One file of weights and what it is in the model."""

    media_type: str
    header: Header


class Weights:
    """All files of weights so far. ``target`` is the type that the model's own are to get, empty for the one they have.

    A method with ``role`` takes files that must be of that media type; without, what is in them decides.
    """

    def __init__(self, store: Store, layer_list: LayerList, target: str = "") -> None:
        self.parts: list[Part] = []
        self._store = store
        self._list = layer_list
        self._target = target

    def of_type(self, *media_types: str) -> list[Header]:
        """List the headers of some layers."""
        return [part.header for part in self.parts if part.media_type in media_types]

    def drop(self, media_type: str) -> None:
        """Forget the files of one media type."""
        self.parts = [part for part in self.parts if part.media_type != media_type]

    def inherit(self, base: Manifest) -> None:
        """Know the files of another model, whose layers are taken over."""
        for layer in base.of_type(layers.MODEL, layers.PROJECTOR, layers.DRAFT):
            self.parts.append(Part(layer.media_type, read_header(self._store.blobs.path(layer.digest))))

    def take(self, files: Mapping[str, str], role: str = "") -> Steps:
        """Add a client's files: GGUFs, the shards of some, or those of a folder of safetensors."""
        if any(name.endswith(_SAFETENSORS) for name in files):
            yield from self._convert(files, role)
            return
        self._check_kind(files)
        shards: dict[str, list[tuple[str, Header]]] = {}
        for file_name, digest in sorted(files.items()):
            yield Progress("parsing GGUF")
            header = self._open(digest)
            if is_shard(header):
                self._list.hold(digest)
                shards.setdefault(stem(file_name), []).append((file_name, header))
            else:
                media_type = self._media_type(file_name, header, role)
                self._list.reuse(media_type, parse_digest(digest), header.file_size)
                self.parts.append(Part(media_type, header))
        for parts in shards.values():
            yield from self._join(parts, role)

    def quantize(self, media_type: str, target: str, importance: str = "") -> Steps:
        """Give the files of one media type another type of weights."""
        matrix = self._blob(importance) if importance else None
        if importance:
            self._list.hold(importance)
        for i, part in enumerate(self.parts):
            if part.media_type == media_type and quantize.is_needed(part.header, target):
                check_room(self._store.blobs.directory, quantize.least_size(part.header, target))
                with self._store.blobs.writer() as writer:
                    yield from quantize.quantize(part.header, writer.path, target, matrix)
                    yield from _take_over(writer)
                    self._list.swap(part.header.path.name, writer)
                    self.parts[i] = Part(media_type, self._placed(writer))

    def _media_type(self, file_name: str, header: Header, role: str) -> str:
        kind = keys.kind(header)
        if role == layers.ADAPTER and kind is not FileKind.ADAPTER:
            raise InvalidRequest(f"`{file_name}` is not an adapter")
        if role == layers.DRAFT and kind is not FileKind.MODEL:
            raise InvalidRequest(f"`{file_name}` is not a model, so it cannot write drafts")
        if kind is FileKind.MODEL and keys.architecture(header) == keys.UNKNOWN:
            raise UnsupportedModel("unknown architecture")
        if kind is FileKind.MODEL and self._target and role != layers.DRAFT:
            quantize.is_needed(header, self._target)
        return role or MEDIA_TYPES[kind]

    def _check_kind(self, files: Mapping[str, str]) -> None:
        """Tell GGUF from other files by name, else by content."""
        if any(name.endswith(".gguf") for name in files):
            return
        for digest in files.values():
            if is_gguf(self._blob(digest)):
                return
        raise InvalidRequest("unknown type")

    def _blob(self, digest: str) -> Path:
        path = self._store.blobs.path(digest)
        if not path.is_file():
            raise StoreError(f"blob {parse_digest(digest)}: no such file in the store")
        return path

    def _open(self, digest: str) -> Header:
        """Read a file's header, after a process of its own found nothing wrong with it."""
        path = self._blob(digest)
        if not is_gguf(path):
            raise InvalidRequest("supplied file was not in GGUF format")
        try:
            check_file(path)
            return read_header(path)
        except ModelFormatError as error:
            raise InvalidRequest(error.message, error.hint) from error

    def _join(self, parts: Sequence[tuple[str, Header]], role: str) -> Steps:
        """Make one file of shards."""
        headers = ordered(parts)
        media_type = self._media_type(parts[0][0], headers[0], role)
        total = sum(header.file_size for header in headers)
        check_room(self._store.blobs.directory, total)
        with self._store.blobs.writer() as writer:
            for piece in join(headers):
                writer.write(piece)
                yield Progress("joining shards", NO_DIGEST, total, min(writer.size, total))
            writer.finish()
            self._add_placed(media_type, writer)

    def _convert(self, files: Mapping[str, str], role: str) -> Steps:
        """Make a GGUF of a folder of safetensors."""
        size = 0
        for name, digest in files.items():
            size += self._blob(digest).stat().st_size if name.endswith(_SAFETENSORS) else 0
            self._list.hold(digest)
        check_room(self._store.blobs.directory, size // 2)
        with tempfile.TemporaryDirectory(prefix="lcrt-convert-") as name, self._store.blobs.writer() as writer:
            folder = Path(name)
            _lay_out(folder, files, self._store.blobs.path)
            if role == layers.ADAPTER:
                yield from convert_adapter(folder, self._base(), writer.path)
            else:
                wanted = self._target if role != layers.DRAFT and self._target in FILE_TYPES else None
                yield from convert(folder, writer.path, file_type=wanted)
            yield from _take_over(writer)
            self._add_placed(role or layers.MODEL, writer)

    def _base(self) -> Path:
        """Find the file that an adapter is for."""
        models = self.of_type(layers.MODEL)
        if not models:
            raise InvalidRequest("an adapter needs a model in GGUF format that it fits", "name it with FROM")
        return models[-1].path

    def _add_placed(self, media_type: str, writer: BlobWriter) -> None:
        self._list.place(media_type, writer)
        self.parts.append(Part(media_type, self._placed(writer)))

    def _placed(self, writer: BlobWriter) -> Header:
        return read_header(self._store.blobs.path(writer.digest))


def _lay_out(folder: Path, files: Mapping[str, str], blob: Callable[[str], Path]) -> None:
    """Give blobs the names that they have at the client."""
    for name, digest in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(blob(digest).absolute())


def _take_over(writer: BlobWriter) -> Steps:
    """Learn what another process has written to a new blob's file, while it is brought to disk."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    size = 0
    try:
        total = os.fstat(writer.fileno()).st_size
        with ThreadPoolExecutor(1) as disk:
            synced = disk.submit(os.fsync, writer.fileno())
            while n := os.preadv(writer.fileno(), [buffer], size):
                digest.update(buffer[:n])
                size += n
                yield Progress("hashing model", NO_DIGEST, total, size)
            synced.result()
    except OSError as error:
        raise store_error("cannot store the model's weights", error) from error
    writer.digest = f"sha256:{digest.hexdigest()}"
    writer.size = size
