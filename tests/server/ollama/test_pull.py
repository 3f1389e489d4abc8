import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from lcrt.core.name import ModelName
from lcrt.registry.service import Registries
from lcrt.server.services import Services
from tests.registry.conftest import OPTIONS
from tests.registry.server import MODEL, Registry, content, stall
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as made:
        made.add("library/m", {made.put(content(100_000)): MODEL})
        yield made


@pytest.fixture(autouse=True)
async def _registries(services: Services) -> AsyncIterator[None]:
    services.registries = Registries(services.store, OPTIONS)
    yield
    services.registries.close()


async def test_a_pull_is_told_line_by_line(client: Client, registry: Registry, services: Services) -> None:
    reply = await client.post("/api/pull", {"model": f"{registry.host}/library/m", "insecure": True})
    assert (reply.status, reply.kind) == (200, "application/x-ndjson")
    statuses = [line["status"] for line in reply.lines]
    assert statuses[0] == "pulling manifest"
    assert statuses[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    assert all("completed" not in line or line["completed"] for line in reply.lines)
    assert services.store.find(ModelName.parse(f"{registry.host}/library/m:latest")) is not None


async def test_without_a_stream_only_the_end_is_told(client: Client, registry: Registry) -> None:
    body = {"name": f"{registry.host}/library/m", "insecure": True, "stream": False}
    reply = await client.post("/api/pull", body)
    assert (reply.status, reply.kind, reply.body) == (200, "application/json", b'{"status":"success"}')


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_is_the_last_line_or_the_answer(client: Client, registry: Registry, stream: bool) -> None:
    body = {"model": f"{registry.host}/library/none", "insecure": True, "stream": stream}
    reply = await client.post("/api/pull", body)
    error = str(reply.lines[-1]["error"])
    assert error.startswith("pull model manifest: file does not exist")
    assert reply.status == (200 if stream else 500)
    assert [line.get("status") for line in reply.lines[:-1]] == (["pulling manifest"] if stream else [])


async def test_when_the_client_leaves_the_transfer_ends_and_the_part_stays(
    client: Client, registry: Registry, services: Services
) -> None:
    registry.always = stall(50_000)
    services.registries = Registries(services.store, msgspec.structs.replace(OPTIONS, stall=30.0))
    reader, writer = await client.connect()
    body = b'{"model":"%s/library/m","insecure":true}' % registry.host.encode()
    writer.write(b"POST /api/pull HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    while b'"completed":50000' not in await reader.readuntil(b"\n"):
        pass
    writer.close()
    digest = next(iter(registry.blobs))
    await asyncio.to_thread(_wait_for_the_end, services, digest)
    assert services.store.blobs.partial(digest).stat().st_size == 100_000


def _wait_for_the_end(services: Services, digest: str) -> None:
    while (claim := services.store.claim(digest)) is None:
        pass
    claim.close()
