"""The layers of a model that is being made, and what is said about each."""

import msgspec

from lcrt.store import layers
from lcrt.store.blobs import BlobWriter
from lcrt.store.digest import file_name
from lcrt.store.holds import Hold
from lcrt.store.layers import Layer
from lcrt.store.store import Store

_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def encode_sorted(value: object) -> bytes:
    """Write JSON with sorted keys, the characters of markup escaped, and a newline, as other tools expect it."""
    return _escaped(msgspec.json.encode(value, order="sorted"))


def encode_plain(value: object) -> bytes:
    """Write JSON the same way with keys in the order given."""
    return _escaped(msgspec.json.encode(value))


def _escaped(data: bytes) -> bytes:
    for char, escape in _ESCAPES:
        data = data.replace(char, escape)
    return data + b"\n"


class LayerList:
    """Layers in order; every blob in it is held until the model is there."""

    def __init__(self, store: Store, hold: Hold) -> None:
        self._store = store
        self._hold = hold
        self._entries: list[tuple[Layer, str]] = []

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers so far."""
        return tuple(layer for layer, _ in self._entries)

    @property
    def statuses(self) -> tuple[str, ...]:
        """One line about each layer."""
        return tuple(status for _, status in self._entries if status)

    def reuse(self, media_type: str, digest: str, size: int, from_: str | None = None, name: str | None = None) -> None:
        """Append a blob that is in the store."""
        self._hold.add(digest)
        self._entries.append((Layer(media_type, digest, size, from_, name), f"using existing layer {digest}"))

    def add(self, media_type: str, data: bytes) -> None:
        """Append a new small blob."""
        digest, size, is_new = self._hold.put(data)
        verb = "creating new" if is_new else "using existing"
        self._entries.append((Layer(media_type, digest, size), f"{verb} layer {digest}"))

    def hold(self, digest: str) -> None:
        """Keep a blob that the model is made of and does not contain."""
        self._hold.add(digest)

    def drop(self, media_type: str) -> None:
        """Leave out the layers of one type."""
        self._entries = [(layer, status) for layer, status in self._entries if layer.media_type != media_type]

    def place(self, media_type: str, writer: BlobWriter) -> None:
        """Append a large blob that is written and finished."""
        self._entries.append(self._placed(media_type, writer))

    def swap(self, old_file: str, writer: BlobWriter) -> None:
        """Put a finished blob in place of the one in that file."""
        for i, (layer, _) in enumerate(self._entries):
            if layer.digest and file_name(layer.digest) == old_file:
                self._entries[i] = self._placed(layer.media_type, writer)

    def _placed(self, media_type: str, writer: BlobWriter) -> tuple[Layer, str]:
        verb = "creating new" if self._hold.place(writer) else "using existing"
        return Layer(media_type, writer.digest, writer.size), f"{verb} layer {writer.digest}"

    def replace(self, data: bytes, *media_types: str) -> None:
        """Put a new blob of the first media type in place of all of these types."""
        self._entries = [(layer, status) for layer, status in self._entries if layer.media_type not in media_types]
        self.add(media_types[0], data)

    def say(self, status: str) -> None:
        """Put a line between those about layers."""
        self._entries.append((Layer(), status))

    def parameters(self) -> dict[str, object]:
        """Read the parameters as they are so far."""
        found = [layer for layer in self.layers if layer.media_type == layers.PARAMS]
        if not found:
            return {}
        return msgspec.json.decode(self._store.blobs.read(found[-1].digest), type=dict[str, object])
