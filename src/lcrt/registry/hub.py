"""Hubs, where people keep GGUF files in repositories: what is there, and which of it a tag means."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urljoin

import msgspec

from lcrt.core.name import DEFAULT_TAG, ModelName
from lcrt.errors import LcrtError
from lcrt.registry.client import Call, Client, Reply
from lcrt.registry.failure import Refused
from lcrt.registry.options import Mirrors
from lcrt.registry.remote import place

_T = TypeVar("_T")

HUGGING_FACE = frozenset({"hf.co", "huggingface.co"})
MODELSCOPE = frozenset({"modelscope.cn", "www.modelscope.cn"})
TEXTS = ("template", "system", "params")
"""Files beside the weights that say how to use them."""

_HF_ENDPOINT = "https://huggingface.co"
_MS_ENDPOINT = "https://www.modelscope.cn"
_LISTING_MAX = 32 << 20
_N_PAGES = 100
_NO_HUB = "is it a hub? HF_ENDPOINT, MODELSCOPE_ENDPOINT and LCRT_REGISTRY_MIRROR say which address is asked"
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_QUANT = re.compile(r"(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|B?F16|F32))$", re.IGNORECASE)
_PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q8_0", "Q6_K", "F16", "BF16", "F32")
_PREFERRED_PROJECTORS = ("F16", "BF16", "Q8_0", "F32")


class HubFile(msgspec.Struct, frozen=True):
    """A file of a repository; ``digest`` is empty where the hub does not tell it."""

    path: str
    size: int
    digest: str
    url: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Choice(msgspec.Struct, frozen=True):
    """What makes up a model: the weights, all shards of them, a projector if there is one, texts by name."""

    weights: tuple[HubFile, ...]
    projector: HubFile | None = None
    texts: tuple[HubFile, ...] = ()


class Hub(msgspec.Struct, frozen=True):
    """Where a hub is, and what it knows us by."""

    endpoint: str
    token: str
    is_modelscope: bool

    def headers(self) -> dict[str, str]:
        """What is sent to the hub, and to no other host."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _Lfs(msgspec.Struct, frozen=True):
    oid: str = ""


class _HfEntry(msgspec.Struct, frozen=True):
    path: str
    type: str = "file"
    size: int = 0
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
    """Say in words why a hub refuses."""
    code = reply.headers.get("x-error-code", "")
    page = f"{hub.endpoint}/{name.namespace}/{name.model}"
    if code == "GatedRepo" or (reply.status == 403 and not code):
        hint = f"accept its terms at {page} and let HF_TOKEN of the server hold a token of that account"
        raise Refused(f"{name.host}/{name.namespace}/{name.model} is gated", reply.status, hint)
    if reply.status in (401, 404):
        raise Refused("file does not exist", reply.status, f"check {page}; a private repository needs HF_TOKEN")
    reply.check()


def choose(files: list[HubFile], tag: str) -> Choice:
    """Find what a tag means: a quantization, or the name of a file; without one the usual quantization."""
    ggufs = [file for file in files if file.name.lower().endswith(".gguf")]
    projectors = [file for file in ggufs if "mmproj" in file.name.lower()]
    groups = _groups([file for file in ggufs if file not in projectors])
    if not groups:
        raise Refused("file does not exist", 404, "the repository has no GGUF files: look for one that has")
    texts = tuple(file for file in files if file.path in TEXTS)
    return Choice(_find(groups, tag), _best_projector(projectors), texts)


def quantization(path: str) -> str:
    """Read the quantization out of a file's name, in capitals; empty when there is none."""
    shard = _SHARD.fullmatch(path)
    stem = shard[1] if shard else path.removesuffix(".gguf").removesuffix(".GGUF")
    match = _QUANT.search(stem)
    return match[1].upper() if match else ""


def _groups(files: list[HubFile]) -> dict[str, tuple[HubFile, ...]]:
    """Put shards of one model together, under the path that they share."""
    groups: dict[str, list[HubFile]] = {}
    for file in sorted(files, key=lambda each: each.path):
        shard = _SHARD.fullmatch(file.path)
        groups.setdefault(f"{shard[1]}.gguf" if shard else file.path, []).append(file)
    return {path: tuple(found) for path, found in groups.items() if _is_complete(found)}


def _is_complete(files: list[HubFile]) -> bool:
    shard = _SHARD.fullmatch(files[0].path)
    return shard is None or len(files) == int(shard[3])


def _find(groups: dict[str, tuple[HubFile, ...]], tag: str) -> tuple[HubFile, ...]:
    by_quantization: dict[str, tuple[HubFile, ...]] = {}
    for path, files in groups.items():
        by_quantization.setdefault(quantization(path), files)
    if tag.lower() == DEFAULT_TAG:
        wanted = next((each for each in _PREFERRED if each in by_quantization), None)
        return by_quantization[wanted] if wanted else next(iter(groups.values()))
    if tag.upper() in by_quantization:
        return by_quantization[tag.upper()]
    for path, files in groups.items():
        name = path.rpartition("/")[2].lower()
        if tag.lower() in (name, name.removesuffix(".gguf"), files[0].name.lower()):
            return files
    known = ", ".join(sorted(filter(None, by_quantization)))
    raise Refused("file does not exist", 404, f"there is no `{tag}`, there are: {known or ', '.join(groups)}")


def _best_projector(files: list[HubFile]) -> HubFile | None:
    by_quantization = {quantization(file.path): file for file in files}
    wanted = next((each for each in _PREFERRED_PROJECTORS if each in by_quantization), None)
    return by_quantization[wanted] if wanted else next(iter(files), None)


def _list_hf(client: Client, hub: Hub, repository: str) -> list[HubFile]:
    url = f"{hub.endpoint}/api/models/{repository}/tree/main?recursive=true"
    files: list[HubFile] = []
    for _ in range(_N_PAGES):
        data, following = _page(client, hub, url, repository)
        for entry in _decode(data, tuple[_HfEntry, ...], hub):
            if entry.type == "file":
                digest = f"sha256:{entry.lfs.oid}" if entry.lfs and entry.lfs.oid else ""
                address = f"{hub.endpoint}/{repository}/resolve/main/{quote(entry.path)}"
                files.append(HubFile(entry.path, entry.size, digest, address))
        if following is None:
            break
        url = following
    return files


def _list_modelscope(client: Client, hub: Hub, repository: str) -> list[HubFile]:
    url = f"{hub.endpoint}/api/v1/models/{repository}/repo/files?Revision=master&Recursive=true"
    answer = _decode(_page(client, hub, url, repository)[0], _MsAnswer, hub)
    entries = answer.data.files if answer.data and answer.data.files else ()
    root = f"{hub.endpoint}/models/{repository}/resolve/master/"
    return [
        HubFile(each.path, each.size, f"sha256:{each.sha256}" if each.sha256 else "", root + quote(each.path))
        for each in entries
        if each.type == "blob"
    ]


def _page(client: Client, hub: Hub, url: str, repository: str) -> tuple[bytes, str | None]:
    """One page of a listing, and where the next one is; that must be the same host."""
    namespace, _, model = repository.partition("/")
    with client.open(Call("GET", url, hub.headers())) as reply:
        check(reply, hub, ModelName(place(hub.endpoint)[1], namespace, model, DEFAULT_TAG))
        following = _NEXT.search(reply.headers.get("link", ""))
        address = urljoin(url, following[1]) if following else None
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
