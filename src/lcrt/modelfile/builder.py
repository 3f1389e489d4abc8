"""Layers and config of a model that is being made, step by step."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping

import msgspec

from lcrt.core.message import Message
from lcrt.core.name import ModelName, ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, StoreError
from lcrt.gguf import keys
from lcrt.gguf.reader import Header
from lcrt.modelfile import quantize
from lcrt.modelfile.detect import Usual, detect_family, usual
from lcrt.modelfile.info import apply_info
from lcrt.modelfile.layerlist import LayerList, encode_plain, encode_sorted
from lcrt.modelfile.template import PLAIN_TEMPLATE, TemplateError, scan
from lcrt.modelfile.weights import Weights
from lcrt.store import layers
from lcrt.store.layers import ModelConfig, parse_config
from lcrt.store.store import Store
from lcrt.task.progress import Progress
from lcrt.units import human_number

_LOG = logging.getLogger("lcrt.modelfile")

Pull = Callable[[ModelName], Iterator[Progress]]
Steps = Generator[Progress, None, None]


class Builder:
    """Layers and config of the model being made."""

    def __init__(self, store: Store, layer_list: LayerList, target: str = "", draft_target: str = "") -> None:
        self.list = layer_list
        self._store = store
        self._config = ModelConfig()
        self._weights = Weights(store, layer_list, {layers.MODEL: target, layers.DRAFT: draft_target})
        self._target = target

    def close(self) -> None:
        """Remove what was made on the way; what is in place stays for whoever holds it."""
        self._weights.close()

    def take_model(self, text: str, pull: Pull | None) -> Steps:
        """Start from another model: all its layers and its config."""
        try:
            name = ModelRef.parse(text).name
        except ValueError as error:
            raise InvalidRequest("invalid model name") from error
        base = self._store.find(name)
        if base is None and pull is not None:
            yield from (step for step in pull(name) if step.status != "success")
            base = self._store.find(name)
        elif base is None:
            yield Progress("pulling manifest")
        if base is None:
            raise StoreError("pull model manifest: file does not exist")
        entries = [self.list.reuse(msgspec.structs.replace(layer, from_=base.name.short)) for layer in base.layers]
        if base.config:
            self._config = _parse_config(self._store.blobs.read(base.config.digest))
        if (self._config.model_format or "gguf") == "gguf":
            self._weights.inherit(entries)

    def take_files(self, files: Mapping[str, str]) -> Steps:
        """Start from files; there must be a model among them."""
        yield from self._weights.take(files)
        if not self._weights.of_type(layers.MODEL):
            raise InvalidRequest("no model among the files")

    def take_adapters(self, adapters: Mapping[str, str]) -> Steps:
        """Add an adapter to what is there."""
        if adapters:
            weights = [name for name in adapters if name.endswith(".safetensors")] or list(adapters)
            if len(weights) > 1:
                raise InvalidRequest("only one adapter is currently supported")
            yield from self._weights.take(adapters, layers.ADAPTER)

    def take_draft(self, files: Mapping[str, str]) -> Steps:
        """Put another model beside the first, that guesses what it will say."""
        if not files:
            return
        self.list.drop(layers.DRAFT)
        self._weights.drop(layers.DRAFT)
        yield from self._weights.take(files, layers.DRAFT)
        self._check_vocabularies()
        yield from self._weights.quantize(layers.DRAFT)
        header = self._weights.of_type(layers.DRAFT)[-1]
        facts = {"model_format": "gguf", "architecture": keys.architecture(header)}
        self._config = msgspec.structs.replace(self._config, draft=msgspec.Raw(msgspec.json.encode(facts)))

    def _check_vocabularies(self) -> None:
        """Refuse a draft whose tokens cannot be the model's; whether they are, all of them, is seen at load."""
        lengths = [keys.vocabulary_len(header) for header in self._weights.of_type(layers.MODEL, layers.DRAFT)]
        known = sorted(length for length in lengths if length)
        if known and known[0] != known[-1]:
            raise InvalidRequest(
                f"the DRAFT model has another vocabulary than the model: {known[0]} tokens and {known[-1]}",
                "it must be a smaller model of the same family",
            )

    def quantize(self, importance: str) -> Steps:
        """Give the model's own weights the type that was asked for."""
        if self._target and not self._weights.of_type(layers.MODEL):
            raise StoreError(quantize.ONLY_FROM)
        yield from self._weights.quantize(layers.MODEL, importance)
        if self._target:
            self._config = msgspec.structs.replace(self._config, file_type=self._target)

    def finish_files(self) -> Steps:
        """End what was begun with files, once their weights are of the type wanted."""
        yield Progress("verifying conversion")
        self._detect_template()

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
        known = self._usual()
        self._merge_parameters(request.parameters, known)
        if request.messages:
            messages = [_stored(message) for message in request.messages]
            self.list.replace(encode_plain(messages), layers.MESSAGES)
        self._config = apply_info(self._with_gguf(), request.info)
        self._config = msgspec.structs.replace(
            self._config,
            renderer=request.renderer or self._config.renderer or known.renderer,
            parser=request.parser or self._config.parser or known.parser,
            requires=request.requires or self._config.requires,
        )

    def config_blob(self) -> bytes:
        """Write the config."""
        return msgspec.json.encode(self._config)

    def _usual(self) -> Usual:
        """Name what models of this architecture get where nothing is said."""
        models = self._weights.of_type(layers.MODEL)
        return usual(keys.architecture(models[-1])) if models else Usual()

    def _merge_parameters(self, given: Mapping[str, object], known: Usual) -> None:
        """Put the request's parameters over those of the base."""
        old = self.list.parameters()
        stop = {"stop": known.stop} if known.stop and "stop" not in old | dict(given) else {}
        if given or stop:
            self.list.replace(encode_sorted(old | dict(given) | stop), layers.PARAMS)

    def _own_headers(self) -> list[Header]:
        """List the files that speak for the model: no drafts, no adapters."""
        return self._weights.of_type(layers.MODEL, layers.PROJECTOR)

    def _warn_of_template(self, request: CreateRequest) -> None:
        """Say what will come of a template that is kept and cannot be rendered."""
        if request.template.strip() == PLAIN_TEMPLATE:
            return
        has_other = any(keys.chat_template(header) for header in self._own_headers())
        what = "the one in the GGUF file is used instead" if has_other else "chats with it are refused"
        _LOG.warning("the template of %s cannot be rendered by this version: %s", request.model, what)

    def _detect_template(self) -> None:
        """Take over the stop strings of a template that is known."""
        families = (detect_family(keys.chat_template(header)) for header in self._own_headers())
        family = next(filter(None, families), None)
        if family is not None:
            self.list.say(f"using autodetected template {family.name}")
            self.list.add(layers.PARAMS, encode_sorted({"stop": family.stop}))

    def _with_gguf(self) -> ModelConfig:
        """Fill what the config does not say from the files."""
        config, models = self._config, self._weights.of_type(layers.MODEL)
        if not models:
            return config
        header = models[-1]
        families = dict.fromkeys(keys.architecture(each) for each in self._own_headers())
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
