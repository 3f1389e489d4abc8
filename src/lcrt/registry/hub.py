"""Hubs, where people keep models in repositories of files: where they are, what is there, why they refuse."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from lcrt.core.name import DEFAULT_TAG, ModelName
from lcrt.errors import LcrtError
from lcrt.registry.client import Call, Client, Reply, resolved
from lcrt.registry.failure import Refused
from lcrt.registry.options import Mirrors
from lcrt.registry.remote import place

_T = TypeVar("_T")

HUGGING_FACE = frozenset({"hf.co", "huggingface.co"})
MODELSCOPE = frozenset({"modelscope.cn", "www.modelscope.cn"})

_HF_ENDPOINT = "https://huggingface.co"
_MS_ENDPOINT = "https://www.modelscope.cn"
_LISTING_MAX = 32 << 20
_N_PAGES = 100
_NO_HUB = "is it a hub? HF_ENDPOINT, MODELSCOPE_ENDPOINT and LCRT_REGISTRY_MIRROR say which address is asked"
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')


class HubFile(msgspec.Struct, frozen=True):
    """A file of a repository; ``digest`` is empty where the hub does not tell it.

    ``mark`` is another for another content, and empty where the hub tells nothing of that kind.
    """

    path: str
    size: int
    digest: str
    url: str
    mark: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Hub(msgspec.Struct, frozen=True):
    """Where a hub is, and what it knows us by."""

    endpoint: str
    token: str
    is_modelscope: bool

    @property
    def token_name(self) -> str:
        """The variable that a person puts the token in."""
        return "MODELSCOPE_API_TOKEN" if self.is_modelscope else "HF_TOKEN"

    def headers(self) -> dict[str, str]:
        """What is sent to the hub, and to no other host."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _Lfs(msgspec.Struct, frozen=True):
    oid: str = ""


class _HfEntry(msgspec.Struct, frozen=True):
    path: str
    type: str = "file"
    size: int = 0
    oid: str = ""
    lfs: _Lfs | None = None


class _MsEntry(msgspec.Struct, frozen=True, rename="pascal"):
    path: str
    size: int = 0
    sha256: str | None = ""
    type: str = "blob"


class _MsFiles(msgspec.Struct, frozen=True, rename="pascal"):
    files: tuple[_MsEntry, ...] | None = None


class _MsAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    data: _MsFiles | None = None


def hub_of(name: ModelName, environ: Mapping[str, str], mirrors: Mirrors, home: Path) -> Hub | None:
    """The hub that a name points to, None when its host is a registry. A mirror is not told our token."""
    host = name.host.lower()
    mirror = dict(mirrors).get(host)
    if host in HUGGING_FACE:
        endpoint = mirror or environ.get("HF_ENDPOINT") or _HF_ENDPOINT
        return Hub(endpoint.rstrip("/"), "" if mirror else _hf_token(environ, home), is_modelscope=False)
    if host in MODELSCOPE:
        endpoint = mirror or environ.get("MODELSCOPE_ENDPOINT") or _MS_ENDPOINT
        return Hub(endpoint.rstrip("/"), "" if mirror else environ.get("MODELSCOPE_API_TOKEN", ""), is_modelscope=True)
    return None


def list_files(client: Client, hub: Hub, name: ModelName) -> list[HubFile]:
    """List a repository; LcrtError says what is in the way."""
    repository = f"{name.namespace}/{name.model}"
    return _list_modelscope(client, hub, repository) if hub.is_modelscope else _list_hf(client, hub, repository)


def check(reply: Reply, hub: Hub, name: ModelName) -> None:
    """Say in words why a hub refuses, or why the storage does that it points to."""
    code = reply.headers.get("x-error-code", "")
    is_hub = bool(code) or place(reply.url) == place(hub.endpoint)
    page = f"{hub.endpoint}/{name.namespace}/{name.model}"
    if code == "GatedRepo" or (reply.status == 403 and is_hub and not code):
        hint = f"accept its terms at {page} and let {hub.token_name} of the server hold a token of that account"
        raise Refused(f"{name.host}/{name.namespace}/{name.model} is gated", reply.status, hint)
    if reply.status in (401, 404) and is_hub:
        raise Refused(
            "file does not exist",
            reply.status,
            f"check {page}; a private repository needs {hub.token_name}, a valid one",
        )
    reply.check()


def _list_hf(client: Client, hub: Hub, repository: str) -> list[HubFile]:
    url = f"{hub.endpoint}/api/models/{repository}/tree/main?recursive=true"
    files: list[HubFile] = []
    for _ in range(_N_PAGES):
        data, following = _page(client, hub, url, repository)
        for entry in _decode(data, tuple[_HfEntry, ...], hub):
            if entry.type == "file":
                digest = f"sha256:{entry.lfs.oid}" if entry.lfs and entry.lfs.oid else ""
                address = f"{hub.endpoint}/{repository}/resolve/main/{quote(entry.path)}"
                files.append(HubFile(entry.path, entry.size, digest, address, digest or entry.oid))
        if following is None:
            break
        url = following
    return files


def _list_modelscope(client: Client, hub: Hub, repository: str) -> list[HubFile]:
    url = f"{hub.endpoint}/api/v1/models/{repository}/repo/files?Revision=master&Recursive=true"
    answer = _decode(_page(client, hub, url, repository)[0], _MsAnswer, hub)
    entries = answer.data.files if answer.data and answer.data.files else ()
    root = f"{hub.endpoint}/models/{repository}/resolve/master/"
    found = (each for each in entries if each.type == "blob")
    digests = ((each, f"sha256:{each.sha256}" if each.sha256 else "") for each in found)
    return [HubFile(each.path, each.size, digest, root + quote(each.path), digest) for each, digest in digests]


def _page(client: Client, hub: Hub, url: str, repository: str) -> tuple[bytes, str | None]:
    """One page of a listing, and where the next one is; that must be the same host."""
    namespace, _, model = repository.partition("/")
    with client.open(Call("GET", url, hub.headers())) as reply:
        check(reply, hub, ModelName(place(hub.endpoint)[1], namespace, model, DEFAULT_TAG))
        following = _NEXT.search(reply.headers.get("link", ""))
        address = resolved(url, following[1]) if following else None
        return reply.read(_LISTING_MAX), address if address and place(address) == place(url) else None


def _decode(data: bytes, kind: type[_T], hub: Hub) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LcrtError(f"{hub.endpoint} answered with no list of files: {error}", _NO_HUB) from error


def _hf_token(environ: Mapping[str, str], home: Path) -> str:
    if environ.get("HF_TOKEN"):
        return environ["HF_TOKEN"].strip()
    folder = Path(environ.get("HF_HOME") or home / ".cache" / "huggingface")
    try:
        return Path(environ.get("HF_TOKEN_PATH") or folder / "token").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
