"""Push: a model of the store given to a registry, as a generator of progress. The manifest comes last."""

from collections.abc import Iterator

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, NotFound
from lcrt.registry.client import Call, Client
from lcrt.registry.failure import Transient
from lcrt.registry.manifest import TRIES, blobs_of
from lcrt.registry.options import Options
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.remote import Remote, origin
from lcrt.registry.stop import Patience, Stop
from lcrt.registry.upload import Upload
from lcrt.store.layers import MANIFEST_TYPE, Layer
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store

TICK = 0.06
"""Seconds between two reports on one blob."""


class _Typed(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str | None = None


class Pusher:
    """Pushes for one daemon; any number at a time."""

    def __init__(self, store: Store, client: Client, options: Options) -> None:
        self._store = store
        self._client = client
        self._options = options

    def push(self, name: ModelName, *, insecure: bool = False) -> Iterator[Progress]:
        """Send what the registry has not got, then the manifest, byte for byte."""
        yield Progress("retrieving manifest")
        manifest = self._store.find(name)
        if manifest is None:
            yield Progress("couldn't retrieve manifest")
            raise NotFound(f"{name.short}: no such file or directory")
        remote = origin(name, insecure=insecure)
        stop = Stop()
        try:
            with self._store.hold() as hold:
                blobs = blobs_of(manifest)
                hold.add(*(blob.digest for blob in blobs))
                for blob in blobs:
                    yield from self._send(blob, remote)
                yield Progress("pushing manifest")
                self._publish(manifest, remote, stop)
            yield Progress("success")
        finally:
            stop.set()

    def _send(self, blob: Layer, remote: Remote) -> Iterator[Progress]:
        status = f"pushing {short_digest(blob.digest)}"
        upload = Upload(self._client, self._options, remote, blob, self._store.blobs.path(blob.digest))
        upload.start()
        try:
            while not upload.wait(TICK):
                if upload.has_begun:
                    yield Progress(status, blob.digest, blob.size, upload.completed)
        finally:
            upload.cancel()
        yield Progress(status, blob.digest, blob.size, blob.size)

    def _publish(self, manifest: Manifest, remote: Remote, stop: Stop) -> None:
        media_type = msgspec.json.decode(manifest.raw, type=_Typed).media_type or MANIFEST_TYPE
        headers = {"Content-Type": media_type}
        call = Call("PUT", remote.manifest, headers, manifest.raw, repository=remote.repository, follow=False)
        patience = Patience(stop, self._options.first_wait, TRIES)
        while True:
            try:
                with self._client.open(call) as reply:
                    reply.check()
                    if reply.status not in (200, 201, 202):
                        raise LcrtError(f"unexpected answer {reply.status} to the manifest")
                    return
            except Transient as error:
                patience.wait(error)
