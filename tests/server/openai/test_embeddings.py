import base64

import numpy as np
import pytest

from lcrt.core.question import Embed, Vectors
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (
            {"encoding_format": "hex"},
            400,
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
        ),
        ({"model": "tiny"}, 400, "invalid input"),
        ({"model": "tiny", "input": []}, 400, "invalid input"),
        ({"model": "tiny", "input": [1, 2]}, 400, "invalid input type"),
        ({"model": "nope", "input": ""}, 404, 'model "nope" not found, try pulling it first'),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(
    client: Client, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post("/v1/embeddings", body)
    assert (reply.status, reply.json["error"]["message"]) == (status, text)  # type: ignore[index]


async def test_vectors_are_listed_with_their_places(client: Client, models: FakeModels) -> None:
    models.reply = Vectors([b"[0.6,0.8]", b"[1,0]"], 7)
    reply = await client.post("/v1/embeddings", {"MODEL": "embedder", "input": ["a", "b"], "dimensions": 2})
    assert reply.json == {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": [0.6, 0.8], "index": 0},
            {"object": "embedding", "embedding": [1, 0], "index": 1},
        ],
        "model": "embedder",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert reply.kind == "application/json"
    assert models.questions == [Embed(("a", "b"), dimensions=2)]


@pytest.mark.parametrize("encoding", ["base64", "BASE64"])
async def test_vectors_are_base64_of_floats_when_wanted(client: Client, models: FakeModels, encoding: str) -> None:
    row = np.array([0.25, -1, 3e-8], "<f4").tobytes()
    models.reply = Vectors([row], 1)
    reply = await client.post("/v1/embeddings", {"model": "embedder", "input": "", "encoding_format": encoding})
    assert base64.b64decode(reply.json["data"][0]["embedding"]) == row  # type: ignore[index]
    assert models.questions == [Embed(("",), as_json=False)]
