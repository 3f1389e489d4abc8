"""Pulls from a hub, and models made from one, as a client meets them."""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.registry.progress import Progress
from lcrt.registry.service import Registries
from lcrt.server.publish import HubModels
from lcrt.server.services import Services
from lcrt.store import layers
from tests.convert import folders_models as models
from tests.registry.conftest import OPTIONS
from tests.registry.hub import Hub
from tests.registry.server import Registry
from tests.server.wire import Client

pytestmark = pytest.mark.anyio
NAME = "hf.co/org/repo"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a checkpoint; temporary folders are made in one that is empty."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    models.write(tmp_path / "repo", models.config("qwen2"))
    with Registry() as storage, Hub(storage) as made:
        monkeypatch.setenv("HF_ENDPOINT", f"http://{made.host}")
        made.files["org/repo"] = {path.name: path.read_bytes() for path in (tmp_path / "repo").iterdir()}
        yield made


@pytest.fixture(autouse=True)
async def _registries(services: Services, hub: Hub) -> AsyncIterator[None]:
    services.registries = Registries(services.store, OPTIONS, maker=HubModels(services.store))
    yield
    services.registries.close()


async def test_a_checkpoint_is_pulled_and_shown_as_any_model(client: Client, services: Services) -> None:
    reply = await client.post("/api/pull", {"model": NAME})
    statuses = list(dict.fromkeys(str(line["status"]) for line in reply.lines))
    assert statuses[0] == "pulling manifest"
    assert statuses[-4:] == ["converting model", "hashing model", "writing manifest", "success"]
    counted = [line for line in reply.lines if line["status"] == "converting model" and "total" in line]
    assert counted[-1]["completed"] == counted[-1]["total"]
    shown = json.loads((await client.post("/api/show", {"model": NAME})).body)
    assert (shown["details"]["family"], shown["details"]["quantization_level"]) == ("qwen2", "F16")
    assert services.store.find(ModelName.parse(NAME)) is not None


async def test_it_can_be_the_base_of_another(client: Client, services: Services) -> None:
    reply = await client.post("/api/create", {"model": "mine", "from": NAME, "system": "be kind"})
    statuses = [str(line["status"]) for line in reply.lines]
    assert "converting model" in statuses
    assert statuses[-1] == "success"
    bases = [services.store.get(ModelName.parse(name)).of_type(layers.MODEL)[0].digest for name in ("mine", NAME)]
    assert bases[0] == bases[1]


async def test_an_architecture_that_is_not_known_is_the_last_line(client: Client, hub: Hub) -> None:
    hub.files["org/repo"]["config.json"] = b'{"architectures": ["FooForCausalLM"]}'
    reply = await client.post("/api/pull", {"model": NAME})
    error = str(reply.lines[-1]["error"])
    assert 'cannot be converted: unsupported architecture "FooForCausalLM"' in error
    assert "LlamaForCausalLM" in error
    assert hub.storage.asked == []


async def test_when_the_client_leaves_the_conversion_ends(
    client: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def endless(folder: Path, output: Path, **_: object) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("converting model")
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("lcrt.modelfile.weights.convert", endless)
    reader, writer = await client.connect()
    body = b'{"model":"%s"}' % NAME.encode()
    writer.write(b"POST /api/pull HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    while b'"converting model"' not in await reader.readuntil(b"\n"):
        pass
    writer.close()
    assert await asyncio.to_thread(ended.wait, 10)
    assert services.store.find(ModelName.parse(NAME)) is None
