import pytest

from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

NONE = "This server does not support embeddings. Start it with `--embeddings`"
LATER = "embeddings are not available in this version"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/api/embed", {"input": "x"}, 404, "model '' not found"),
        ("/api/embed", {"model": "a b", "input": 5}, 400, "invalid model name"),
        ("/api/embed", {"model": "nope", "input": 5}, 400, "invalid input type"),
        ("/api/embed", {"model": "nope", "input": ["a", 1]}, 400, "invalid input type"),
        ("/api/embed", {"model": "nope", "input": "x"}, 404, 'model "nope" not found, try pulling it first'),
        ("/api/embed", {"model": "tiny", "input": "x"}, 501, NONE),
        ("/api/embed", {"model": "embedder", "input": ["x"]}, 501, LATER),
        ("/api/embed", {"model": "tiny", "keep_alive": "x"}, 400, 'time: invalid duration "x"'),
        ("/api/embeddings", {"prompt": "x"}, 400, "model is required"),
        ("/api/embeddings", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
        ("/api/embeddings", {"model": "tiny", "prompt": "x"}, 500, NONE),
        ("/api/embeddings", {"model": "embedder", "prompt": "x"}, 501, LATER),
        ("/api/pull", {}, 400, "invalid model name"),
        ("/api/pull", {"model": "a b"}, 400, "invalid model name"),
        ("/api/pull", {"model": "tiny"}, 501, "pulling models is not available in this version"),
        ("/api/push", {}, 400, "model is required"),
        ("/api/push", {"model": "tiny", "stream": False}, 501, "pushing models is not available in this version"),
    ],
)
async def test_requests_are_checked_and_the_rest_is_said_to_be_missing(
    client: Client, path: str, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(path, body)
    assert (reply.status, reply.json) == (status, {"error": text})


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
async def test_nothing_to_embed_loads_the_model(client: Client, models: FakeModels, body: dict[str, object]) -> None:
    reply = await client.post("/api/embed", {"model": "tiny"} | body)
    assert (reply.status, reply.json) == (200, {"model": "tiny", "embeddings": []})
    assert len(models.acquired) == 1


async def test_an_empty_prompt_has_an_empty_vector(client: Client) -> None:
    assert (await client.post("/api/embeddings", {"model": "embedder"})).json == {"embedding": []}


@pytest.mark.parametrize(
    ("name", "statuses", "error"),
    [
        ("tiny", ["retrieving manifest"], "pushing models is not available in this version"),
        (
            "nope",
            ["retrieving manifest", "couldn't retrieve manifest"],
            "nope:latest: no such file or directory",
        ),
        (
            "a b",
            ["retrieving manifest", "couldn't retrieve manifest"],
            "unqualified name: registry.ollama.ai/library/a b:latest",
        ),
    ],
)
async def test_a_push_looks_for_its_model(client: Client, name: str, statuses: list[str], error: str) -> None:
    *steps, last = (await client.post("/api/push", {"model": name})).lines
    assert (steps, last) == ([{"status": status} for status in statuses], {"error": error})
