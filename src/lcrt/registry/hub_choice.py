"""Which files of a hub's repository a tag means: a GGUF in one quantization, or else the checkpoint in safetensors."""

import hashlib
import re

import msgspec

from lcrt.core.name import DEFAULT_TAG
from lcrt.errors import LcrtError
from lcrt.registry.failure import Refused
from lcrt.registry.hub import HubFile

TEXTS = ("template", "system", "params")
"""Files beside the weights that say how to use them."""

INDEX = "model.safetensors.index.json"
"""Says which files a checkpoint's tensors are in."""

RECIPE = 1
"""To be raised whenever conversion makes something else of the same files: models pulled before are then made anew."""

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_QUANT = re.compile(r"(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|B?F16|F32))$", re.IGNORECASE)
_PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q8_0", "Q6_K", "F16", "BF16", "F32")
_PREFERRED_PROJECTORS = ("F16", "BF16", "Q8_0", "F32")

_CONFIG = "config.json"
_WHOLE = "model.safetensors"
_TENSORS = re.compile(r"(?!consolidated|adapter)[\w.-]+\.safetensors", re.ASCII)
"""Weights; some repositories hold them a second time in a layout of their own."""

_SETTINGS = re.compile(
    r"(tokenizer|tokenizer_config|special_tokens_map|added_tokens|generation_config|chat_template|modules)\.json"
    r"|tokenizer\.model|vocab\.txt|chat_template\.jinja|\d_Pooling/config\.json",
    re.ASCII,
)
"""What a checkpoint needs beside its weights and `config.json`."""


class Choice(msgspec.Struct, frozen=True):
    """What makes up a model: the weights, all files of them, a projector if there is one, texts by name.

    A checkpoint has ``settings``, its `config.json` first, and is to be converted, to the type ``target`` or as it is.
    """

    weights: tuple[HubFile, ...]
    projector: HubFile | None = None
    texts: tuple[HubFile, ...] = ()
    settings: tuple[HubFile, ...] = ()
    target: str = ""

    @property
    def files(self) -> tuple[HubFile, ...]:
        """All that goes into the store."""
        return (*self.settings, *self.weights, *((self.projector,) if self.projector else ()))

    @property
    def mark(self) -> str:
        """A sum that tells what is made of these files as they are from all else; empty where the hub tells little."""
        every = sorted((*self.files, *self.texts), key=lambda file: file.path)
        rows = [(file.path, file.size, file.mark) for file in every]
        if not all(file.mark for file in every):
            return ""
        return hashlib.sha256(msgspec.json.encode([RECIPE, self.target.upper(), rows])).hexdigest()

    def indexed(self, index: bytes) -> "Choice":
        """Keep of a checkpoint the weights that its index names. LcrtError when they are not all there."""
        try:
            names = sorted(set(msgspec.json.decode(index, type=_Index).weight_map.values()))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LcrtError(f"`{INDEX}` is damaged: {error}", _ELSEWHERE) from error
        known = {file.path: file for file in self.weights}
        missing = [name for name in names if name not in known]
        if missing or not names:
            raise LcrtError(f"`{missing[0] if missing else 'the weights'}` of `{INDEX}` are not there", _ELSEWHERE)
        return msgspec.structs.replace(self, weights=tuple(known[name] for name in names))


_ELSEWHERE = "the repository is not complete: pull another one of this model"


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def choose(files: list[HubFile], tag: str) -> Choice:
    """Find what a tag means: a quantization, or the name of a file; without one the usual quantization.

    Of a checkpoint it is the type that the weights are to get. Refused says what there is.
    """
    ggufs = [file for file in files if file.name.lower().endswith(".gguf")]
    projectors = [file for file in ggufs if "mmproj" in file.name.lower()]
    groups = _groups([file for file in ggufs if file not in projectors])
    texts = tuple(file for file in files if file.path in TEXTS)
    if groups:
        return Choice(_find(groups, tag), _best_projector(projectors), texts)
    found = {file.path: file for file in files}
    weights = _tensors(found)
    if _CONFIG not in found or not weights:
        hint = "the repository has no GGUF files and no checkpoint in safetensors: look for one that has"
        raise Refused("file does not exist", 404, hint)
    settings = (found[_CONFIG], *(file for path, file in found.items() if _SETTINGS.fullmatch(path)))
    index = (found[INDEX],) if INDEX in found and _WHOLE not in found else ()
    target = "" if tag.lower() == DEFAULT_TAG else tag
    return Choice(weights, texts=texts, settings=(*settings, *index), target=target)


def _tensors(found: dict[str, HubFile]) -> tuple[HubFile, ...]:
    if _WHOLE in found:
        return (found[_WHOLE],)
    paths = [path for path in sorted(found) if _TENSORS.fullmatch(path)]
    return tuple(found[path] for path in [path for path in paths if path.startswith("model")] or paths)


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
