"""Pull: a model from a registry into the store, as a generator of progress.

The generator may be closed at any time; what has come stays on disk and the next pull goes on from there.
"""

from collections.abc import Iterator

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, StoreError
from lcrt.registry.client import Call, Client
from lcrt.registry.download import Line
from lcrt.registry.manifest import blobs_of, fetch_manifest
from lcrt.registry.options import Options, PullRequest
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.rate import Limit
from lcrt.registry.remote import Remote, remotes
from lcrt.registry.source import Source
from lcrt.registry.space import check_space
from lcrt.registry.stop import Stop
from lcrt.registry.transfer import Transfers, Wanted
from lcrt.store.layers import Layer
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store

TICK = 0.06
"""Seconds between two reports on one blob."""


class Puller:
    """Pulls for one daemon; any number at a time."""

    def __init__(self, store: Store, client: Client, options: Options) -> None:
        self.store = store
        self.client = client
        self.options = options
        self._transfers = Transfers(store)
        self._limit = Limit(options.limit_rate)

    def pull(self, name: ModelName, request: PullRequest) -> Iterator[Progress]:
        """Fetch what the store has not got, and publish the manifest as it came."""
        yield Progress("pulling manifest")
        if request.offline or self.options.offline:
            self._check_here(name)
            yield Progress("success")
            return
        stop = Stop()
        try:
            places = remotes(name, self.options.mirrors, insecure=request.insecure)
            manifest, places = fetch_manifest(self.client, places, name, self.options, stop)
            try:
                yield from self._take(manifest, places, request)
            except StoreError:
                # A store that cannot be written may have all of it already.
                if not self._is_here(manifest):
                    raise
            yield Progress("success")
        finally:
            stop.set()

    def _take(self, manifest: Manifest, places: tuple[Remote, ...], request: PullRequest) -> Iterator[Progress]:
        """Fetch the blobs and publish the manifest."""
        with self.store.hold() as hold:
            blobs = blobs_of(manifest)
            hold.reserve(*(blob.digest for blob in blobs))
            self.check_space(blobs)
            limit = Limit(request.limit_rate)
            for blob in blobs:
                yield from self.fetch(blob, self._source(blob, places), limit)
            yield Progress("verifying sha256 digest")
            yield Progress("writing manifest")
            yield from self._publish(manifest, keep_old=request.keep_old)

    def _is_here(self, manifest: Manifest) -> bool:
        """Tell whether the store has this very model whole."""
        here = self.store.find(manifest.name)
        return here is not None and here.raw == manifest.raw and self.has(here)

    def has(self, manifest: Manifest) -> bool:
        """Tell whether all blobs are there in their sizes. Whether their bytes are right `lcrt store check` reads."""
        return all(self.store.blobs.has(blob.digest, blob.size) for blob in blobs_of(manifest))

    def check_space(self, blobs: tuple[Layer, ...], to_come: int = 0) -> None:
        """Refuse to begin what the disk cannot hold: what is missing, and ``to_come`` bytes that are made of it."""
        has = self.store.blobs.has
        missing = ((blob.digest, blob.size) for blob in blobs if not has(blob.digest, blob.size))
        check_space(self.store.blobs, missing, to_come)

    def fetch(self, blob: Layer, source: Source, limit: Limit) -> Iterator[Progress]:
        """Fetch a blob unless it is there, alone or with others who want it."""
        status = f"pulling {short_digest(blob.digest)}"
        if not self.store.blobs.has(blob.digest, blob.size):
            line = Line(source, self.options, (self._limit, limit))
            with self._transfers.join(Wanted(blob.digest, blob.size, line)) as transfer:
                while not transfer.wait(TICK):
                    yield Progress(status, blob.digest, blob.size, transfer.completed)
        yield Progress(status, blob.digest, blob.size, blob.size)

    def _check_here(self, name: ModelName) -> None:
        """Without a network a model is here or it is not."""
        manifest = self.store.find(name)
        if manifest is None or not self.has(manifest):
            what = "is not" if manifest is None else "is not whole"
            raise LcrtError(
                f"offline: {name.short} {what} on this machine", "pull it without --offline or LCRT_OFFLINE"
            )

    def _source(self, blob: Layer, places: tuple[Remote, ...]) -> Source:
        calls = (Call("GET", each.blob(blob.digest), repository=each.repository, is_bulk=True) for each in places)
        return Source(self.client, tuple(calls))

    def _publish(self, manifest: Manifest, *, keep_old: bool) -> Iterator[Progress]:
        old = self._old_digests(manifest.name)
        try:
            self.store.publish_raw(manifest.name, manifest.raw, keep_old=keep_old)
        except StoreError as error:
            hint = error.hint or "`lcrt store check --repair` sets damaged blobs aside; then pull again"
            raise StoreError(error.message, hint) from error
        if any(not self.store.blobs.has(digest) for digest in old):
            yield Progress("removing unused layers")

    def _old_digests(self, name: ModelName) -> frozenset[str]:
        """What the model that is to be replaced is made of, as far as it is there."""
        try:
            old = self.store.find(name)
        except StoreError:
            return frozenset()
        return frozenset(digest for digest in old.digests if self.store.blobs.has(digest)) if old else frozenset()
