"""The model store: the one way to models on disk for the rest of lcrt.

Layout: ``manifests/`` and ``blobs/`` below one directory, as Ollama has it. All methods may be
called from any thread. One lock orders everything that changes the store, so that deleting a
model cannot take a blob that another is being made of: whoever creates a model holds its blobs
(``hold``) from before it looks for them until its manifest is written, and blobs that a client
just uploaded or asked for are spared for a while too. Slow work (hashing, syncing, reading
weights) is done outside the lock. Other processes are not locked out; their worst is a blob that
is missing when a model is made, which is refused.
"""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import NotFound, StoreError
from lcrt.store.blobs import Blobs, BlobWriter
from lcrt.store.digest import parse_digest
from lcrt.store.layers import Layer
from lcrt.store.manifest import Manifest, Manifests, config_layer
from lcrt.store.prune import GRACE, prune

_LOG = logging.getLogger("lcrt.store")


class _Wish(msgspec.Struct, frozen=True):
    """How many clients want a blob, and since when (monotonic) the last of them."""

    n_clients: int
    since: float


class Store:
    """Models and blobs below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = Blobs(directory / "blobs")
        self._manifests = Manifests(directory / "manifests")
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._wanted: dict[str, _Wish] = {}

    def find(self, name: ModelName) -> Manifest | None:
        """Read a model, whatever the case of its name; None when there is none."""
        spelt = self._manifests.find(name)
        return self._manifests.read(spelt) if spelt else None

    def get(self, name: ModelName) -> Manifest:
        """Read a model; NotFound when there is none."""
        manifest = self.find(name)
        if manifest is None:
            raise NotFound(f"model '{name.short}' not found")
        return manifest

    def models(self) -> list[Manifest]:
        """Read all models, the latest changed first; damaged ones are left out with a warning."""
        models, errors = self._manifests.read_all()
        for error in errors:
            _LOG.warning("skipped: %s", error.message)
        return sorted(models, key=lambda model: (-model.modified, model.name.key))

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """Give a model a second name; NotFound when the source is missing."""
        with self._lock:
            manifest = self.get(source)
            target = self._spelling(destination)
            if target != manifest.name:
                self._manifests.write_raw(target, manifest.raw)

    def delete(self, name: ModelName) -> None:
        """Delete a model and the blobs that nothing else needs; NotFound when it is missing."""
        with self._lock:
            spelt = self._manifests.find(name)
            if spelt is None:
                raise NotFound(f"model '{name.short}' not found")
            digests = self._digests(spelt)
            self._manifests.remove(spelt)
            self._remove_unneeded(digests)

    def publish(self, name: ModelName, config: bytes, layers: tuple[Layer, ...], *, keep_old: bool = False) -> None:
        """Make a model of blobs that are in the store, in place of one with the same name.

        Blobs that only the replaced model needed go, unless ``keep_old``.
        """
        with self.hold() as hold:
            digest, size, _ = hold.put(config)
            with self._lock:
                self._check_present(layer.digest for layer in layers)
                spelt = self._spelling(name)
                old = self._digests(spelt)
                self._manifests.write(spelt, config_layer(digest, size), layers)
                self._grant({layer.digest for layer in layers if not layer.from_})
                if not keep_old:
                    self._remove_unneeded(old)

    def has_blob(self, digest: str) -> bool:
        """Answer a client that may go on to make a model of this blob."""
        digest = parse_digest(digest)
        with self._lock:
            found = self.blobs.has(digest)
            if found:
                self._want(digest, n_more=0)
            return found

    def keep_blob(self, writer: BlobWriter) -> bool:
        """Finish a client's blob and put it in place under its own digest; False when it was there already."""
        writer.finish()
        with self._lock:
            is_new = writer.place()
            self._want(writer.digest, n_more=1)
            return is_new

    @contextlib.contextmanager
    def hold(self) -> Iterator["Hold"]:
        """Keep blobs from being deleted for as long as the block runs."""
        hold = Hold(self._take_hold, self._put_held)
        try:
            yield hold
        finally:
            with self._lock:
                self._held.subtract(hold.digests)
                self._held += Counter()

    def prune(self, now: float | None = None) -> int:
        """Remove what no model needs; returns how many files went."""
        with self._lock:
            spared = self._spared()
            return prune(self._manifests, self.blobs, spared, time.time() if now is None else now)

    def _take_hold(self, digests: Sequence[str]) -> None:
        """Count one more user of each blob, or of none when one is missing."""
        with self._lock:
            self._check_present(digests)
            self._held.update(digests)

    def _put_held(self, data: bytes) -> tuple[str, int, bool]:
        with self.blobs.writer() as writer:
            writer.write(data)
            writer.finish()
            with self._lock:
                is_new = writer.place()
                self._held[writer.digest] += 1
            return writer.digest, writer.size, is_new

    def _check_present(self, digests: Iterable[str]) -> None:
        for digest in digests:
            if not self.blobs.has(digest):
                raise StoreError(f"blob {digest} is not in the store")

    def _spelling(self, name: ModelName) -> ModelName:
        return self._manifests.find(name) or name

    def _digests(self, name: ModelName) -> frozenset[str]:
        """List the blobs of a model, none when it is missing or damaged."""
        try:
            return self._manifests.read(name).digests
        except StoreError:
            return frozenset()

    def _remove_unneeded(self, digests: frozenset[str]) -> None:
        models, _ = self._manifests.read_all()
        needed = self._spared().union(*(model.digests for model in models))
        for digest in digests - needed:
            self.blobs.remove(digest)

    def _spared(self) -> frozenset[str]:
        limit = time.monotonic() - GRACE
        self._wanted = {digest: wish for digest, wish in self._wanted.items() if wish.since > limit}
        return frozenset(self._held) | frozenset(self._wanted)

    def _want(self, digest: str, n_more: int) -> None:
        """Note that a client wants a blob: one more client, or one who may have asked before."""
        known = self._wanted.get(digest)
        n_clients = max(1, (known.n_clients if known else 0) + n_more)
        self._wanted[digest] = _Wish(n_clients, time.monotonic())

    def _grant(self, digests: Iterable[str]) -> None:
        """Note that one client got its model: another client's wish for the same blob stands."""
        for digest in digests:
            known = self._wanted.pop(digest, None)
            if known is not None and known.n_clients > 1:
                self._wanted[digest] = _Wish(known.n_clients - 1, known.since)


class Hold:
    """The blobs that one creation counts on."""

    def __init__(self, take: Callable[[Sequence[str]], None], put: Callable[[bytes], tuple[str, int, bool]]) -> None:
        self.digests: list[str] = []
        self._take = take
        self._put = put

    def add(self, *digests: str) -> None:
        """Hold blobs that must be there; StoreError when one is missing."""
        wanted = [parse_digest(digest) for digest in digests]
        self._take(wanted)
        self.digests += wanted

    def put(self, data: bytes) -> tuple[str, int, bool]:
        """Store a small blob and hold it; returns digest, size and whether it is new."""
        digest, size, is_new = self._put(data)
        self.digests.append(digest)
        return digest, size, is_new
