import pytest

from lcrt.store.store import Store
from tests.server.wire import Client
from tests.store.models import named, put

pytestmark = pytest.mark.anyio

PATH = "/api/create"


async def test_steps_are_lines_and_the_last_is_success(client: Client) -> None:
    reply = await client.post(PATH, {"model": "m", "from": "tiny", "system": "s"})
    assert (reply.status, reply.kind) == (200, "application/x-ndjson")
    assert [line["status"] for line in reply.lines][-2:] == ["writing manifest", "success"]


async def test_without_a_stream_only_success_is_said(client: Client) -> None:
    reply = await client.post(PATH, {"name": "m", "from": "tiny", "stream": False})
    assert (reply.status, reply.kind, reply.body) == (200, "application/json", b'{"status":"success"}')


async def test_everything_that_was_given_is_stored(client: Client) -> None:
    given = {
        "template": "{{ .Prompt }}",
        "license": "MIT",
        "parameters": {"top_k": 3},
        "renderer": "r",
        "requires": "1",
    }
    await client.post(PATH, {"model": "m", "from": "tiny", "messages": [{"role": "user", "content": "hi"}]} | given)
    found = (await client.post("/api/show", {"model": "m"})).json
    assert (found["license"], found["template"], found["requires"]) == ("MIT", "{{ .Prompt }}", "1")
    assert found["messages"] == [{"role": "user", "content": "hi"}]
    assert "RENDERER r" in str(found["modelfile"])


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "invalid model name"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "m"}, 400, "neither 'from' or 'files' was specified"),
        ({"model": "m", "files": {}}, 400, "unknown type"),
        ({"model": "m", "files": {"../m.gguf": "sha256:" + "0" * 64}}, 400, "file path must be relative"),
        ({"model": "m", "files": {"m.gguf": ""}}, 400, "invalid digest format"),
        ({"model": "m", "from": "tiny", "template": "{{ .Foo"}, 400, "template error: template: :1: unclosed action"),
        ({"model": "m", "from": "tiny", "license": 7}, 500, "license must be a string or a list of strings"),
        ({"model": "m", "from": "x", "draft_quantize": "q8_0"}, 400, "--draft-quantize requires a DRAFT model"),
        ({"model": "m", "from": "tiny", "parameters": {"top_k": "x"}}, 400, "parameter 'top_k' must be an integer"),
        (
            {"model": "m", "from": "tiny", "parameters": {"stop": "x"}},
            400,
            "parameter 'stop' must be a list of strings",
        ),
        ({"model": "m", "remote_host": "x"}, 501, "remote models are not available in this version"),
    ],
)
async def test_what_is_wrong_at_once_has_a_status(
    client: Client, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(PATH, body)
    assert (reply.status, reply.json) == (status, {"error": text})


async def test_what_goes_wrong_later_is_the_last_line(client: Client, store: Store) -> None:
    digest = put(store, b"hello").digest
    reply = await client.post(PATH, {"model": "m", "files": {"m.gguf": digest}})
    assert reply.status == 200
    assert reply.lines == [{"status": "parsing GGUF"}, {"error": "supplied file was not in GGUF format"}]
    assert store.find(named("m")) is None
