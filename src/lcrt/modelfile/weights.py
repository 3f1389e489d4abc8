"""The weights of a model that is being made: GGUF files checked, joined, converted and quantized."""

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec

from lcrt.convert.config import is_quantized
from lcrt.convert.run import FILE_TYPES, convert, convert_adapter
from lcrt.errors import InvalidRequest, ModelFormatError, StoreError, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.check import check_file
from lcrt.gguf.join import is_shard, join, ordered, stem
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import Header, is_gguf, read_header
from lcrt.modelfile import quantize
from lcrt.modelfile.layerlist import Entry, LayerList
from lcrt.modelfile.layout import lay_out
from lcrt.store import layers
from lcrt.store.blobs import BlobWriter
from lcrt.store.digest import parse_digest
from lcrt.store.failure import store_error
from lcrt.store.layers import Layer
from lcrt.store.room import check_room
from lcrt.store.store import Store
from lcrt.task.progress import NO_DIGEST, Progress

MEDIA_TYPES = {
    FileKind.MODEL: layers.MODEL,
    FileKind.ADAPTER: layers.ADAPTER,
    FileKind.PROJECTOR: layers.PROJECTOR,
}
_INHERITED = (layers.MODEL, layers.PROJECTOR, layers.DRAFT)
_SAFETENSORS = ".safetensors"
_PARSING = "parsing GGUF"
_FOR_QUANTIZED = "Q8_0"
"""What a checkpoint of eight bits gets unless something else is asked for: as floats it would be twice as large."""
_PIECE = 4 << 20

Steps = Generator[Progress, None, None]


class Part(msgspec.Struct, frozen=True):
    """One file of weights, and its place among the layers.

    Closing ``scratch`` removes the file where it was made on the way only, to be quantized.
    """

    entry: Entry
    header: Header
    scratch: ExitStack | None = None

    @property
    def media_type(self) -> str:
        """What the file is in the model."""
        return self.entry.layer.media_type


class Weights:
    """All files of weights so far.

    ``targets`` are the types of weights that files of a media type are to get; others keep the one they have.
    A method with ``role`` takes files that must be of that media type; without, what is in them decides.
    """

    def __init__(self, store: Store, layer_list: LayerList, targets: Mapping[str, str] | None = None) -> None:
        self.parts: list[Part] = []
        self._store = store
        self._list = layer_list
        self._targets = dict(targets or {})

    def close(self) -> None:
        """Remove what was made on the way."""
        for part in self.parts:
            if part.scratch is not None:
                part.scratch.close()

    def of_type(self, *media_types: str) -> list[Header]:
        """List the headers of some layers."""
        return [part.header for part in self.parts if part.media_type in media_types]

    def drop(self, media_type: str) -> None:
        """Forget the files of one media type."""
        self.parts = [part for part in self.parts if part.media_type != media_type]

    def inherit(self, entries: Iterable[Entry]) -> None:
        """Know the files of another model, whose layers are taken over."""
        for entry in entries:
            if entry.layer.media_type in _INHERITED:
                self.parts.append(Part(entry, read_header(self._store.blobs.path(entry.layer.digest))))

    def take(self, files: Mapping[str, str], role: str = "") -> Steps:
        """Add a client's files: GGUFs, the shards of some, or those of a folder of safetensors."""
        if any(name.endswith(_SAFETENSORS) for name in files):
            yield from self._convert(files, role)
            return
        self._check_kind(files)
        shards: dict[str, list[tuple[str, Header]]] = {}
        for file_name, digest in sorted(files.items()):
            yield Progress(_PARSING)
            header = yield from self._open(file_name, digest)
            if is_shard(header):
                self._list.hold(digest)
                shards.setdefault(stem(file_name), []).append((file_name, header))
            else:
                layer = Layer(self._media_type(file_name, header, role), parse_digest(digest), header.file_size)
                self.parts.append(Part(self._list.reuse(layer), header))
        for parts in shards.values():
            yield from self._join(parts, role)

    def quantize(self, media_type: str, importance: str = "") -> Steps:
        """Give the files of one media type the type of weights that they are to have."""
        target = self._targets.get(media_type, "")
        matrix = self._blob(importance) if importance else None
        if importance:
            self._list.hold(importance)
        for i, part in enumerate(self.parts):
            if target and part.media_type == media_type and quantize.is_needed(part.header, target):
                check_room(self._store.blobs.directory, quantize.least_size(part.header, target))
                with self._store.blobs.writer() as writer:
                    yield from quantize.quantize(part.header, writer.path, target, matrix)
                    yield from _take_over(writer)
                    self._list.place(part.entry, writer)
                    self.parts[i] = Part(part.entry, self._placed(writer))
                if part.scratch is not None:
                    part.scratch.close()

    def _media_type(self, file_name: str, header: Header, role: str) -> str:
        kind = keys.kind(header)
        if role == layers.ADAPTER and kind is not FileKind.ADAPTER:
            raise InvalidRequest(f"`{file_name}` is not an adapter")
        if role == layers.DRAFT and kind is not FileKind.MODEL:
            raise InvalidRequest(f"`{file_name}` is not a model, so it cannot write drafts")
        if kind is FileKind.MODEL and keys.architecture(header) == keys.UNKNOWN:
            raise UnsupportedModel("unknown architecture")
        media_type = role or MEDIA_TYPES[kind]
        if target := self._targets.get(media_type, ""):
            quantize.is_needed(header, target)
        return media_type

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

    def _open(self, file_name: str, digest: str) -> Generator[Progress, None, Header]:
        """Read a file's header, after a process of its own found nothing wrong with it."""
        path = self._blob(digest)
        if not is_gguf(path):
            raise InvalidRequest("supplied file was not in GGUF format")
        try:
            with contextlib.closing(check_file(path)) as checking:
                for _ in checking:
                    yield Progress(_PARSING)
            return read_header(path)
        except ModelFormatError as error:
            raise InvalidRequest(error.message.replace(path.name, file_name), error.hint) from error
        except OSError as error:
            raise store_error("checking a GGUF file failed", error) from error

    def _join(self, parts: Sequence[tuple[str, Header]], role: str) -> Steps:
        """Make one file of shards."""
        headers = ordered(parts)
        media_type = self._media_type(parts[0][0], headers[0], role)
        total = sum(header.file_size for header in headers)
        check_room(self._store.blobs.directory, total)
        with ExitStack() as scratch:
            writer = scratch.enter_context(self._store.blobs.writer())
            for piece in join(headers):
                writer.write(piece)
                yield Progress("joining shards", NO_DIGEST, total, min(writer.size, total))
            if not self._keep(media_type, writer, scratch):
                writer.finish()
                self._place(media_type, writer)

    def _convert(self, files: Mapping[str, str], role: str) -> Steps:
        """Make a GGUF of a folder of safetensors."""
        size = 0
        for name, digest in files.items():
            size += self._blob(digest).stat().st_size if name.endswith(_SAFETENSORS) else 0
            self._list.hold(digest)
        check_room(self._store.blobs.directory, size // 2)
        media_type = role or layers.MODEL
        with ExitStack() as scratch:
            folder = lay_out(self._store, files, scratch)
            writer = scratch.enter_context(self._store.blobs.writer())
            if role == layers.ADAPTER:
                yield from convert_adapter(folder, self._base(), writer.path)
            else:
                if is_quantized(folder) and not self._targets.get(media_type):
                    self._targets[media_type] = _FOR_QUANTIZED
                target = self._targets.get(media_type, "")
                yield from convert(folder, writer.path, file_type=target if target in FILE_TYPES else None)
            if not self._keep(media_type, writer, scratch):
                yield from _take_over(writer)
                self._place(media_type, writer)

    def _keep(self, media_type: str, writer: BlobWriter, scratch: ExitStack) -> bool:
        """Leave a file that is yet to be quantized where it is: hashing, syncing and placing it would be in vain."""
        target = self._targets.get(media_type, "")
        header = read_header(writer.path)
        if not target or not quantize.is_needed(header, target):
            return False
        self.parts.append(Part(self._list.reserve(media_type), header, scratch.pop_all()))
        return True

    def _base(self) -> Path:
        """Find the file that an adapter is for."""
        models = self.of_type(layers.MODEL)
        if not models:
            raise InvalidRequest("an adapter needs a model in GGUF format that it fits", "name it with FROM")
        return models[-1].path

    def _place(self, media_type: str, writer: BlobWriter) -> None:
        entry = self._list.reserve(media_type)
        self._list.place(entry, writer)
        self.parts.append(Part(entry, self._placed(writer)))

    def _placed(self, writer: BlobWriter) -> Header:
        return read_header(self._store.blobs.path(writer.digest))


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
