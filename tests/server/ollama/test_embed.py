import numpy as np
import pytest

from lcrt.core.event import Failure
from lcrt.core.question import Embed, Refused, Vectors
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

MISSING = 'model "nope" not found, try pulling it first'


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/api/embed", {"input": "x"}, 404, "model '' not found"),
        ("/api/embed", {"model": "a b", "input": 5}, 400, "invalid model name"),
        ("/api/embed", {"model": "nope", "input": 5}, 400, "invalid input type"),
        ("/api/embed", {"model": "nope", "input": ["a", 1]}, 400, "invalid input type"),
        ("/api/embed", {"model": "nope", "input": "x"}, 404, MISSING),
        ("/api/embed", {"model": "tiny", "keep_alive": "x"}, 400, 'time: invalid duration "x"'),
        ("/api/embeddings", {"prompt": "x"}, 400, "model is required"),
        ("/api/embeddings", {"model": "nope"}, 404, MISSING),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(
    client: Client, models: FakeModels, path: str, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(path, body)
    assert (reply.status, reply.json) == (status, {"error": text})
    assert models.questions == []


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
async def test_nothing_to_embed_loads_the_model(client: Client, models: FakeModels, body: dict[str, object]) -> None:
    reply = await client.post("/api/embed", {"model": "embedder"} | body)
    assert (reply.status, reply.json) == (200, {"model": "embedder", "embeddings": []})
    assert (len(models.acquired), models.questions) == (1, [])


async def test_an_empty_prompt_has_an_empty_vector(client: Client) -> None:
    assert (await client.post("/api/embeddings", {"model": "embedder"})).json == {"embedding": []}


async def test_vectors_come_with_their_counts(client: Client, models: FakeModels) -> None:
    models.reply = Vectors([b"[0.6,0.8]", b"[1,0]"], 9)
    reply = await client.post("/api/embed", {"model": "embedder", "input": ["a", ""], "keep_alive": "1m"})
    assert reply.status == 200
    assert reply.json["embeddings"] == [[0.6, 0.8], [1, 0]]
    assert reply.json["prompt_eval_count"] == 9
    assert (reply.json["load_duration"], reply.json["model"]) == (250_000_000, "embedder")
    assert models.questions == [Embed(("a", ""))]
    assert models.acquired[0][3] == 60


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"input": "x", "truncate": False}, Embed(("x",), truncate=False)),
        ({"input": "x", "truncate": None}, Embed(("x",))),
        ({"input": "x", "dimensions": 3}, Embed(("x",), dimensions=3)),
        ({"input": "x", "dimensions": -1}, Embed(("x",))),
        ({"input": "x", "options": {"num_ctx": 3}}, Embed(("x",), n_ctx=3)),
        ({"input": "x", "options": {"num_ctx": 0}}, Embed(("x",), n_ctx=0)),
        ({"input": [""]}, Embed(("",))),
    ],
)
async def test_what_was_asked_for_reaches_the_runner(
    client: Client, models: FakeModels, body: dict[str, object], question: Embed
) -> None:
    models.reply = Vectors([b"[1]"], 1)
    assert (await client.post("/api/embed", {"model": "embedder"} | body)).status == 200
    assert models.questions == [question]
    assert models.acquired[0][1].num_ctx is None


async def test_the_old_endpoint_answers_with_one_vector_as_doubles(client: Client, models: FakeModels) -> None:
    models.reply = Vectors([np.array([0.1, -2], "<f4").tobytes()], 2)
    reply = await client.post("/api/embeddings", {"model": "embedder", "prompt": "x"})
    assert (reply.status, reply.body) == (200, b'{"embedding":[0.10000000149011612,-2.0]}')
    assert models.questions == [Embed(("x",), truncate=False, as_json=False)]


@pytest.mark.parametrize(
    ("path", "field", "status"), [("/api/embed", "input", 400), ("/api/embeddings", "prompt", 500)]
)
async def test_a_refusal_of_the_runner_is_the_answer(
    client: Client, models: FakeModels, path: str, field: str, status: int
) -> None:
    models.reply = Refused(Failure("InvalidRequest", "the input length exceeds the context length"))
    reply = await client.post(path, {"model": "embedder", field: "x"})
    assert (reply.status, reply.json) == (status, {"error": "the input length exceeds the context length"})
    assert models.released == 1
