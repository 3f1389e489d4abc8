"""What a manifest lists: layers by media type, and the config beside them."""

import msgspec

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"

_PREFIX = "application/vnd.ollama.image."
MODEL = _PREFIX + "model"
PROJECTOR = _PREFIX + "projector"
ADAPTER = _PREFIX + "adapter"
DRAFT = _PREFIX + "draft"
TEMPLATE = _PREFIX + "template"
PROMPT = _PREFIX + "prompt"
SYSTEM = _PREFIX + "system"
PARAMS = _PREFIX + "params"
MESSAGES = _PREFIX + "messages"
LICENSE = _PREFIX + "license"

TEMPLATE_TYPES = frozenset({TEMPLATE, PROMPT})
"""The template's layer and its old name."""


class Layer(msgspec.Struct, frozen=True, rename={"media_type": "mediaType", "from_": "from"}):
    """One blob of a model. ``from_`` is the short name of the model it came from, ``name`` a tensor's."""

    media_type: str = ""
    digest: str = ""
    size: int = 0
    from_: str | None = None
    name: str | None = None

    def wire(self) -> dict[str, object]:
        """Spell the layer as a manifest does, without fields that say nothing."""
        fields: dict[str, object] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        optional = {"from": self.from_, "name": self.name}
        return fields | {key: value for key, value in optional.items() if value}


class ModelConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The config blob; fields that lcrt does not know are dropped."""

    model_format: str | None = ""
    model_family: str | None = ""
    model_families: tuple[str, ...] | None = None
    model_type: str | None = ""
    file_type: str | None = ""
    renderer: str | None = ""
    parser: str | None = ""
    requires: str | None = ""
    remote_host: str | None = ""
    remote_model: str | None = ""
    capabilities: tuple[str, ...] | None = None
    context_length: int | None = 0
    embedding_length: int | None = 0
    base_name: str | None = ""
    draft: msgspec.Raw = msgspec.Raw()
    architecture: str | None = ""
    os: str | None = ""


def parse_config(data: bytes) -> ModelConfig:
    """Read a config blob; ValueError when it is no JSON object of the right types."""
    return msgspec.json.decode(data, type=ModelConfig)
