"""Models in the folders of other programs: LM Studio, and the cache of the Hugging Face hub.

Only directory listings are read here. The names are those under which the hub knows the models.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from lcrt.core.name import ModelName

_QUANTIZATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_[A-Z]+)*|BF16|F16|F32|FP16|FP32))$", re.IGNORECASE
)
_SHARD = re.compile(r"-(\d{5})-of-\d{5}$")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_UNFIT_PART = re.compile(r"[^A-Za-z0-9_.-]+")
_PROJECTOR = "mmproj"
_CACHE_PREFIX = "models--"
_HUB = "hf.co"
_MAX_LEN = 80


class Found(msgspec.Struct, frozen=True):
    """A model that can be made of files: its weights first, in their parts if they are split, then a projector."""

    name: ModelName
    files: tuple[Path, ...]


def lm_studio_folder(_environ: Mapping[str, str], home: Path) -> Path:
    """Say where LM Studio keeps models: where its pointer leads, else in its usual places."""
    pointer = home / ".lmstudio-home-pointer"
    places = [home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]
    with contextlib.suppress(OSError):
        places.insert(0, Path(pointer.read_text().strip()) / "models")
    return next((place for place in places if place.is_dir()), places[-2])


def hub_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Say where the hub's client keeps its cache."""
    if environ.get("HF_HUB_CACHE"):
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache").expanduser() / "huggingface" / "hub"


def is_hub_cache(folder: Path) -> bool:
    """Tell the hub's cache from other folders."""
    return any(entry.is_dir() for entry in folder.glob(f"{_CACHE_PREFIX}*"))


def read_tree(folder: Path) -> list[Found]:
    """List the models below a folder of either kind, in order of their names."""
    found = _read_hub(folder) if is_hub_cache(folder) else _read_publishers(folder)
    return sorted(found, key=lambda model: model.name.key)


def _read_hub(folder: Path) -> list[Found]:
    found: list[Found] = []
    for repository in folder.glob(f"{_CACHE_PREFIX}*--*"):
        owner, _, model = repository.name.removeprefix(_CACHE_PREFIX).partition("--")
        snapshot = _snapshot(repository)
        if snapshot is not None:
            found += _models(_HUB, owner, model, snapshot.rglob("*.gguf"))
    return found


def _snapshot(repository: Path) -> Path | None:
    """Choose the revision that ``main`` names, else the one changed last."""
    snapshots = repository / "snapshots"
    with contextlib.suppress(OSError):
        named = snapshots / (repository / "refs" / "main").read_text().strip()
        if named.parent == snapshots and named.is_dir():
            return named
    others = [path for path in snapshots.glob("*") if path.is_dir()]
    return max(others, key=lambda path: path.stat().st_mtime, default=None)


def _read_publishers(folder: Path) -> list[Found]:
    found: list[Found] = []
    for repository in folder.glob("*/*"):
        if repository.is_dir() and not repository.name.startswith("."):
            owner = repository.parent.name
            found += _models("", owner, repository.name, repository.rglob("*.gguf"))
    return found


def _models(host: str, owner: str, model: str, paths: Iterable[Path]) -> list[Found]:
    files = sorted(path for path in paths if path.is_file())
    projectors = tuple(path for path in files if _PROJECTOR in path.name.lower())
    found: list[Found] = []
    stems = [_stem(path) for path in files if path not in projectors]
    for stem in dict.fromkeys(stems):
        shards = [path for path in files if _stem(path) == stem]
        name = _name(host, owner, model, _tag(stem, stems))
        found.append(Found(name, (*shards, *_beside(shards[0], projectors))))
    return found


def _stem(path: Path) -> str:
    return _SHARD.sub("", path.stem)


def _beside(path: Path, projectors: tuple[Path, ...]) -> tuple[Path, ...]:
    """Choose one projector: in the same folder if there is one."""
    near = [projector for projector in projectors if projector.parent == path.parent]
    return tuple((near or list(projectors))[:1])


def _tag(stem: str, stems: list[str]) -> str:
    """Name a file by its quantization, or wholly where that is not clear."""
    match = _QUANTIZATION.search(stem)
    if match is None:
        return "latest" if len(set(stems)) == 1 else stem
    same = {other for other in stems if (found := _QUANTIZATION.search(other)) and found[1].upper() == match[1].upper()}
    return match[1].upper() if len(same) == 1 else stem


def _name(host: str, owner: str, model: str, tag: str) -> ModelName:
    default = ModelName.parse("x")
    return ModelName(
        host=host or default.host,
        namespace=_fit(_UNFIT, owner),
        model=_fit(_UNFIT_PART, model),
        tag=_fit(_UNFIT_PART, tag),
    )


def _fit(unfit: re.Pattern[str], text: str) -> str:
    """Spell a part of a name within the grammar."""
    return unfit.sub("-", text).lstrip("-.")[:_MAX_LEN] or "_"
