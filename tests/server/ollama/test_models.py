import time

import pytest

from lcrt.core.message import Message
from lcrt.core.model import CachedTokens, LoadedModel, ModelSpec
from lcrt.core.request import CreateRequest
from lcrt.modelfile.create import create
from lcrt.store.store import Store
from tests.server.fake import INFO, FakeModels
from tests.server.wire import Client
from tests.store.models import manifest_path

pytestmark = pytest.mark.anyio

SPEC = ModelSpec("tiny:latest", "/p", "ab" * 32, 7, family="llama", families=("llama",), parameter_size="1M")


async def test_tags_list_the_latest_first_with_a_bare_digest(client: Client) -> None:
    reply = await client.get("/api/tags")
    found = reply.json["models"]
    assert isinstance(found, list)
    assert [row["name"] for row in found] == ["embedder:latest", "tiny:latest"]
    assert list(found[1]) == ["name", "model", "modified_at", "size", "digest", "details", "capabilities"]
    assert (len(found[1]["digest"]), found[1]["capabilities"]) == (64, ["completion"])
    assert found[1]["details"]["context_length"] == 512


async def test_a_damaged_model_does_not_hide_the_others(client: Client, store: Store) -> None:
    manifest_path(store, "tiny").write_bytes(b"{")
    assert [row["name"] for row in (await client.get("/api/tags")).json["models"]] == ["embedder:latest"]  # type: ignore[attr-defined]


async def test_an_empty_store_has_an_empty_list(client: Client, store: Store) -> None:
    for name in ("tiny", "embedder"):
        assert (await client.send("DELETE", "/api/delete", {"model": name})).status == 200
    assert (await client.get("/api/tags")).body == b'{"models":[]}'
    assert (await client.get("/api/ps")).body == b'{"models":[]}'
    assert (await client.get("/v1/models")).body == b'{"object":"list","data":null}\n'


async def test_ps_lists_what_stays_longest_first(client: Client, models: FakeModels) -> None:
    now = time.time()
    soon = LoadedModel(SPEC, INFO, now + 1, 0, "ready")
    never = LoadedModel(ModelSpec("b:latest", "/q", "", 9), None, None, 1, "loading")
    models.rows = (soon, never)
    rows = (await client.get("/api/ps")).json["models"]
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == ["b:latest", "tiny:latest"]
    assert (rows[1]["size"], rows[1]["size_vram"], rows[1]["context_length"]) == (10**8, 0, 4096)
    assert rows[1]["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "1M",
        "quantization_level": "",
    }
    assert rows[0]["size"] == 9
    assert int(rows[0]["expires_at"][:4]) > 2300


async def test_ps_tells_what_was_found_in_each_tier(client: Client, models: FakeModels) -> None:
    models.rows = (LoadedModel(SPEC, INFO, None, 0, "ready", cached=CachedTokens(device=3, host=2, disk=1)),)
    found = (await client.get("/api/ps")).json["models"]
    assert isinstance(found, list)
    (row,) = found
    assert row["cached_tokens"] == {"device": 3, "host": 2, "disk": 1}


async def test_show_tells_what_the_model_is(client: Client, store: Store) -> None:
    messages = (Message("user", "hi"),)
    made = CreateRequest(
        "m", from_="tiny", system="s", license=("A", "B"), parameters={"stop": ["x"]}, messages=messages
    )
    list(create(store, made))
    found = (await client.post("/api/show", {"name": "m", "model": ""})).json
    assert (found["license"], found["system"], found["messages"]) == ("A\nB", "s", [{"role": "user", "content": "hi"}])
    assert found["parameters"] == 'stop                           "x"'
    assert "SYSTEM s\n" in str(found["modelfile"])
    assert found["capabilities"] == ["completion"]
    assert found["details"] == {
        "parent_model": "tiny:latest",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "192",
        "quantization_level": "F16",
    }


async def test_show_lists_tensors_by_block_and_arrays_when_asked(client: Client) -> None:
    brief = (await client.post("/api/show", {"model": "tiny"})).json
    verbose = (await client.post("/api/show", {"model": "tiny", "verbose": True})).json
    assert isinstance(brief["model_info"], dict)
    assert isinstance(verbose["model_info"], dict)
    assert brief["model_info"]["tokenizer.ggml.tokens"] is None
    assert verbose["model_info"]["tokenizer.ggml.tokens"] == ["<s>", "a", "é"]
    assert "general.name" not in brief["model_info"]
    names = [tensor["name"] for tensor in brief["tensors"]]  # type: ignore[attr-defined]
    assert names == ["output_norm.weight", "token_embd.weight", "blk.0.attn_q.weight"]


async def test_show_tells_one_client_the_name_that_it_asked_for(client: Client) -> None:
    headers = {"user-agent": "GitHubCopilotChat/1"}
    reply = await client.send("POST", "/api/show", {"model": "Tiny"}, headers)
    assert reply.json["model_info"]["general.basename"] == "Tiny"  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/api/show", {}, 400, "model is required"),
        ("POST", "/api/show", {"model": "bad name!!"}, 400, "invalid model name"),
        ("POST", "/api/show", {"model": "nope"}, 404, "model 'nope:latest' not found"),
        ("POST", "/api/copy", {}, 400, 'source "" is invalid'),
        ("POST", "/api/copy", {"source": "nope", "destination": "a b"}, 400, 'destination "a b" is invalid'),
        ("POST", "/api/copy", {"source": "nope", "destination": "x"}, 404, 'model "nope" not found'),
        ("DELETE", "/api/delete", {}, 400, "model is required"),
        ("DELETE", "/api/delete", {"model": "a b"}, 400, 'name "a b" is invalid'),
        ("DELETE", "/api/delete", {"name": "nope"}, 404, "model 'nope' not found"),
    ],
)
async def test_a_name_that_leads_nowhere_is_said_as_the_endpoint_says_it(
    client: Client, method: str, path: str, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.send(method, path, body)
    assert (reply.status, reply.json) == (status, {"error": text})


async def test_a_copy_is_the_same_model_under_another_name(client: Client) -> None:
    reply = await client.post("/api/copy", {"source": "tiny", "destination": "me/other:1"})
    assert (reply.status, reply.body) == (200, b"")
    rows = {row["name"]: row["digest"] for row in (await client.get("/api/tags")).json["models"]}  # type: ignore[attr-defined]
    assert rows["me/other:1"] == rows["tiny:latest"]


async def test_a_deleted_model_is_gone_at_once(client: Client) -> None:
    reply = await client.send("DELETE", "/api/delete", {"model": "TINY"})
    assert (reply.status, reply.body) == (200, b"")
    assert (await client.post("/api/generate", {"model": "tiny"})).status == 404
