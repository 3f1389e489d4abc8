import pytest

from lcrt.store.store import Store
from tests.server.wire import Client
from tests.store.models import named

pytestmark = pytest.mark.anyio


async def test_models_are_listed_with_their_owner_and_age(client: Client, store: Store) -> None:
    store.copy(named("tiny"), named("me/x:1"))
    rows = (await client.get("/v1/models")).json["data"]
    assert isinstance(rows, list)
    assert {(row["id"], row["owned_by"], row["object"]) for row in rows} == {
        ("tiny:latest", "library", "model"),
        ("embedder:latest", "library", "model"),
        ("me/x:1", "me", "model"),
    }
    assert all(isinstance(row["created"], int) for row in rows)


@pytest.mark.parametrize("path", ["tiny", "tiny:latest"])
async def test_one_model_is_named_as_it_was_asked_for(client: Client, path: str) -> None:
    found = (await client.get(f"/v1/models/{path}")).json
    assert (found["id"], found["object"]) == (path, "model")


async def test_a_name_with_a_slash_can_be_asked_for(client: Client, store: Store) -> None:
    store.copy(named("tiny"), named("me/x:1"))
    assert (await client.get("/v1/models/me%2Fx:1")).json["owned_by"] == "me"


async def test_a_missing_model_is_a_404(client: Client) -> None:
    reply = await client.get("/v1/models/nope")
    assert (reply.status, reply.json["error"]["message"]) == (404, "model 'nope:latest' not found")  # type: ignore[index]
