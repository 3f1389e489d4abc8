"""A hub on loopback: repositories of files, the large ones of which lie on another host."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from urllib.parse import unquote

from lcrt.registry.hub_found import Found
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.server import Handler, Registry, digest_of

_PAGE = 2


class Hub(Registry):
    """``files`` by repository and path. Large ones lie in the storage, under their digests."""

    def __init__(self, storage: Registry) -> None:
        super().__init__()
        self.storage = storage
        self.files: dict[str, dict[str, bytes]] = {}
        self.token = ""
        self.gated = False

    def router(self, handler: Handler) -> Callable[[], None] | None:
        if self.guard is not None and not self.guard(handler):
            return None
        path = handler.path.partition("?")[0]
        may = not self.token or handler.asked.headers.get("authorization") == f"Bearer {self.token}"
        for repository, files in self.files.items():
            if path == f"/api/models/{repository}/tree/main" and (may or self.gated):
                return lambda: _list(handler, repository, files)
            if path == f"/api/v1/models/{repository}/repo/files":
                return lambda: _list_modelscope(handler, files)
            for root in (f"/{repository}/resolve/main/", f"/models/{repository}/resolve/master/"):
                if path.startswith(root) and may:
                    return lambda: self._send(handler, files.get(unquote(path.removeprefix(root))))
        code = "GatedRepo" if self.gated else "RepoNotFound"
        return lambda: handler.reply(403 if self.gated else 401, b"", X_Error_Code=code)

    def _send(self, handler: Handler, data: bytes | None) -> None:
        if data is None:
            handler.reply(404, b"", X_Error_Code="EntryNotFound")
        elif _is_large(data):
            place = f"http://{self.storage.host}/v2/x/blobs/{self.storage.put(data)}"
            handler.reply(302, Location=place)
        else:
            handler.reply(200, data)


def _is_large(data: bytes) -> bool:
    """Tell what a hub keeps by its digest: GGUFs and safetensors."""
    return data.startswith(b"GGUF") or data[8:9] == b"{"


def _list(handler: Handler, repository: str, files: dict[str, bytes]) -> None:
    """List two files at a time, as a hub lists many."""
    cursor = int(handler.path.partition("cursor=")[2] or 0)
    rows: list[dict[str, object]] = [{"type": "directory", "path": "dir", "size": 0, "oid": "0"}]
    for path, data in list(files.items())[cursor : cursor + _PAGE]:
        oid = hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()
        rows.append({"type": "file", "path": path, "size": len(data), "oid": oid})
        if _is_large(data):
            rows[-1]["lfs"] = {"oid": digest_of(data)[7:], "size": len(data)}
    more = {}
    if cursor + _PAGE < len(files):
        host = f"http://{handler.server.host}/api/models/{repository}/tree/main?recursive=true"
        more = {"Link": f'<{host}&cursor={cursor + _PAGE}>; rel="next"'}
    handler.reply(200, json.dumps(rows).encode(), **more)


def _list_modelscope(handler: Handler, files: dict[str, bytes]) -> None:
    rows = [
        {"Path": path, "Size": len(data), "Sha256": digest_of(data)[7:], "Type": "blob"} for path, data in files.items()
    ]
    handler.reply(200, json.dumps({"Code": 200, "Data": {"Files": rows}}).encode())


class Noted:
    """Makes no models: notes what one was to be made of. ``checked`` has the files' names at each check."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.checked: list[list[str]] = []
        self.files: dict[str, bytes] = {}
        self.texts: Mapping[str, str] = {}
        self.target = ""

    def check(self, found: Found) -> Generator[None, None, None]:
        self.checked.append(sorted(found.files))
        yield

    def publish(self, found: Found) -> Iterator[Progress]:
        self.files = {name: self.store.blobs.read(digest) for name, digest in found.files.items()}
        self.texts, self.target = found.texts, found.target
        return iter(())
