"""The layers of a model that is being made, and what is said about each."""

import msgspec

from lcrt.store import layers
from lcrt.store.blobs import BlobWriter
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


class Entry(msgspec.Struct, eq=False):
    """One place in the list: its layer, which has no digest while the blob is still to be made, and what is said."""

    layer: Layer
    status: str = ""


class LayerList:
    """Layers in order; every blob in it is held until the model is there."""

    def __init__(self, store: Store, hold: Hold) -> None:
        self._store = store
        self._hold = hold
        self._entries: list[Entry] = []

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers so far."""
        return tuple(entry.layer for entry in self._entries if entry.layer.digest)

    @property
    def statuses(self) -> tuple[str, ...]:
        """One line about each layer."""
        return tuple(entry.status for entry in self._entries if entry.status)

    def reuse(self, layer: Layer) -> Entry:
        """Append a blob that is in the store."""
        self._hold.add(layer.digest)
        return self._append(layer, f"using existing layer {layer.digest}")

    def add(self, media_type: str, data: bytes) -> None:
        """Append a new small blob."""
        digest, size, is_new = self._hold.put(data)
        verb = "creating new" if is_new else "using existing"
        self._append(Layer(media_type, digest, size), f"{verb} layer {digest}")

    def hold(self, digest: str) -> None:
        """Keep a blob that the model is made of and does not contain."""
        self._hold.add(digest)

    def drop(self, *media_types: str) -> None:
        """Leave out the layers of some types."""
        self._entries = [entry for entry in self._entries if entry.layer.media_type not in media_types]

    def reserve(self, media_type: str) -> Entry:
        """Keep the place of a blob that is still to be made: ``place`` puts it there."""
        return self._append(Layer(media_type))

    def place(self, entry: Entry, writer: BlobWriter) -> None:
        """Put a large blob that is written and finished in an entry's place."""
        verb = "creating new" if self._hold.place(writer) else "using existing"
        entry.layer = Layer(entry.layer.media_type, writer.digest, writer.size)
        entry.status = f"{verb} layer {writer.digest}"

    def replace(self, data: bytes, *media_types: str) -> None:
        """Put a new blob of the first media type in place of all of these types."""
        self.drop(*media_types)
        self.add(media_types[0], data)

    def say(self, status: str) -> None:
        """Put a line between those about layers."""
        self._append(Layer(), status)

    def parameters(self) -> dict[str, object]:
        """Read the parameters as they are so far."""
        found = [layer for layer in self.layers if layer.media_type == layers.PARAMS]
        if not found:
            return {}
        return msgspec.json.decode(self._store.blobs.read(found[-1].digest), type=dict[str, object])

    def _append(self, layer: Layer, status: str = "") -> Entry:
        entry = Entry(layer, status)
        self._entries.append(entry)
        return entry
