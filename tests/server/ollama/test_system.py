import pytest

from tests.server.wire import Client

pytestmark = pytest.mark.anyio


async def test_the_root_says_what_clients_look_for(client: Client) -> None:
    reply = await client.get("/")
    assert (reply.status, reply.kind, reply.body) == (200, "text/plain; charset=utf-8", b"Ollama is running")


async def test_the_version_is_that_of_the_api_beside_our_own(client: Client) -> None:
    assert (await client.get("/api/version")).json == {"version": "0.33.0", "lcrt": "0.1.0"}


async def test_there_is_no_cloud(client: Client) -> None:
    assert (await client.get("/api/status")).json == {"cloud": {"disabled": True, "source": "config"}}
    assert (await client.post("/api/me", {})).status == 401
    assert (await client.post("/api/signout", {})).status == 401
    assert (await client.send("DELETE", "/api/user/keys/abc")).status == 401
    assert (await client.post("/api/experimental/web_search", {})).status == 501
