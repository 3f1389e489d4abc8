"""Make a model: of another model, or of GGUF files whose blobs are in the store.

``create`` is a generator of progress; what goes wrong is raised from it. What the contract answers
with 400 is an InvalidRequest, everything else a StoreError or an EngineError. Nothing is changed
before the manifest is written, and no lock is held between two steps of the generator. Close a
generator that is given up: until then it keeps its blobs from being deleted.
"""

import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import msgspec

from lcrt.core.message import Message
from lcrt.core.name import ModelName, ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, ModelFormatError, StoreError, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import Header, is_gguf, read_header
from lcrt.gguf.types import FILE_TYPES
from lcrt.modelfile.detect import detect_family
from lcrt.modelfile.info import apply_info
from lcrt.modelfile.layerlist import LayerList, encode_plain, encode_sorted
from lcrt.modelfile.template import PLAIN_TEMPLATE, TemplateError, scan
from lcrt.store import layers
from lcrt.store.digest import parse_digest
from lcrt.store.layers import ModelConfig, parse_config
from lcrt.store.store import Store
from lcrt.units import human_number

_LOG = logging.getLogger("lcrt.modelfile")
_MEDIA_TYPES = {
    FileKind.MODEL: layers.MODEL,
    FileKind.ADAPTER: layers.ADAPTER,
    FileKind.PROJECTOR: layers.PROJECTOR,
}
_SOURCE_TYPES = frozenset({"F16", "BF16", "F32"})
_QUANTIZE_ALIASES = {"Q4_K": "Q4_K_M"}


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step that was taken; bytes ``completed`` of ``total`` where there is something to count."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


Pull = Callable[[ModelName], Iterator[Progress]]


def check_request(request: CreateRequest) -> ModelName:
    """Refuse what is wrong at first sight, before any answer has begun; returns the new model's name."""
    try:
        name = ModelRef.parse(request.model).name
    except ValueError as error:
        raise InvalidRequest("invalid model name") from error
    for files in (request.files, request.adapters):
        for path, digest in (files or {}).items():
            if path != "." and any(part in ("", ".", "..") for part in path.split("/")):
                raise InvalidRequest("file path must be relative")
            if not digest:
                raise InvalidRequest("invalid digest format")
    return name


def create(
    store: Store, request: CreateRequest, pull: Pull | None = None, *, keep_old: bool = False
) -> Generator[Progress, None, None]:
    """Make the model; ``keep_old`` leaves blobs that only a replaced model needed.

    ``pull`` fetches a base model that is missing; without it that is an error.
    """
    name = check_request(request)
    with store.hold() as hold:
        builder = _Builder(store, LayerList(store, hold))
        if request.from_:
            yield from builder.take_model(request.from_, pull)
        elif request.files is not None:
            yield from builder.take_files(request.files)
        else:
            raise InvalidRequest("neither 'from' or 'files' was specified")
        yield from builder.take_adapters(request.adapters or {})
        builder.check_quantize(request.quantize)
        builder.apply(request)
        for status in builder.list.statuses:
            yield Progress(status)
        yield Progress("writing manifest")
        found = tuple(layer for layer in builder.list.layers if layer.digest)
        store.publish(name, builder.config_blob(), found, keep_old=keep_old)
    yield Progress("success")


class _Builder:
    """Layers and config of the model being made."""

    def __init__(self, store: Store, layer_list: LayerList) -> None:
        self.list = layer_list
        self._store = store
        self._config = ModelConfig()
        self._headers: list[Header] = []

    def take_model(self, text: str, pull: Pull | None) -> Iterator[Progress]:
        """Start from another model: all its layers and its config."""
        try:
            name = ModelRef.parse(text).name
        except ValueError as error:
            raise InvalidRequest("invalid model name") from error
        base = self._store.find(name)
        if base is None and pull is not None:
            yield from pull(name)
            base = self._store.find(name)
        elif base is None:
            yield Progress("pulling manifest")
        if base is None:
            raise StoreError("pull model manifest: file does not exist")
        for layer in base.layers:
            self.list.reuse(layer.media_type, layer.digest, layer.size, base.name.short, layer.name)
        if base.config:
            self._config = _parse_config(self._store.blobs.read(base.config.digest))
        if (self._config.model_format or "gguf") == "gguf":
            models = base.of_type(layers.MODEL, layers.PROJECTOR)
            self._headers += [read_header(self._store.blobs.path(layer.digest)) for layer in models]

    def take_files(self, files: dict[str, str]) -> Iterator[Progress]:
        """Start from files; there must be a model among them."""
        self._check_kind(files)
        for file_name, digest in sorted(files.items()):
            yield Progress("parsing GGUF")
            header = self._add_gguf(file_name, digest)
            if keys.kind(header) is FileKind.MODEL:
                yield Progress("verifying conversion")
        if not any(layer.media_type == layers.MODEL for layer in self.list.layers):
            raise InvalidRequest("no model among the files")
        self._detect_template()

    def take_adapters(self, adapters: dict[str, str]) -> Iterator[Progress]:
        """Add an adapter to what is there."""
        if not adapters:
            return
        if len(adapters) > 1:
            raise InvalidRequest("only one adapter is currently supported")
        self._check_kind(adapters)
        for file_name, digest in adapters.items():
            yield Progress("parsing GGUF")
            header = self._add_gguf(file_name, digest)
            if keys.kind(header) is not FileKind.ADAPTER:
                raise InvalidRequest(f"`{file_name}` is not an adapter")

    def check_quantize(self, wanted: str) -> None:
        """Refuse a change of the weights' type that is impossible."""
        if not wanted:
            return
        upper = wanted.upper()
        target = _QUANTIZE_ALIASES.get(upper, upper)
        if target not in FILE_TYPES.values():
            known = "F32, F16, Q4_K_S, Q4_K_M, Q8_0"
            raise StoreError(f"unsupported quantization type {target} - supported types are {known}")
        for header in self._headers:
            if keys.kind(header) is not FileKind.MODEL or keys.quantization(header) == target:
                continue
            if keys.quantization(header) not in _SOURCE_TYPES:
                raise StoreError("quantization is only supported for F16, BF16 and F32 models")
            raise InvalidRequest(
                "quantizing while a model is made is not possible yet",
                "quantize the file with llama-quantize and create the model from the result",
            )

    def apply(self, request: CreateRequest) -> None:
        """Put the request's texts and settings over those of the base."""
        if request.template:
            _check_template(request.template)
            self.list.replace(request.template.encode(), layers.TEMPLATE, layers.PROMPT)
            self._warn_of_template(request)
        if request.system:
            self.list.replace(request.system.encode(), layers.SYSTEM)
        for text in request.license:
            self.list.add(layers.LICENSE, text.encode())
        if request.parameters:
            merged = self.list.parameters() | request.parameters
            self.list.replace(encode_sorted(merged), layers.PARAMS)
        if request.messages:
            messages = [_stored(message) for message in request.messages]
            self.list.replace(encode_plain(messages), layers.MESSAGES)
        self._config = apply_info(_with_gguf(self._config, self._headers), request.info)
        self._config = msgspec.structs.replace(
            self._config,
            renderer=request.renderer or self._config.renderer,
            parser=request.parser or self._config.parser,
            requires=request.requires or self._config.requires,
        )

    def config_blob(self) -> bytes:
        """Write the config."""
        return msgspec.json.encode(self._config)

    def _warn_of_template(self, request: CreateRequest) -> None:
        """Say what will come of a template that is kept and cannot be rendered."""
        if request.template.strip() == PLAIN_TEMPLATE:
            return
        has_other = any(keys.chat_template(header) for header in self._headers)
        what = "the one in the GGUF file is used instead" if has_other else "chats with it are refused"
        _LOG.warning("the template of %s cannot be rendered by this version: %s", request.model, what)

    def _check_kind(self, files: dict[str, str]) -> None:
        """Tell GGUF from other files by name, else by content."""
        if any(name.endswith(".safetensors") for name in files):
            raise InvalidRequest("safetensors files cannot be converted yet", "convert them to GGUF first")
        if any(name.endswith(".gguf") for name in files):
            return
        for digest in files.values():
            if is_gguf(self._blob(digest)):
                return
        raise InvalidRequest("unknown type")

    def _blob(self, digest: str) -> Path:
        path = self._store.blobs.path(digest)
        if not path.is_file():
            raise StoreError(f"blob {parse_digest(digest)}: no such file in the store")
        return path

    def _add_gguf(self, file_name: str, digest: str) -> Header:
        path = self._blob(digest)
        if not is_gguf(path):
            raise InvalidRequest("supplied file was not in GGUF format")
        try:
            header = read_header(path)
        except ModelFormatError as error:
            raise InvalidRequest(error.message) from error
        if keys.number(header, "split.count") > 1:
            raise InvalidRequest(
                f"`{file_name}` is a part of a split GGUF, which cannot be joined yet", "join the parts first"
            )
        kind = keys.kind(header)
        if kind is FileKind.MODEL and keys.architecture(header) == keys.UNKNOWN:
            raise UnsupportedModel("unknown architecture")
        self.list.reuse(_MEDIA_TYPES[kind], parse_digest(digest), header.file_size)
        self._headers.append(header)
        return header

    def _detect_template(self) -> None:
        """Take over the stop strings of a template that is known."""
        family = next(filter(None, (detect_family(keys.chat_template(header)) for header in self._headers)), None)
        if family is not None:
            self.list.say(f"using autodetected template {family.name}")
            self.list.add(layers.PARAMS, encode_sorted({"stop": family.stop}))


def _parse_config(data: bytes) -> ModelConfig:
    try:
        return parse_config(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"the base model's config is damaged: {error}") from error


def _check_template(template: str) -> None:
    try:
        scan(template)
    except TemplateError as error:
        raise InvalidRequest(f"template error: {error}") from error


def _stored(message: Message) -> dict[str, object]:
    fields: dict[str, object] = {"role": message.role, "content": message.content}
    return fields | ({"images": message.images} if message.images else {})


def _with_gguf(config: ModelConfig, headers: list[Header]) -> ModelConfig:
    """Fill what the config does not say from the files."""
    models = [header for header in headers if keys.kind(header) is FileKind.MODEL]
    families = dict.fromkeys(
        keys.architecture(header) for header in headers if keys.kind(header) is not FileKind.ADAPTER
    )
    if not models:
        return config
    header = models[-1]
    return msgspec.structs.replace(
        config,
        model_format=config.model_format or "gguf",
        model_family=config.model_family or keys.architecture(header),
        model_families=config.model_families or tuple(families),
        model_type=config.model_type or human_number(keys.parameter_count(header)),
        file_type=config.file_type or keys.quantization(header),
        architecture=config.architecture or "amd64",
        os=config.os or "linux",
    )
