"""Vectors from the daemon with the real all-MiniLM, beside chats with another model and with the same one."""

import base64
import json
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from ci.minilm import GGUF
from ci.models import FOLDER
from tests.e2e.conftest import Daemon, lcrt
from tests.golden.test_golden import recordings
from tests.native.bert import APART

SENTENCE = "The sky is blue because of Rayleigh scattering"
WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
]


@pytest.fixture(scope="module")
def client(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    if not (FOLDER / GGUF).exists():
        pytest.fail("the embedding model is not there: python -m ci.minilm gets it")
    modelfile = tmp_path_factory.mktemp("minilm") / "Modelfile"
    modelfile.write_text(f"FROM {Path(FOLDER / GGUF)}\n")
    made = lcrt(daemon.env, "create", "all-minilm", "-f", str(modelfile))
    assert made.returncode == 0, made.stderr
    with httpx.Client(base_url=daemon.url, timeout=300) as made_client:
        yield made_client


def embed(client: httpx.Client, texts: str | list[str], model: str = "all-minilm", **more: object) -> list[list[float]]:
    reply = client.post("/api/embed", json={"model": model, "input": texts, **more})
    assert reply.status_code == 200, reply.text
    rows: list[list[float]] = reply.json()["embeddings"]
    return rows


def texts(n: int) -> list[str]:
    return [" ".join(WORDS[(i + k) % 12] for k in range(i % 14 + 1)) + f" {i}" for i in range(n)]


def test_many_texts_in_one_request_are_what_each_is_alone_and_in_order(client: httpx.Client) -> None:
    together = np.array(embed(client, texts(200)))
    with ThreadPoolExecutor(32) as pool:
        alone = np.array([row for [row] in pool.map(lambda text: embed(client, text), texts(200))])
    assert np.abs(together - alone).max() < APART
    assert (together * alone).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)


def test_related_sentences_are_closer_than_others_and_counted_in_tokens(client: httpx.Client) -> None:
    reply = client.post("/api/embed", json={"model": "all-minilm", "input": [SENTENCE, "Why the sky is blue", "Taxes"]})
    sky, same, other = np.array(reply.json()["embeddings"])
    assert sky @ same > 0.6 > 0.3 > sky @ other
    assert reply.json()["prompt_eval_count"] == 11 + 7 + 3


def test_a_model_chats_and_embeds_at_the_same_time(client: httpx.Client) -> None:
    before = embed(client, SENTENCE, "smollm2")
    chat = {"model": "smollm2", "messages": [{"role": "user", "content": "Count to ten."}], "stream": False}

    def talk(_: int) -> str:
        reply = client.post("/api/chat", json=chat | {"options": {"num_predict": 40}})
        content: str = reply.json()["message"]["content"]
        return content

    with ThreadPoolExecutor(3) as pool:
        spoken = pool.map(talk, range(2))
        during = [embed(client, SENTENCE, "smollm2") for _ in range(3)]
        assert len(set(spoken)) == 1
    for rows in during:
        np.testing.assert_allclose(rows, before, atol=1e-6)
    loaded = [row["name"] for row in client.get("/api/ps").json()["models"]]
    assert loaded.count("smollm2:latest") == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"messages": [{"role": "user", "content": "x"}]}),
        ("/api/generate", {"prompt": "x"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ],
)
def test_a_model_of_vectors_does_not_talk(client: httpx.Client, path: str, body: dict[str, object]) -> None:
    reply = client.post(path, json={"model": "all-minilm", **body})
    assert reply.status_code == 400
    assert '\\"all-minilm\\" does not support' in reply.text


@pytest.mark.parametrize(
    ("more", "status", "count"),
    [
        ({}, 200, 512),
        ({"truncate": False}, 400, 0),
        ({"options": {"num_ctx": 3}}, 200, 3),
        ({"options": {"num_ctx": 1}}, 400, 0),
        ({"options": {"num_ctx": 0}}, 400, 0),
    ],
)
def test_long_texts_are_cut_or_refused(client: httpx.Client, more: dict[str, object], status: int, count: int) -> None:
    reply = client.post("/api/embed", json={"model": "all-minilm", "input": "word " * 900, **more})
    assert (reply.status_code, reply.json().get("prompt_eval_count", 0)) == (status, count)


def test_all_endpoints_agree_about_a_vector(client: httpx.Client) -> None:
    [native] = embed(client, SENTENCE)
    asked = {"model": "all-minilm", "input": SENTENCE}
    openai = client.post("/v1/embeddings", json=asked).json()["data"][0]["embedding"]
    packed = client.post("/v1/embeddings", json=asked | {"encoding_format": "base64"}).json()["data"][0]["embedding"]
    old = client.post("/api/embeddings", json={"model": "all-minilm", "prompt": SENTENCE}).json()["embedding"]
    assert native == openai
    np.testing.assert_array_equal(np.array(native, np.float32), array("f", base64.b64decode(packed)))
    np.testing.assert_array_equal(np.array(native, np.float32), np.array(old, np.float32))
    [short] = embed(client, SENTENCE, dimensions=64)
    np.testing.assert_allclose(short, np.array(native[:64]) / np.linalg.norm(native[:64]), rtol=1e-5)


def recorded_vectors(path: str, answer: dict[str, list[object]]) -> list[object]:
    """The vectors of an answer of one endpoint."""
    if path == "/v1/embeddings":
        return [row["embedding"] for row in answer["data"] if isinstance(row, dict)]
    return answer["embeddings"] if path == "/api/embed" else [answer["embedding"]]


def test_vectors_are_those_that_ollama_made_of_the_same_texts(client: httpx.Client) -> None:
    n_compared = 0
    for file in sorted((recordings() / "samples").glob("*embed*ok-*.json")):
        sample = json.loads(file.read_text())
        request, wanted = sample["request"], sample["response"]
        if wanted["status"] != 200:
            continue
        reply = client.post(request["path"], json=request["body"])
        got, made = (
            np.array(recorded_vectors(request["path"], answer)) for answer in (reply.json(), json.loads(wanted["body"]))
        )
        lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(made, axis=1)
        assert ((got * made).sum(axis=1) / lengths).min() > 0.9999, file.stem
        n_compared += len(got)
    assert n_compared > 5


def test_documents_are_ranked_by_vectors_only_when_asked(client: httpx.Client) -> None:
    asked = {"model": "all-minilm", "query": "what is a cat", "documents": ["stock prices", "a cat is an animal"]}
    assert client.post("/v1/rerank", json=asked).status_code == 400
    results = client.post("/v1/rerank", json=asked | {"by_embeddings": True}).json()["results"]
    assert [result["index"] for result in results] == [1, 0]
    assert results[0]["relevance_score"] > 0.6


def test_tokens_and_texts_lead_to_each_other(client: httpx.Client) -> None:
    tokens = client.post("/tokenize", json={"model": "smollm2", "content": "Hello, wörld 😀"}).json()["tokens"]
    back = client.post("/detokenize", json={"model": "smollm2", "tokens": tokens}).json()
    assert back == {"content": "Hello, wörld 😀", "prompt": "Hello, wörld 😀"}
    chat = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}], "return_token_strs": True}
    assert "<|im_start|>" in client.post("/v1/tokenize", json=chat).json()["token_strs"]


def test_a_client_that_leaves_takes_its_texts_along(client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/embed", json={"model": "all-minilm", "input": ["word " * 500] * 400}, timeout=0.5)
    assert len(embed(client, "next")[0]) == 384
