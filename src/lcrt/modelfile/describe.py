"""What a stored model says about itself, put together from its manifest, its small blobs and its GGUF."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from lcrt.core.message import Message
from lcrt.core.model import ModelSpec
from lcrt.core.name import ModelName
from lcrt.errors import StoreError
from lcrt.gguf import keys
from lcrt.gguf.reader import Header
from lcrt.modelfile import capabilities as caps
from lcrt.store import layers
from lcrt.store.layers import ModelConfig
from lcrt.store.manifest import Manifest
from lcrt.store.store import Store
from lcrt.units import human_number

_T = TypeVar("_T")


class Details(msgspec.Struct, frozen=True):
    """The short facts beside a model's name; lengths are 0 when unknown."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: tuple[str, ...] | None = None
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int = 0
    embedding_length: int = 0


class Description(msgspec.Struct, frozen=True):
    """One model. ``digest`` is the manifest's, without prefix; ``modified`` in Unix seconds.

    ``go_template`` and ``jinja_template`` are the layer's and the GGUF's; ``template`` is the one
    that speaks for the model. Paths are empty when the model has no such file.
    """

    name: ModelName
    digest: str
    size: int
    modified: float
    details: Details
    config: ModelConfig = ModelConfig()
    capabilities: tuple[str, ...] = ()
    template: str = ""
    go_template: str = ""
    jinja_template: str = ""
    system: str = ""
    license: tuple[str, ...] = ()
    parameters: dict[str, object] = {}
    messages: tuple[Message, ...] = ()
    model: str = ""
    model_size: int = 0
    projectors: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    draft: str = ""

    @property
    def uses_jinja(self) -> bool:
        """Whether the GGUF's own template speaks for the model."""
        return bool(self.jinja_template) and self.template == self.jinja_template

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that a runner opens for it."""
        return (self.model, *self.projectors, *self.adapters, self.draft)

    def spec(self) -> ModelSpec:
        """Say what the scheduler and a runner need."""
        return ModelSpec(
            name=self.name.short,
            path=self.model,
            digest=self.digest,
            size=self.model_size,
            template="" if self.uses_jinja else self.go_template,
            adapters=self.adapters,
            projectors=self.projectors,
            draft=self.draft,
            capabilities=self.capabilities,
            family=self.details.family,
            families=self.details.families or (),
            format=self.details.format,
            parameter_size=self.details.parameter_size,
            quantization_level=self.details.quantization_level,
        )


class GgufFacts(msgspec.Struct, frozen=True):
    """The little that is kept of a header."""

    family: str = ""
    parameter_count: int = 0
    quantization: str = ""
    context_length: int = 0
    embedding_length: int = 0
    chat_template: str = ""
    has_pooling: bool = False
    has_vision: bool = False
    has_audio: bool = False


class _StoredMessage(msgspec.Struct, frozen=True):
    role: str = ""
    content: str = ""
    thinking: str = ""
    images: tuple[bytes, ...] | None = None


def describe(store: Store, manifest: Manifest, facts_of: Callable[[str], GgufFacts]) -> Description:
    """Describe the model of a manifest; StoreError or ModelFormatError when a part of it is damaged."""
    config = _config(store, manifest)
    model = manifest.of_type(layers.MODEL)[-1:]
    path = _paths(store, manifest, layers.MODEL)[-1:]
    projectors = _paths(store, manifest, layers.PROJECTOR)
    is_gguf = (config.model_format or "gguf") == "gguf"
    weights = facts_of(path[0]) if path and is_gguf else None
    gguf = weights or GgufFacts()
    go_template = _text(store, manifest, layers.TEMPLATE, layers.PROMPT)
    facts = caps.Facts(
        declared=config.capabilities or (),
        family=config.model_family or gguf.family,
        renderer=config.renderer or "",
        parser=config.parser or "",
        go_template=go_template,
        jinja_template=gguf.chat_template,
        has_weights=weights is not None,
        has_pooling=gguf.has_pooling,
        has_vision=gguf.has_vision,
        has_audio=gguf.has_audio,
        has_projector=bool(projectors),
        has_projector_audio=any(facts_of(projector).has_audio for projector in projectors),
    )
    return Description(
        name=manifest.name,
        digest=manifest.digest,
        size=manifest.size,
        modified=manifest.modified,
        details=_details(config, gguf, model[0].from_ or "" if model else ""),
        config=config,
        capabilities=caps.capabilities(facts),
        template=gguf.chat_template if caps.uses_jinja(facts) else go_template,
        go_template=go_template,
        jinja_template=gguf.chat_template,
        system=_text(store, manifest, layers.SYSTEM),
        license=tuple(_read_text(store, layer.digest) for layer in manifest.of_type(layers.LICENSE)),
        parameters=_parameters(store, manifest),
        messages=_messages(store, manifest),
        model=path[0] if path else "",
        model_size=model[0].size if model else 0,
        projectors=projectors,
        adapters=_paths(store, manifest, layers.ADAPTER),
        draft="".join(_paths(store, manifest, layers.DRAFT)[-1:]),
    )


def _details(config: ModelConfig, gguf: GgufFacts, parent: str) -> Details:
    known = config.file_type if config.file_type and config.file_type != keys.UNKNOWN else gguf.quantization
    return Details(
        parent_model=parent,
        format=config.model_format or "gguf",
        family=config.model_family or gguf.family,
        families=config.model_families,
        parameter_size=config.model_type or (human_number(gguf.parameter_count) if gguf.parameter_count else ""),
        quantization_level=known,
        context_length=config.context_length or gguf.context_length,
        embedding_length=config.embedding_length or gguf.embedding_length,
    )


def gguf_facts(header: Header) -> GgufFacts:
    """Keep the little of a header that a description needs."""
    return GgufFacts(
        family=keys.architecture(header),
        parameter_count=keys.parameter_count(header),
        quantization=keys.quantization(header),
        context_length=keys.context_length(header),
        embedding_length=keys.embedding_length(header),
        chat_template=keys.chat_template(header),
        has_pooling=keys.has_arch_key(header, "pooling_type"),
        has_vision=keys.has_arch_key(header, "vision.block_count"),
        has_audio=keys.has_audio_encoder(header),
    )


def _config(store: Store, manifest: Manifest) -> ModelConfig:
    if manifest.config is None:
        return ModelConfig()
    return _decode(store, manifest.config.digest, ModelConfig)


def _paths(store: Store, manifest: Manifest, media_type: str) -> tuple[str, ...]:
    return tuple(str(store.blobs.path(layer.digest)) for layer in manifest.of_type(media_type))


def _text(store: Store, manifest: Manifest, *media_types: str) -> str:
    found = manifest.of_type(*media_types)
    return _read_text(store, found[-1].digest) if found else ""


def _read_text(store: Store, digest: str) -> str:
    return store.blobs.read(digest).decode("utf-8", "replace")


def _parameters(store: Store, manifest: Manifest) -> dict[str, object]:
    found = manifest.of_type(layers.PARAMS)
    return _decode(store, found[-1].digest, dict[str, object]) if found else {}


def _messages(store: Store, manifest: Manifest) -> tuple[Message, ...]:
    found = manifest.of_type(layers.MESSAGES)
    stored = _decode(store, found[-1].digest, tuple[_StoredMessage, ...]) if found else ()
    return tuple(Message(m.role, m.content, m.thinking, m.images or ()) for m in stored)


def _decode(store: Store, digest: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(store.blobs.read(digest), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"blob {digest} is damaged: {error}") from error
