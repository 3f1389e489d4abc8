"""One blob given to a registry, in chunks, each of which is continued where the registry says that it ends.

What was sent is noted in the store after each chunk: another process, or the next push, goes on from there.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import Cancelled, LcrtError
from lcrt.registry.chunks import Chunk, chunk_size, chunks
from lcrt.registry.client import Body, Call, Client, Reply, redirected, resolved
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.manifest import TRIES
from lcrt.registry.options import Options
from lcrt.registry.remote import Remote, host_of
from lcrt.registry.session import Session, parse_session
from lcrt.registry.stop import Patience, Stop
from lcrt.store.failure import store_error
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from lcrt.store.uploads import Record

_LOG = logging.getLogger("lcrt.registry")
_READ_SIZE = 1 << 20
_BYTES = "application/octet-stream"
_TO_STORAGE = 307
"""The answer to a chunk that is to be given to a storage; Ollama's registry gives it."""

_FORGOTTEN = frozenset({400, 404, 405, 409, 410, 416})
"""How a registry may refuse to go on with an upload that broke off."""

LAST_CHUNK = 3.0
"""Seconds for which a chunk is still sent when it is time to stop: some registries drop an upload that breaks off.

A push that is begun meanwhile waits longer than that (``Options.patience``).
"""


class Target(msgspec.Struct, frozen=True):
    """The repository that gets blobs, and how it is spoken to."""

    client: Client
    options: Options
    remote: Remote


class Upload:
    """One blob. ``completed`` counts bytes that the registry has or that are on the way.

    ``has_begun`` once the registry has said whether it has the blob; ``waiting`` counts the seconds for which
    another push of the same blob is waited for, 0 when none is. Any thread may cancel and wait.
    """

    def __init__(self, target: Target, layer: Layer, store: Store) -> None:
        self.completed = 0
        self.has_begun = False
        self.waiting = 0.0
        self._client = target.client
        self._options = target.options
        self._remote = target.remote
        self._layer = layer
        self._store = store
        self._path = store.blobs.path(layer.digest)
        self._stop = Stop()
        self._stop_by = 0.0
        self._ended = threading.Event()
        self._error: LcrtError | None = None
        self._record = Record(None)
        self._session: Session | None = None
        self._is_sure = True
        self._n_begun = 0
        self._n_steps = 0
        self._chunk_size = self._options.part_size or chunk_size(layer.size, host_of(self._remote.base))
        self._sum = ""

    def cancel(self) -> None:
        """End soon: with the chunk that is on its way, or without it if that takes long."""
        self._stop_by = time.monotonic() + LAST_CHUNK
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, not longer than ``seconds``; True when it is there. Raises what went wrong."""
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def run(self) -> None:
        """Do it, in the calling thread; whoever waits is told how it ended."""
        try:
            is_there = self._is_there_at_last()
            self.has_begun = True
            if not is_there:
                self._send()
            self.completed = self._layer.size
        except LcrtError as error:
            self._error = error
        except OSError as error:
            self._error = store_error(f"cannot read blob {self._layer.digest}", error)
        except Exception:  # noqa: BLE001 -- a thread's main: whoever waits is told
            _LOG.exception("the upload of %s failed", self._layer.digest)
            self._error = LcrtError("internal error", "the server's log says more")
        finally:
            self._ended.set()

    def _pause(self, seconds: float) -> None:
        self._stop.sleep(seconds)
        self.waiting += seconds

    def _is_there_at_last(self) -> bool:
        patience = Patience(self._stop, self._options.first_wait, TRIES)
        while True:
            try:
                self._stop.check()
                return self._is_there()
            except Transient as error:
                patience.wait(error)

    def _is_there(self) -> bool:
        with self._client.open(self._call("HEAD", self._remote.blob(self._layer.digest))) as reply:
            if reply.status == 404:
                return False
            reply.check_done()
            return True

    def _send(self) -> None:
        """Go on with what another push began, or begin. One that is just ending is waited for."""
        facts = (self._remote.base, self._remote.repository, self._layer.digest)
        with self._store.uploads.open(*facts, patience=self._options.patience, pause=self._pause) as record:
            waited, self.waiting = self.waiting, 0.0
            if waited and self._is_there_at_last():
                record.forget()
                return
            self._record = record
            self._session = parse_session(record.read())
            self._is_sure = self._session is None
            self._send_at_last()
            record.forget()

    def _send_at_last(self) -> None:
        """Send what the registry has not got; begin anew when it has forgotten the upload."""
        patience = Patience(self._stop, self._options.first_wait, self._options.tries)
        while True:
            try:
                self._send_once()
                return
            except Transient as error:
                self._is_sure = self._session is None
                patience.wait(error, self._n_steps)
            except Refused as error:
                if self._session is None or not self._is_lost(error.status):
                    raise
                _LOG.debug("%s: the upload begins anew: %s", self._layer.digest, error.message)
                self._keep(None)

    def _is_lost(self, status: int) -> bool:
        """Tell from a refusal whether the registry no longer has an upload that it had once."""
        return status == 404 or (status in _FORGOTTEN and not self._is_sure)

    @property
    def _n_taken(self) -> int:
        return self._session.completed if self._session is not None else 0

    def _send_once(self) -> None:
        """Find out where the upload stands, and send the rest."""
        if self._session is not None and not self._is_sure:
            self._keep(self._ask(self._session))
            if self._session is None and self._is_there():
                return
        if self._session is None:
            self._is_sure = True
            self._keep(self._begin())
        if self._session is not None:
            self._finish(self._send_rest(self._session))

    def _keep(self, session: Session | None) -> None:
        self._n_steps += session is not None and session.completed > self._n_taken
        self._session = session
        self.completed = self._n_taken
        self._record.write(msgspec.json.encode(session) if session is not None else b"")

    def _begin(self) -> Session | None:
        """Ask for an upload; None when the registry could take the blob from another of its repositories."""
        self._n_begun += 1
        if self._n_begun > self._options.tries:
            raise LcrtError(
                f"{host_of(self._remote.base)} forgets again and again what it was sent of {self._layer.digest}",
                "push again later, or look into that registry's log",
            )
        url = self._remote.uploads
        source = self._mountable()
        if source is not None:
            url += "?" + urlencode({"mount": self._layer.digest, "from": source})
        with self._client.open(self._call("POST", url, {"Content-Length": "0"})) as reply:
            reply.check_done()
            if reply.status == 201:
                return None
            self._chunk_size = max(self._chunk_size, _number(reply.headers.get("oci-chunk-min-length", "")))
            return Session(_next_url(reply))

    def _mountable(self) -> str | None:
        """The repository of the same registry where the layer comes from."""
        try:
            name = ModelName.parse(self._layer.from_ or "")
        except ValueError:
            return None
        is_same = name.host.lower() == host_of(self._remote.base).lower()
        return f"{name.namespace}/{name.model}" if is_same else None

    def _send_rest(self, session: Session) -> Session:
        """Send every chunk from where the upload stands."""
        for chunk in chunks(self._layer.size, self._chunk_size):
            if chunk.end > session.completed:
                self._stop.check()
                session = self._send_chunk(session, Chunk(max(chunk.start, session.completed), chunk.end))
                self._keep(session)
        return session

    def _send_chunk(self, session: Session, chunk: Chunk) -> Session:
        headers = {
            "Content-Type": _BYTES,
            "Content-Length": str(chunk.end - chunk.start),
            "Content-Range": f"{chunk.start}-{chunk.end - 1}",
            "X-Redirect-Uploads": "1",
        }
        with self._client.open(self._call("PATCH", session.url, headers, self._body(chunk))) as reply:
            is_for_storage = reply.status == _TO_STORAGE
            if not is_for_storage:
                reply.check_done()
            following = _next_url(reply)
            target = resolved(reply.url, reply.headers.get("location", "")) if is_for_storage else ""
        if is_for_storage:
            self._put_elsewhere(target, chunk)
        return session.after(chunk.end, self._sum, following)

    def _put_elsewhere(self, target: str, chunk: Chunk) -> None:
        """Give a chunk to the storage that the registry names, without what the registry knows us by."""
        headers = {"Content-Length": str(chunk.end - chunk.start)}
        call = Call("PUT", self._remote.base, headers, self._body(chunk), is_bulk=True, follow=False)
        with self._client.open(redirected(call, target)) as reply:
            reply.check_done()

    def _body(self, chunk: Chunk) -> Callable[[], Iterator[bytes]]:
        """Read a chunk from the file, as often as it has to be sent."""

        def read() -> Iterator[bytes]:
            digest = hashlib.md5(usedforsecurity=False)
            self.completed = chunk.start
            with self._path.open("rb") as file:
                file.seek(chunk.start)
                while self.completed < chunk.end:
                    self._check_time()
                    piece = file.read(min(_READ_SIZE, chunk.end - self.completed))
                    if not piece:
                        raise LcrtError(
                            f"blob {self._layer.digest} is shorter than its manifest says",
                            "`lcrt store check --repair` sets it aside; then pull or create the model again",
                        )
                    digest.update(piece)
                    yield piece
                    self.completed += len(piece)
            self._sum = digest.hexdigest()

        return read

    def _check_time(self) -> None:
        """Stop in the middle of a chunk only when it takes too long."""
        if self._stop.is_set and time.monotonic() > self._stop_by:
            raise Cancelled("stopped")

    def _ask(self, session: Session) -> Session | None:
        """Ask how far an upload is; None when the registry does not know it any more."""
        try:
            with self._client.open(self._call("GET", session.url)) as reply:
                reply.check_done()
                end = _taken(reply, session)
                url = _next_url(reply)
        except Refused:
            return None
        return session.at(end, url, self._path) if end is not None and end <= self._layer.size else None

    def _finish(self, session: Session) -> None:
        joint = "&" if "?" in session.url else "?"
        address = session.url + joint + urlencode({"digest": self._layer.digest, "etag": session.etag})
        call = self._call("PUT", address, {"Content-Length": "0"})
        with self._client.open(msgspec.structs.replace(call, is_slow=True)) as reply:
            reply.check_done()

    def _call(self, method: str, url: str, headers: dict[str, str] | None = None, body: Body = None) -> Call:
        """A request of the registry, or without its secrets of the host that it or an old record names."""
        base, repository = self._remote.base, self._remote.repository
        own = Call(method, base, headers or {}, body, repository=repository, is_bulk=body is not None, follow=not body)
        return redirected(own, url)


def _taken(reply: Reply, session: Session) -> int | None:
    """Read how many bytes a registry has; None when it does not say. ``0-0`` is one byte, or none."""
    last = reply.headers.get("range", "").rpartition("-")[2]
    if not (last.isascii() and last.isdecimal()):
        return None
    return int(last) + 1 if int(last) else min(session.completed, 1)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _next_url(reply: Reply) -> str:
    """Where an upload goes on."""
    location = reply.headers.get("docker-upload-location") or reply.headers.get("location") or ""
    if not location:
        hint = "is this a registry? its address may be wrong, or a proxy on the way may drop headers"
        raise Refused(f"{host_of(reply.url)} does not say where the upload goes on", reply.status, hint)
    return resolved(reply.url, location)
