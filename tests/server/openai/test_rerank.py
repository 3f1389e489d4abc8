import math

import pytest

from lcrt.core.event import Failure
from lcrt.core.question import Rank, Refused, Scores
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

ASKED = {"model": "embedder", "query": "q", "documents": ["a", {"text": "b"}, "c"]}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "embedder", "documents": ["a"]}, 400, "query is required"),
        ({"model": "embedder", "query": "q"}, 400, "documents is required"),
        ({"model": "embedder", "query": "q", "documents": []}, 400, "documents is required"),
        (ASKED | {"top_n": 0}, 400, "top_n must be at least 1"),
        (ASKED | {"documents": [1]}, 400, "each document must be a text, or an object with a `text`"),
        (ASKED | {"model": "nope"}, 404, "model 'nope' not found"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(
    client: Client, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post("/v1/rerank", body)
    assert (reply.status, reply.json["error"]["message"]) == (status, text)  # type: ignore[index]


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
async def test_documents_come_best_first_with_scores_between_nought_and_one(
    client: Client, models: FakeModels, path: str
) -> None:
    models.reply = Scores([0.0, 2.0, -900.0], 12)
    reply = await client.post(path, ASKED)
    results = reply.json["results"]
    assert isinstance(results, list)
    assert [result["index"] for result in results] == [1, 0, 2]
    assert [result["relevance_score"] for result in results] == [1 / (1 + math.exp(-2)), 0.5, 0.0]
    assert (reply.json["model"], reply.json["object"]) == ("embedder", "list")
    assert reply.json["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    assert models.questions == [Rank("q", ("a", "b", "c"))]


async def test_only_the_best_come_with_their_texts_when_asked(client: Client, models: FakeModels) -> None:
    models.reply = Scores([0.0, 2.0, 1.0], 12)
    reply = await client.post("/rerank", ASKED | {"top_n": 2, "return_documents": True, "raw_scores": True})
    assert reply.json["results"] == [
        {"index": 1, "relevance_score": 2.0, "document": {"text": "b"}},
        {"index": 2, "relevance_score": 1.0, "document": {"text": "c"}},
    ]


@pytest.mark.parametrize("labels", [0, 2])
async def test_shares_and_cosines_stay_as_they_are(client: Client, models: FakeModels, labels: int) -> None:
    models.reply = Scores([0.9, 0.1, 0.2], 12, labels)
    reply = await client.post("/rerank", ASKED | {"by_embeddings": True})
    assert [result["relevance_score"] for result in reply.json["results"]] == [0.9, 0.2, 0.1]  # type: ignore[attr-defined]
    assert models.questions == [Rank("q", ("a", "b", "c"), by_vectors=True)]


async def test_a_model_that_is_no_reranker_is_a_mistake_of_the_client(client: Client, models: FakeModels) -> None:
    models.reply = Refused(Failure("InvalidRequest", "this model is no reranker"))
    reply = await client.post("/v1/rerank", ASKED)
    assert (reply.status, reply.json["error"]["message"]) == (400, "this model is no reranker")  # type: ignore[index]
