"""One blob given to a registry, in chunks, each of which is continued where the registry says that it ends."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urljoin

import msgspec

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.client import Body, Call, Client, Reply
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.manifest import TRIES
from lcrt.registry.options import Options
from lcrt.registry.remote import Remote, host_of
from lcrt.registry.stop import Patience, Stop
from lcrt.store.failure import store_error
from lcrt.store.layers import Layer

_LOG = logging.getLogger("lcrt.registry")
_READ_SIZE = 1 << 20
_CHUNK_MIN = 100_000_000
_CHUNK_MAX = 1_000_000_000
_N_CHUNKS = 16
_BYTES = "application/octet-stream"


class Chunk(msgspec.Struct, frozen=True):
    """Bytes ``start`` up to, without, ``end``."""

    start: int
    end: int


def chunks(size: int, chunk_size: int = 0) -> list[Chunk]:
    """Cut a blob as Ollama does."""
    step = chunk_size or min(max(size // _N_CHUNKS, _CHUNK_MIN), _CHUNK_MAX)
    return [Chunk(start, min(start + step, size)) for start in range(0, size, step)] or [Chunk(0, 0)]


class Upload:
    """Runs in a thread of its own; ``completed`` counts bytes that the registry has or that are on the way.

    ``has_begun`` once the registry has said whether it has the blob.
    """

    def __init__(self, client: Client, options: Options, remote: Remote, layer: Layer, path: Path) -> None:
        self.completed = 0
        self.has_begun = False
        self._client = client
        self._options = options
        self._remote = remote
        self._layer = layer
        self._path = path
        self._stop = Stop()
        self._ended = threading.Event()
        self._error: LcrtError | None = None
        self._sums: dict[int, bytes] = {}
        self._url: str | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="lcrt-push", daemon=True).start()

    def cancel(self) -> None:
        """End soon."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, not longer than ``seconds``; True when it is there. Raises what went wrong."""
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            is_there = self._is_there_at_last()
            self.has_begun = True
            if not is_there:
                self._send_all()
            self.completed = self._layer.size
        except LcrtError as error:
            self._error = error
        except OSError as error:
            self._error = store_error(f"cannot read blob {self._layer.digest}", error)
        except Exception:  # noqa: BLE001 -- a thread's main: whoever waits is told
            _LOG.exception("the upload of %s failed", self._layer.digest)
            self._error = LcrtError("internal error, see the server's log")
        finally:
            self._ended.set()

    def _is_there_at_last(self) -> bool:
        patience = Patience(self._stop, self._options.first_wait, TRIES)
        while True:
            try:
                return self._is_there()
            except Transient as error:
                patience.wait(error)

    def _is_there(self) -> bool:
        with self._client.open(self._call("HEAD", self._remote.blob(self._layer.digest))) as reply:
            if reply.status == 404:
                return False
            reply.check()
            return True

    def _send_all(self) -> None:
        """Begin an upload and send what the registry has not got; begin anew when it has forgotten the upload."""
        patience = Patience(self._stop, self._options.first_wait, self._options.tries)
        while True:
            before = self.completed
            try:
                self._url = self._url or self._begin()
                if self._url is not None:
                    self._send_rest(self._url)
                return
            except Transient as error:
                patience.wait(error)
                self._url = self._where(self._url) if self._url is not None else None
                if self.completed > before:
                    patience.reset()

    def _begin(self) -> str | None:
        """Ask for an upload; None when the registry could take the blob from another of its repositories."""
        self.completed = 0
        self._sums = {}
        url = self._remote.uploads
        source = self._mountable()
        if source is not None:
            url += "?" + urlencode({"mount": self._layer.digest, "from": source})
        with self._client.open(self._call("POST", url, {"Content-Length": "0"})) as reply:
            reply.check()
            return None if reply.status == 201 else _next_url(reply, self._remote.uploads)

    def _mountable(self) -> str | None:
        """The repository of the same registry where the layer comes from."""
        try:
            name = ModelName.parse(self._layer.from_ or "")
        except ValueError:
            return None
        is_same = name.host.lower() == host_of(self._remote.base).lower()
        return f"{name.namespace}/{name.model}" if is_same else None

    def _send_rest(self, url: str) -> None:
        """Send every chunk from where the upload stands, and end it."""
        for number, chunk in enumerate(chunks(self._layer.size, self._options.part_size)):
            if chunk.end > self.completed or chunk.start == chunk.end == 0:
                self._url = url = self._send(url, number, Chunk(max(chunk.start, self.completed), chunk.end))
        self._finish(url)

    def _send(self, url: str, number: int, chunk: Chunk) -> str:
        headers = {
            "Content-Type": _BYTES,
            "Content-Length": str(chunk.end - chunk.start),
            "Content-Range": f"{chunk.start}-{max(chunk.end - 1, 0)}",
            "X-Redirect-Uploads": "1",
        }
        with self._client.open(self._call("PATCH", url, headers, self._body(number, chunk))) as reply:
            reply.check()
            following = _next_url(reply, url)
            target = urljoin(url, reply.headers.get("location", "")) if reply.status == 307 else ""
        if target:
            self._put_elsewhere(target, number, chunk)
        self.completed = chunk.end
        return following

    def _put_elsewhere(self, target: str, number: int, chunk: Chunk) -> None:
        """Give a chunk to the storage that the registry names, without what the registry knows us by."""
        self.completed = chunk.start
        headers = {"Content-Length": str(chunk.end - chunk.start)}
        body = self._body(number, chunk)
        with self._client.open(Call("PUT", target, headers, body, is_bulk=True, follow=False)) as reply:
            reply.check()

    def _body(self, number: int, chunk: Chunk) -> Callable[[], Iterator[bytes]]:
        """Read a chunk from the file, as often as it has to be sent."""

        def read() -> Iterator[bytes]:
            digest = hashlib.md5(usedforsecurity=False)
            self.completed = chunk.start
            with self._path.open("rb") as file:
                file.seek(chunk.start)
                while self.completed < chunk.end:
                    self._stop.check()
                    piece = file.read(min(_READ_SIZE, chunk.end - self.completed))
                    if not piece:
                        raise LcrtError(f"blob {self._layer.digest} is shorter than its manifest says")
                    digest.update(piece)
                    yield piece
                    self.completed += len(piece)
            self._sums[number] = digest.digest()

        return read

    def _where(self, url: str) -> str | None:
        """Ask how far an upload is and go on from there; None when the registry does not know it any more."""
        try:
            with self._client.open(self._call("GET", url)) as reply:
                reply.check()
                last = reply.headers.get("range", "").rpartition("-")[2]
                self.completed = int(last) + 1 if last.isdecimal() and int(last) else 0
                return _next_url(reply, url)
        except (Refused, Transient):
            return None

    def _finish(self, url: str) -> None:
        sums = b"".join(self._sums[number] for number in sorted(self._sums))
        tag = f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(self._sums)}"
        joint = "&" if "?" in url else "?"
        address = url + joint + urlencode({"digest": self._layer.digest, "etag": tag})
        with self._client.open(self._call("PUT", address, {"Content-Length": "0"})) as reply:
            reply.check()

    def _call(self, method: str, url: str, headers: dict[str, str] | None = None, body: Body = None) -> Call:
        repository = self._remote.repository
        return Call(method, url, headers or {}, body, repository=repository, is_bulk=body is not None, follow=not body)


def _next_url(reply: Reply, url: str) -> str:
    """Where an upload goes on."""
    location = reply.headers.get("docker-upload-location") or reply.headers.get("location") or ""
    if not location:
        raise Refused(f"{host_of(url)} does not say where the upload goes on", reply.status)
    return urljoin(url, location)
