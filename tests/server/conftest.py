"""A store with two small models, a scheduler without any, and a daemon in front."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lcrt.core.request import CreateRequest
from lcrt.gguf.writer import Plain, write_gguf
from lcrt.modelfile.catalog import Catalog
from lcrt.modelfile.create import create
from lcrt.server.services import Services
from lcrt.store.store import Store
from tests.gguf.files import METADATA, TENSORS
from tests.server.fake import FakeModels
from tests.server.wire import Client, daemon
from tests.store.models import put


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def add_model(store: Store, directory: Path, name: str, **extra: Plain) -> None:
    """Make a model of a GGUF with these further keys."""
    path = directory / f"{name}.gguf"
    write_gguf(path, METADATA | extra, TENSORS)
    digest = put(store, path.read_bytes()).digest
    for _ in create(store, CreateRequest(model=name, files={path.name: digest})):
        pass


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "models")
    add_model(made, tmp_path, "tiny")
    add_model(made, tmp_path, "embedder", **{"llama.pooling_type": 1})
    return made


@pytest.fixture
async def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
async def services(store: Store, models: FakeModels) -> Services:
    return Services(models, store, Catalog(store), "0.1.0")


@pytest.fixture
async def client(services: Services) -> AsyncIterator[Client]:
    async with daemon(services) as made:
        yield made
