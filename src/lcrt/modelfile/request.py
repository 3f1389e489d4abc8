"""A Modelfile turned into a request: which files to upload, and what to ask the server for.

Runs in the client, beside the files; nothing is read here but directory listings.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lcrt.core.message import Message
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest
from lcrt.gguf.join import beside
from lcrt.modelfile.parameters import DEPRECATED, STOP, parse_parameters
from lcrt.modelfile.parse import Command
from lcrt.modelfile.template import PLAIN_TEMPLATE

_VERSION = re.compile(r"\d+(\.\d+(\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?)?")
_WEIGHTS = (
    ("model*.safetensors", "*/model*.safetensors"),
    ("adapter*.safetensors",),
    ("consolidated*.safetensors",),
    ("pytorch_model*.bin",),
    ("consolidated*.pth",),
    ("*.gguf",),
    ("*.bin",),
)
_BESIDE = ("*.json", "*/*.json", "chat_template.jinja", "tokenizer.model", "*/tokenizer.model", "vocab.txt")
_NOT_PARAMETERS = frozenset(
    {"model", "license", "template", "system", "adapter", "draft", "renderer", "parser", "message", "requires"}
)


class Plan(msgspec.Struct, frozen=True):
    """The request without digests, the files that it needs by their names in it, and what to warn of."""

    request: CreateRequest
    files: dict[str, Path]
    adapters: dict[str, Path]
    drafts: dict[str, Path] = {}
    warnings: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that are needed, each once."""
        return tuple(dict.fromkeys([*self.files.values(), *self.adapters.values(), *self.drafts.values()]))

    def with_digests(self, digests: dict[Path, str]) -> CreateRequest:
        """Complete the request once every file has been hashed."""
        return msgspec.structs.replace(
            self.request,
            files={name: digests[path] for name, path in self.files.items()} or None,
            adapters={name: digests[path] for name, path in self.adapters.items()} or None,
            draft_files={name: digests[path] for name, path in self.drafts.items()} or None,
        )


def plan(commands: Iterable[Command], directory: Path, model: str = "", quantize: str = "") -> Plan:
    """Work out what to ask for; relative paths start from ``directory``. InvalidRequest says what is wrong."""
    commands = tuple(commands)
    values = {command.name: command.args for command in commands}
    pairs = [(command.name, command.args) for command in commands if command.name not in _NOT_PARAMETERS]
    base, files = _sources([command.args for command in commands if command.name == "model"], directory)
    drafts = _drafts([command.args for command in commands if command.name == "draft"], directory, files)
    request = CreateRequest(
        model=model,
        from_=base,
        quantize=quantize,
        template=values.get("template", ""),
        system=values.get("system", ""),
        license=tuple(command.args for command in commands if command.name == "license"),
        parameters=parse_parameters(pairs),
        messages=tuple(_message(command) for command in commands if command.name == "message"),
        renderer=values.get("renderer", ""),
        parser=values.get("parser", ""),
        requires=_version(values.get("requires", "")),
    )
    adapters = _files(_existing(directory, values["adapter"])) if "adapter" in values else {}
    return Plan(request, files, adapters, drafts, (*_deprecated(pairs), *_unrendered(request.template)))


def _deprecated(pairs: list[tuple[str, str]]) -> list[str]:
    names = dict.fromkeys(name for name, _ in pairs if name in DEPRECATED and name != STOP)
    return [f"parameter {name} is deprecated" for name in names]


def _unrendered(template: str) -> list[str]:
    if template.strip() in ("", PLAIN_TEMPLATE):
        return []
    return ["TEMPLATE is kept, but this version cannot render it: the template in the GGUF file is used, if it has one"]


def _message(command: Command) -> Message:
    role, _, content = command.args.partition(": ")
    return Message(role, content)


def _version(text: str) -> str:
    version = text.removeprefix("v")
    if text and not _VERSION.fullmatch(version):
        raise InvalidRequest("requires must be a valid semver (e.g. 0.14.0)")
    return version


def _sources(texts: list[str], directory: Path) -> tuple[str, dict[str, Path]]:
    """Tell model names from paths: the last name, and the files of all paths."""
    base = ""
    files: dict[str, Path] = {}
    for text in texts:
        path = _path(directory, text)
        if path.exists():
            files |= _files(path)
        else:
            base = text
    return base, files


def _drafts(texts: list[str], directory: Path, files: dict[str, Path]) -> dict[str, Path]:
    """List the files of a model that writes drafts; it must be another one."""
    drafts: dict[str, Path] = {}
    taken = {path.resolve() for path in files.values()}
    for text in texts:
        found = _files(_existing(directory, text))
        if taken & {path.resolve() for path in found.values()}:
            raise InvalidRequest(f"DRAFT must not reference the same local path as FROM: {text}")
        drafts |= found
    return drafts


def _path(directory: Path, text: str) -> Path:
    path = Path(text)
    if text.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise InvalidRequest(f"cannot resolve `{text}`: {error}") from error
    return directory / path


def _existing(directory: Path, text: str) -> Path:
    path = _path(directory, text)
    if not path.exists():
        raise InvalidRequest(f"stat {path}: no such file or directory")
    return path


def _files(path: Path) -> dict[str, Path]:
    """List the files that a path stands for, by their names in the request."""
    if not path.is_dir():
        return {each.name: each for each in beside(path)}
    found: list[Path] = []
    for patterns in _WEIGHTS:
        found = _glob(path, patterns)
        if found:
            break
    if not found:
        raise InvalidRequest("no Modelfile or safetensors files found")
    if found[0].suffix != ".gguf":
        found += _glob(path, _BESIDE)
    for file in found:
        _check_inside(file, path)
    return {file.relative_to(path).as_posix(): file for file in found}


def _glob(directory: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(file for pattern in patterns for file in directory.glob(pattern) if file.is_file())


def _check_inside(file: Path, directory: Path) -> None:
    """Refuse links that lead out of the directory."""
    if not file.resolve().is_relative_to(directory.resolve()):
        hint = "downloads in a cache are links: download with --local-dir" if ".cache" in file.resolve().parts else None
        raise InvalidRequest(f"insecure path: {file}", hint)
