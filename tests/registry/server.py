"""A registry on loopback that keeps to the specification, until a test tells it to misbehave."""

import contextlib
import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

MODEL = "application/vnd.ollama.image.model"
PARAMS = "application/vnd.ollama.image.params"
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that differ everywhere."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, n)).digest() for n in range(-(-size // 32)))[:size]


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def range(self) -> tuple[int, int] | None:
        match = _RANGE.fullmatch(self.headers.get("range", ""))
        return (int(match[1]), int(match[2])) if match else None


Fault = Callable[["Handler"], bool]
"""Answers a request for a blob in its own way; False to let the registry answer."""


class Server(ThreadingHTTPServer):
    """Something that answers on a loopback port in threads of its own."""

    daemon_threads = True
    handler: type[BaseHTTPRequestHandler]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.handler)
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are no news."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    """One connection to a registry."""

    protocol_version = "HTTP/1.1"
    server: "Registry"
    asked: Asked

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._note()
        route = self.server.router(self)
        if route is not None:
            route()

    do_HEAD = do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815 -- the base's names

    def _note(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers, body)
        self.server.asked.append(self.asked)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer whole; underscores in the names of headers stand for hyphens."""
        self.begin(status, len(body), **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def send_blob(self, data: bytes) -> None:
        """Answer with the range that was asked for."""
        wanted = self.asked.range
        if wanted is None:
            self.reply(200, data)
            return
        first, last = wanted
        self.reply(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}")


class Registry(Server):
    """Repositories with manifests and blobs. ``faults`` are used up by requests for blobs, one each."""

    handler = Handler

    def __init__(self) -> None:
        super().__init__()
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.guard: Callable[[Handler], bool] | None = None
        self.promises = ""
        self.always_missing: set[str] = set()
        self.uploads: dict[str, bytearray] = {}
        self.n_uploads = 0
        self.chunk_min = 0
        self.counting = threading.Lock()
        self.upload_faults: deque[Fault] = deque()

    def add(self, repository: str, layers: dict[str, str], tag: str = "latest", config: bytes = b"{}") -> bytes:
        """Publish a model of layers, digests with their media types, whose blobs are there."""
        self.blobs[digest_of(config)] = config
        rows = [
            {"mediaType": kind, "digest": digest, "size": len(self.blobs[digest])} for digest, kind in layers.items()
        ]
        last = {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)}
        raw = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": last, "layers": rows, "unknown": [1]}, indent=1
        ).encode()
        self.manifests[f"{repository}/manifests/{tag}"] = raw
        return raw

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        self.blobs[digest] = data
        return digest

    def of(self, method: str, part: str) -> list[Asked]:
        """The requests so far whose path has ``part`` in it."""
        return [asked for asked in list(self.asked) if asked.method == method and part in asked.path]

    def router(self, handler: Handler) -> Callable[[], None] | None:
        if self.guard is not None and not self.guard(handler):
            return None
        if handler.command in ("POST", "PATCH", "PUT") or "/uploads/" in handler.path:
            return writing(handler)
        path = handler.path.partition("?")[0].removeprefix("/v2/")
        if handler.command in ("GET", "HEAD") and path in self.manifests:
            raw = self.manifests[path]
            promised = self.promises or digest_of(raw)
            return lambda: handler.reply(200, raw, Content_Type=MANIFEST, Docker_Content_Digest=promised)
        digest = path.rpartition("/blobs/")[2]
        if handler.command in ("GET", "HEAD") and digest in self.blobs.keys() - self.always_missing:
            fault = self.faults.popleft() if self.faults and handler.command == "GET" else self.always
            if fault is not None and fault(handler):
                return None
            return lambda: handler.send_blob(self.blobs[digest])
        return lambda: handler.reply(404, b'{"errors":[{"code":"UNKNOWN"}]}')


def writing(handler: Handler) -> Callable[[], None] | None:
    """Choose how to answer a request that uploads."""
    server = handler.server
    fault = server.upload_faults.popleft() if server.upload_faults and handler.command in ("PATCH", "PUT") else None
    if fault is not None and fault(handler):
        return None
    path, _, query = handler.path.partition("?")
    fields = dict(parse_qsl(query))
    if handler.command == "POST":
        return lambda: _begin_upload(handler, path, fields)
    if "/manifests/" in path:
        return lambda: _take_manifest(handler, path)
    key = path.rpartition("/")[2]
    if key not in server.uploads:
        return lambda: handler.reply(404, b"no such upload")
    steps = {"GET": _tell, "PATCH": _append, "PUT": _end_upload}
    return lambda: steps[handler.command](handler, key, fields)


def _begin_upload(handler: Handler, path: str, fields: dict[str, str]) -> None:
    server = handler.server
    if fields.get("mount") in server.blobs and fields.get("from") == "library/base":
        handler.reply(201, Location=f"/v2/library/m/blobs/{fields['mount']}")
        return
    with server.counting:
        key = f"u{server.n_uploads}"
        server.n_uploads += 1
    server.uploads[key] = bytearray()
    least = str(server.chunk_min or "")
    handler.reply(202, Location=f"{path}{key}?state=1", Range="0-0", OCI_Chunk_Min_Length=least)


def _tell(handler: Handler, key: str, fields: dict[str, str]) -> None:
    held = handler.server.uploads[key]
    place = handler.path.partition("?")[0]
    handler.reply(204, Location=f"{place}?state={len(held)}", Range=f"0-{max(len(held) - 1, 0)}")


def _append(handler: Handler, key: str, fields: dict[str, str]) -> None:
    held = handler.server.uploads[key]
    first, _, last = handler.asked.headers["content-range"].partition("-")
    if int(first) != len(held) or int(last) + 1 - int(first) != len(handler.asked.body):
        handler.reply(416, b"wrong range")
        return
    held += handler.asked.body
    place = handler.path.partition("?")[0]
    handler.reply(202, Location=f"{place}?state={len(held)}", Range=f"0-{len(held) - 1}")


def _end_upload(handler: Handler, key: str, fields: dict[str, str]) -> None:
    data = bytes(handler.server.uploads.pop(key))
    if digest_of(data) != fields["digest"]:
        handler.reply(400, b"digest invalid")
        return
    handler.server.put(data)
    handler.reply(201)


def _take_manifest(handler: Handler, path: str) -> None:
    """Refuse a manifest whose blobs are not all there."""
    wire = json.loads(handler.asked.body)
    rows = [*wire["layers"], wire["config"]]
    if handler.asked.headers["content-type"] != wire["mediaType"]:
        handler.reply(400, b"wrong type")
    elif not all(row["digest"] in handler.server.blobs for row in rows):
        handler.reply(400, b"blob unknown")
    else:
        handler.server.manifests[path.removeprefix("/v2/")] = handler.asked.body
        handler.reply(201)


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and nothing else."""

    def fault(handler: Handler) -> bool:
        handler.reply(code, b"not now", **headers)
        return True

    return fault


def drop(handler: Handler) -> bool:
    """Hang up without an answer."""
    handler.close_connection = True
    return True


def truncate(n_bytes: int) -> Fault:
    """Promise everything, send a beginning and hang up."""

    def fault(handler: Handler) -> bool:
        handler.wfile.write(_promised(handler)[:n_bytes])
        handler.close_connection = True
        return True

    return fault


def stall(n_bytes: int) -> Fault:
    """Promise everything, send a beginning and then nothing, until the server closes."""

    def fault(handler: Handler) -> bool:
        handler.wfile.write(_promised(handler)[:n_bytes])
        handler.wfile.flush()
        handler.server.closing.wait()
        handler.close_connection = True
        return True

    return fault


def trickle(n_bytes: int, pause: float) -> Fault:
    """Send a few bytes every so many seconds, until the client or the server has enough."""

    def fault(handler: Handler) -> bool:
        data = _promised(handler)
        with contextlib.suppress(OSError):
            while data and not handler.server.closing.wait(pause):
                handler.wfile.write(data[:n_bytes])
                data = data[n_bytes:]
        handler.close_connection = True
        return True

    return fault


def instead(data: bytes) -> Fault:
    """Send ranges of something else."""

    def fault(handler: Handler) -> bool:
        handler.send_blob(data)
        return True

    return fault


def whole(handler: Handler) -> bool:
    """Send everything whatever range is asked for."""
    handler.reply(200, _blob(handler))
    return True


def elsewhere(host: str, code: int = 307) -> Fault:
    """Send the client to another host."""

    def fault(handler: Handler) -> bool:
        handler.reply(code, Location=f"http://{host}{handler.path.partition('?')[0]}?signed=1")
        return True

    return fault


def shifted(handler: Handler) -> bool:
    """Send another range than the one asked for."""
    data = _blob(handler)
    first, last = handler.asked.range or (0, len(data) - 1)
    handler.reply(206, data[: last - first + 1], Content_Range=f"bytes 0-{last - first}/{len(data)}")
    return True


def _blob(handler: Handler) -> bytes:
    return handler.server.blobs[handler.path.rpartition("/blobs/")[2].partition("?")[0]]


def _promised(handler: Handler) -> bytes:
    data = _blob(handler)
    wanted = handler.asked.range
    first, last = wanted or (0, len(data) - 1)
    facts = {"Content_Range": f"bytes {first}-{last}/{len(data)}"} if wanted else {}
    handler.begin(206 if wanted else 200, last + 1 - first, **facts)
    return data[first : last + 1]
