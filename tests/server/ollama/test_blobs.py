import asyncio
import hashlib
from pathlib import Path

import pytest

from lcrt.server.limits import Limits
from lcrt.server.services import Services
from lcrt.store.store import Store
from tests.server.wire import Client, daemon

pytestmark = pytest.mark.anyio

HELLO = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def path(digest: str) -> str:
    return f"/api/blobs/{digest}"


async def test_a_blob_is_missing_then_created_then_there(client: Client, store: Store) -> None:
    assert (await client.send("HEAD", path(HELLO))).status == 404
    assert (await client.send("POST", path(HELLO), b"hello")).status == 201
    assert (await client.send("HEAD", path(HELLO))).status == 200
    assert (await client.send("POST", path(HELLO), b"hello")).status == 200
    assert store.blobs.read(HELLO) == b"hello"


async def test_what_is_there_can_be_named_with_a_dash(client: Client) -> None:
    await client.send("POST", path(HELLO), b"hello")
    assert (await client.send("POST", path(HELLO.replace(":", "-")), b"")).status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("digest", ["notadigest", "sha256:12", "sha256:" + "g" * 64, "a%2fb"])
async def test_what_is_no_digest_gets_a_400(client: Client, method: str, digest: str) -> None:
    assert (await client.send(method, path(digest), b"x" if method == "POST" else None)).status == 400


async def test_content_with_another_digest_is_refused(client: Client, store: Store) -> None:
    zeros = "sha256:" + "0" * 64
    reply = await client.send("POST", path(zeros), b"hello")
    assert (reply.status, reply.json["error"]) == (400, f'digest mismatch, expected "{zeros}", got "{HELLO}"')
    assert not store.blobs.has(zeros)


async def test_a_large_blob_is_not_held_to_the_limit_of_bodies(services: Services, store: Store) -> None:
    data = b"x" * (9 << 20)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    async with daemon(services, Limits(max_body=1000)) as client:
        assert (await client.send("POST", path(digest), data)).status == 201
    assert store.blobs.size(digest) == len(data)


async def _grows(store: Store, before: set[Path]) -> None:
    while set(store.blobs.directory.iterdir()) == before:  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(0.001)


async def test_an_upload_that_breaks_off_leaves_nothing(client: Client, store: Store) -> None:
    before = set(store.blobs.directory.iterdir())
    _, writer = await client.connect()
    writer.write(b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhel" % path(HELLO).encode())
    await writer.drain()
    await asyncio.wait_for(_grows(store, before), 10.0)
    writer.close()
    await client.listener.close(grace=10.0)
    assert set(store.blobs.directory.iterdir()) == before
