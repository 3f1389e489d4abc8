import socket

import pytest

from lcrt.server.security import Guard
from lcrt.server.services import Services
from tests.server.wire import Client, daemon

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1:11434", "[::1]:1", "192.168.1.7", "0.0.0.0", "a.local", "b.internal:80"],
)
async def test_a_host_of_this_machine_or_network_is_served(client: Client, host: str) -> None:
    assert (await client.get("/api/version", host=host)).status == 200


async def test_the_own_name_is_served(client: Client) -> None:
    assert (await client.get("/api/version", host=socket.gethostname().upper())).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "8.8.8.8", "[2001:4860:4860::8888]", "["])
async def test_another_host_gets_a_403_without_a_body(client: Client, host: str) -> None:
    reply = await client.get("/api/version", host=host)
    assert (reply.status, reply.body) == (403, b"")


async def test_a_daemon_for_the_network_serves_any_host(services: Services) -> None:
    async with daemon(services, guard=Guard((), loopback=False)) as client:
        assert (await client.get("/api/version", host="evil.example")).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("http://localhost", "https://127.0.0.1:3000", "http://0.0.0.0:1", "app://x", "vscode-webview://a"),
        *("tauri://t", "chrome-extension://abc", "file://"),
    ],
)
async def test_an_allowed_origin_is_echoed(client: Client, origin: str) -> None:
    reply = await client.get("/api/version", origin=origin, host="127.0.0.1")
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, origin)
    assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost.evil.example", "null", "http://xlocalhost"]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_another_origin_gets_a_403_without_a_body(client: Client, origin: str, method: str) -> None:
    reply = await client.send(method, "/api/version", headers={"origin": origin})
    assert (reply.status, reply.body) == (403, b"")


async def test_the_same_origin_as_the_host_needs_no_permission(services: Services) -> None:
    async with daemon(services, guard=Guard((), loopback=False)) as client:
        reply = await client.get("/api/version", origin="http://box.example:1", host="box.example:1")
    assert (reply.status, "access-control-allow-origin" in reply.headers) == (200, False)


async def test_a_preflight_names_methods_headers_and_age(client: Client) -> None:
    reply = await client.send("OPTIONS", "/api/tags", headers={"origin": "http://localhost:3000"})
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-methods"] == "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
    assert "x-stainless-retry-count" in reply.headers["access-control-allow-headers"]
    assert reply.headers["access-control-max-age"] == "43200"


@pytest.mark.parametrize(("host", "status"), [("localhost", 204), ("127.0.0.1", 405), ("evil.example", 403)])
async def test_options_without_an_origin_depends_on_the_host(client: Client, host: str, status: int) -> None:
    assert (await client.send("OPTIONS", "/api/tags", headers={"host": host})).status == status


@pytest.mark.parametrize(
    ("setting", "origin", "answer"),
    [("https://*.good.example", "https://a.good.example", "https://a.good.example"), ("*", "http://evil.example", "*")],
)
async def test_further_origins_can_be_allowed(services: Services, setting: str, origin: str, answer: str) -> None:
    async with daemon(services, guard=Guard((setting,), loopback=True)) as client:
        reply = await client.get("/api/version", origin=origin)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, answer)
