"""Model names: how people write them, how they are shown, where their manifests lie.

``[scheme://][host/][namespace/]model[:tag]``, read from the right. Case is kept as typed and
ignored when two names are compared (``ModelName.key``).
"""

import re
from enum import Enum
from typing import Self

import msgspec

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
DEFAULT_SCHEME = "https"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


class Source(Enum):
    """Where a reference asks its model to come from."""

    ANY = 0
    LOCAL = 1
    CLOUD = 2


class ModelName(msgspec.Struct, frozen=True, order=True):
    """A complete, valid name."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name and fill in what it leaves out; ValueError when it breaks the grammar."""
        parts = _split(text)[1]
        name = cls(*parts)
        if not name._is_valid():
            raise ValueError("invalid model name")
        return name

    @classmethod
    def from_path(cls, host: str, namespace: str, model: str, tag: str) -> Self | None:
        """Make the name that four directory entries spell, None when they spell none."""
        name = cls(host, namespace, model, tag)
        return name if name._is_valid() else None

    def _is_valid(self) -> bool:
        return bool(
            _HOST.fullmatch(self.host)
            and _NAMESPACE.fullmatch(self.namespace)
            and _PART.fullmatch(self.model)
            and _PART.fullmatch(self.tag)
        )

    @property
    def short(self) -> str:
        """What people are shown: default host and namespace left out, the tag always there."""
        model = f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{model}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{model}"
        return model

    @property
    def full(self) -> str:
        """Every part spelled out."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def path(self) -> str:
        """Where the manifest lies, relative to the manifests directory."""
        return f"{self.host}/{self.namespace}/{self.model}/{self.tag}"

    @property
    def key(self) -> str:
        """Equal for names that differ in case only."""
        return self.full.lower()


class ModelRef(msgspec.Struct, frozen=True):
    """A name as a client sends it: with a source suffix and a scheme, both optional."""

    name: ModelName
    source: Source = Source.ANY
    scheme: str = DEFAULT_SCHEME

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference; ValueError says what is wrong with it."""
        base, source = split_source(text)
        return cls(ModelName.parse(base), source, _split(base)[0])


def split_source(text: str) -> tuple[str, Source]:
    """Take ``:local``, ``:cloud`` or a tag's ``-cloud`` off a reference, in any case."""
    text = text.strip()
    if not text:
        raise ValueError("model is required")
    base, source = _cut_source(text)
    if source is not Source.ANY and _cut_source(base)[1] is not Source.ANY:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        raise ValueError(f'use either :local or :cloud, not both: "{quoted}"')
    return base, source


def _cut_source(text: str) -> tuple[str, Source]:
    head, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, Source.ANY
    tag = tag.strip()
    match tag.lower():
        case "cloud":
            return head, Source.CLOUD
        case "local":
            return head, Source.LOCAL
        case lowered if lowered.endswith("-cloud"):
            return f"{head}:{tag[: -len('-cloud')]}", Source.CLOUD
    return text, Source.ANY


def _split(text: str) -> tuple[str, tuple[str, str, str, str]]:
    """Scheme and the four parts; a part that a separator promises and nobody wrote is empty, so invalid."""
    scheme, host, namespace, tag = DEFAULT_SCHEME, DEFAULT_HOST, DEFAULT_NAMESPACE, DEFAULT_TAG
    rest = text
    if rest.rfind(":") > rest.rfind("/"):
        rest, _, tag = rest.rpartition(":")
    rest, slash, model = rest.rpartition("/")
    if slash:
        rest, slash, namespace = rest.rpartition("/")
    if slash:
        before, mark, after = rest.partition("://")
        scheme, host = (before, after) if mark else (DEFAULT_SCHEME, before)
    return scheme, (host, namespace, model, tag)
