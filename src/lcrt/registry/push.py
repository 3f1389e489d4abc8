"""Push: a model of the store given to a registry, as a generator of progress. The manifest comes last.

Several blobs are on their way at once; what is told of them follows the order of the layers. The generator
may be closed at any time: what the registry has is noted, and the next push goes on from there.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, NotFound, StoreError
from lcrt.registry.client import Call, Client
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.manifest import TRIES, blobs_of
from lcrt.registry.options import Options
from lcrt.registry.progress import Progress, short_digest
from lcrt.registry.remote import Remote, host_of, origin
from lcrt.registry.stop import Patience, Stop
from lcrt.registry.upload import LAST_CHUNK, Target, Upload
from lcrt.store.holds import Hold
from lcrt.store.layers import MANIFEST_TYPE, Layer
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store

TICK = 0.06
"""Seconds between two reports on one blob."""

_WAIT_UNTOLD = 1.0
"""Seconds of waiting for another push that nobody needs to hear of."""


class _Typed(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str | None = None


class Pusher:
    """Pushes for one daemon; any number at a time."""

    def __init__(self, store: Store, client: Client, options: Options) -> None:
        self._store = store
        self._client = client
        self._options = options
        self._running: set[Upload] = set()
        self._is_closed = False

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
                self._keep_here(blobs, hold)
                yield from self._send(blobs, remote)
                yield Progress("pushing manifest")
                self._publish(manifest, remote, stop)
            yield Progress("success")
        finally:
            stop.set()

    def close(self) -> None:
        """Let chunks that are on their way arrive, and stop: after a few seconds for all of them together."""
        self._is_closed = True
        running = tuple(self._running)
        for upload in running:
            upload.cancel()
        deadline = time.monotonic() + LAST_CHUNK
        for upload in running:
            with contextlib.suppress(LcrtError):
                upload.wait(max(0.0, deadline - time.monotonic()))

    def _keep_here(self, blobs: Sequence[Layer], hold: Hold) -> None:
        """Keep blobs from being deleted meanwhile. Where nothing can be written nothing is deleted either."""
        try:
            hold.add(*(blob.digest for blob in blobs))
        except StoreError:
            if not all(self._store.blobs.has(blob.digest) for blob in blobs):
                raise

    def _send(self, blobs: Sequence[Layer], remote: Remote) -> Iterator[Progress]:
        """Send all blobs; the first that fails ends it."""
        target = Target(self._client, self._options, remote)
        uploads = [Upload(target, blob, self._store) for blob in blobs]
        self._start(uploads)
        try:
            for blob, upload in zip(blobs, uploads, strict=True):
                status = f"pushing {short_digest(blob.digest)}"
                while not upload.wait(TICK):
                    for each in uploads:
                        each.wait(0)
                    if upload.waiting > _WAIT_UNTOLD:
                        yield Progress(f"waiting for an earlier push of {short_digest(blob.digest)}")
                    elif upload.has_begun:
                        yield Progress(status, blob.digest, blob.size, upload.completed)
                yield Progress(status, blob.digest, blob.size, blob.size)
        finally:
            for upload in uploads:
                upload.cancel()

    def _start(self, uploads: Sequence[Upload]) -> None:
        """Begin on a few threads, each of which takes one blob after another."""
        waiting = deque(uploads)

        def work() -> None:
            with contextlib.suppress(IndexError):
                while True:
                    upload = waiting.popleft()
                    self._running.add(upload)
                    if self._is_closed:
                        upload.cancel()
                    upload.run()
                    self._running.discard(upload)

        for _ in range(min(self._options.uploads, len(uploads))):
            threading.Thread(target=work, name="lcrt-push", daemon=True).start()

    def _publish(self, manifest: Manifest, remote: Remote, stop: Stop) -> None:
        media_type = msgspec.json.decode(manifest.raw, type=_Typed).media_type or MANIFEST_TYPE
        headers = {"Content-Type": media_type}
        call = Call(
            "PUT",
            remote.manifest,
            headers,
            manifest.raw,
            repository=remote.repository,
            follow=False,
            is_slow=True,
        )
        patience = Patience(stop, self._options.first_wait, TRIES)
        while True:
            try:
                with self._client.open(call) as reply:
                    reply.check()
                    if reply.status not in (200, 201, 202):
                        raise Refused(
                            f"{host_of(remote.base)} answers {reply.status} to the manifest",
                            reply.status,
                            "is this a registry? check the name of the model",
                        )
                    return
            except Transient as error:
                patience.wait(error)
