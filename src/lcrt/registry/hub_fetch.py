"""Files of a hub fetched into the store, for one pull."""

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.client import Call
from lcrt.registry.failure import Transient
from lcrt.registry.hub import Hub, HubFile, check
from lcrt.registry.manifest import TRIES
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.pull import Puller
from lcrt.registry.rate import Limit
from lcrt.registry.source import Source
from lcrt.registry.stop import Patience, Stop
from lcrt.store.digest import parse_digest
from lcrt.store.holds import Hold
from lcrt.store.layers import Layer

_SMALL_MAX = 64 << 20
_TEXT_MAX = 1 << 20


class Place(msgspec.Struct, frozen=True):
    """The repository that files come from."""

    hub: Hub
    name: ModelName


class Fetch:
    """The files that have come so far: ``digests`` by their paths, each held until the hold ends."""

    def __init__(self, puller: Puller, place: Place, hold: Hold, request: PullRequest, stop: Stop) -> None:
        self.digests: dict[str, str] = {}
        self._puller = puller
        self._place = place
        self._hold = hold
        self._limit = Limit(request.limit_rate)
        self._stop = stop

    def take(self, files: Sequence[HubFile], to_come: int = 0) -> Iterator[Progress]:
        """Fetch files; what has no known digest must be small. There must be room for ``to_come`` bytes besides."""
        known = (file for file in files if file.digest)
        layers = {file.path: Layer(digest=parse_digest(file.digest), size=file.size) for file in known}
        self._hold.reserve(*(layer.digest for layer in layers.values()))
        self._puller.check_space(tuple(layers.values()), to_come)
        for file in files:
            yield from self._large(file, layers[file.path]) if file.path in layers else self._small(file)

    def text(self, file: HubFile) -> str:
        """Read a small file without storing it."""
        try:
            return self._read(file, _TEXT_MAX).decode()
        except UnicodeDecodeError as error:
            raise LcrtError(
                f"`{file.path}` of {self._place.name.full} is not UTF-8: {error}",
                "download its GGUF yourself, then `lcrt create NAME --from FILE.gguf`",
            ) from error

    def _large(self, file: HubFile, layer: Layer) -> Iterator[Progress]:
        call = Call("GET", file.url, self._place.hub.headers(), is_bulk=True)
        judge = partial(check, hub=self._place.hub, name=self._place.name)
        yield from self._puller.fetch(layer, Source(self._puller.client, (call,), judge), self._limit)
        self.digests[file.path] = layer.digest

    def _small(self, file: HubFile) -> Iterator[Progress]:
        digest, size, _ = self._hold.put(self._read(file, _SMALL_MAX))
        yield Progress(f"pulling {short_digest(digest)}", digest, size, size)
        self.digests[file.path] = digest

    def _read(self, file: HubFile, limit: int) -> bytes:
        if file.size > limit:
            raise LcrtError(f"`{file.path}` is too large to be taken without a digest", "pull another file")
        patience = Patience(self._stop, self._puller.options.first_wait, TRIES)
        while True:
            try:
                with self._puller.client.open(Call("GET", file.url, self._place.hub.headers())) as reply:
                    check(reply, self._place.hub, self._place.name)
                    return reply.read(limit)
            except Transient as error:
                patience.wait(error)
