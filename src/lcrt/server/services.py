"""What the handlers work with."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lcrt.core.event import Event
from lcrt.core.model import LoadedModel, ModelSpec, RunnerInfo
from lcrt.core.name import ModelName
from lcrt.core.options import LoadOptions
from lcrt.core.question import Question, Reply
from lcrt.core.request import InferenceRequest
from lcrt.modelfile.catalog import Catalog
from lcrt.modelfile.describe import Description
from lcrt.registry.service import Registries
from lcrt.server.clock import Clock
from lcrt.store.digest import digest_of_file_name
from lcrt.store.store import Store

COMPATIBLE_VERSION = "0.33.0"
"""The version of Ollama whose API this is; clients compare it with what they need."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

SUPPORTED = frozenset({"completion", "embedding"})
"""Capabilities that this version can serve; models are shown and used without the others."""


class Lease(Protocol):
    """A loaded model in use; leaving the block releases it."""

    load_duration: float
    info: RunnerInfo

    def generate(self, request: InferenceRequest) -> AbstractAsyncContextManager[AsyncIterator[tuple[Event, ...]]]:
        """Start a request: batches of events, up to a Finish or Rendered."""
        ...

    async def ask(self, question: Question) -> Reply:
        """Ask for something else than a generation."""
        ...

    async def __aenter__(self) -> Self:
        """Use it."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""


class Models(Protocol):
    """The scheduler, as far as handlers need it."""

    async def acquire(
        self, spec: ModelSpec, options: LoadOptions, *, shift: bool = True, keep_alive: float | None = None
    ) -> Lease:
        """Wait for a model."""
        ...

    async def expire(self, key: str) -> bool:
        """Let a model go when it is idle."""
        ...

    def loaded(self) -> tuple[LoadedModel, ...]:
        """List what is in memory."""
        ...


class Services:
    """One of these per daemon. ``keep_old``: blobs of replaced models stay on disk."""

    def __init__(self, models: Models, store: Store, catalog: Catalog, version: str, *, keep_old: bool = False) -> None:
        self.models = models
        self.store = store
        self.catalog = catalog
        self.version = version
        self.keep_old = keep_old
        self.registries = Registries(store)
        self.clock = Clock()
        self._described: set[str] = set()

    async def find(self, name: ModelName) -> Description | None:
        """Describe a model, None when it does not exist. Only one that is new is read on another thread."""
        manifest = self.store.find(name)
        if manifest is None:
            return None
        if manifest.digest in self._described:
            return self.catalog.describe(manifest)
        description = await asyncio.to_thread(self.catalog.describe, manifest)
        self._described.add(manifest.digest)
        return description

    async def verify_links(self, model: Description) -> None:
        """Make sure that files which lie outside the store are still what they were; StoreError otherwise."""
        named = (digest_of_file_name(Path(file).name) for file in model.files)
        for digest in self.store.links.changed(digest for digest in named if digest):
            await asyncio.to_thread(self.store.links.verify, digest)


def supported(capabilities: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what this version cannot serve."""
    return tuple(name for name in capabilities if name in SUPPORTED)


def user_agent(version: str) -> str:
    """Name us to registries: some give a model only to a client of a version that can run it."""
    facts = os.uname()
    arch = _ARCHITECTURES.get(facts.machine, facts.machine)
    return f"ollama/{COMPATIBLE_VERSION} ({arch} {facts.sysname.lower()}) lcrt/{version}"
