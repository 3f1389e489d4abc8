from collections.abc import AsyncIterator, Iterator

import pytest

from lcrt.core.name import ModelName
from lcrt.registry.service import Registries
from lcrt.server.services import Services
from tests.registry.conftest import OPTIONS
from tests.registry.server import Registry, drop
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as made:
        yield made


@pytest.fixture(autouse=True)
async def _registries(services: Services) -> AsyncIterator[None]:
    services.registries = Registries(services.store, OPTIONS)
    yield
    services.registries.close()


async def test_a_push_is_told_line_by_line(client: Client, registry: Registry, services: Services) -> None:
    name = f"{registry.host}/me/tiny:latest"
    services.store.copy(ModelName.parse("tiny"), ModelName.parse(name))
    reply = await client.post("/api/push", {"model": name, "insecure": True})
    assert (reply.status, reply.kind) == (200, "application/x-ndjson")
    statuses = [line["status"] for line in reply.lines]
    assert (statuses[0], statuses[-2:]) == ("retrieving manifest", ["pushing manifest", "success"])
    assert registry.manifests["me/tiny/manifests/latest"] == services.store.get(ModelName.parse(name)).raw


async def test_without_a_stream_only_the_end_is_told(client: Client, registry: Registry, services: Services) -> None:
    name = f"{registry.host}/me/tiny:latest"
    services.store.copy(ModelName.parse("tiny"), ModelName.parse(name))
    body = {"model": name, "insecure": True, "stream": False}
    reply = await client.post("/api/push", body)
    assert (reply.status, reply.kind, reply.body) == (200, "application/json", b'{"status":"success"}')
    registry.guard = lambda handler: not drop(handler)
    reply = await client.post("/api/push", body)
    assert (reply.status, str(reply.json["error"])[:21]) == (500, "max retries exceeded:")


async def test_a_body_without_a_name_is_refused(client: Client) -> None:
    reply = await client.post("/api/push", {})
    assert (reply.status, reply.json) == (400, {"error": "model is required"})


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nope", "nope:latest: no such file or directory"),
        ("a b", "unqualified name: registry.ollama.ai/library/a b:latest"),
    ],
)
async def test_a_push_looks_for_its_model_first(client: Client, name: str, error: str) -> None:
    reply = await client.post("/api/push", {"model": name})
    assert reply.lines == [
        {"status": "retrieving manifest"},
        {"status": "couldn't retrieve manifest"},
        {"error": error},
    ]
