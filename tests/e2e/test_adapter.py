"""Adapters over HTTP: requests with and without them at the same time, on one loaded model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from tests.e2e.conftest import Daemon, add_adapter
from tests.native import lora

QUESTION = "Name three things that one finds at the sea."
N_TOKENS = 24
TIE = 1.0  # between two logits: more than passes of other shapes change, of two models' sums added up
ADAPTERS: list[object] = [None, "pirate", "poet", {"name": "pirate", "scale": 0.5}, ["pirate", "poet"]]


@pytest.fixture(scope="module")
def client(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("adapters")
    for name in ("pirate", "poet"):
        add_adapter(daemon, folder, name)
    with httpx.Client(base_url=daemon.url, timeout=300) as made:
        yield made


def ask(client: httpx.Client, adapter: object, model: str = "smollm2", **more: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": False, "adapter": adapter}
    options = {"temperature": 0, "num_predict": N_TOKENS}
    return client.post("/api/chat", json=body | {"options": options} | more)


def said(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    text: str = reply.json()["message"]["content"]
    return text


class Answer(msgspec.Struct, frozen=True):
    """Tokens, with how much likelier each was than the next one."""

    tokens: tuple[str, ...]
    leads: tuple[float, ...]


def answer(client: httpx.Client, adapter: object) -> Answer:
    reply = ask(client, adapter, logprobs=True, top_logprobs=2)
    assert reply.status_code == 200, reply.text
    rows = reply.json()["logprobs"]
    tops = [[top["logprob"] for top in row["top_logprobs"]] for row in rows]
    return Answer(tuple(row["token"] for row in rows), tuple(first - second for first, second in tops))


def lead_where_they_part(got: Answer, alone: Answer) -> float:
    """Nothing where they do not."""
    pairs = zip(got.tokens, alone.tokens, alone.leads, strict=False)
    return next((lead for one, other, lead in pairs if one != other), 0.0)


def test_requests_with_several_adapters_together_answer_as_alone(client: httpx.Client) -> None:
    alone = [answer(client, adapter) for adapter in ADAPTERS]
    assert len({one.tokens for one in alone}) == len(ADAPTERS)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda adapter: answer(client, adapter), ADAPTERS * 2))
    # Passes of other shapes round otherwise, so that answers may part where two tokens are about as likely.
    pairs = list(zip(together, alone * 2, strict=True))
    assert max(lead_where_they_part(got, wanted) for got, wanted in pairs) < TIE
    assert sum(got.tokens == wanted.tokens for got, wanted in pairs) >= len(pairs) / 2
    names = {row["name"] for row in client.get("/api/ps").json()["models"]}
    assert "pirate:latest" not in names


def test_an_adapter_of_a_request_is_that_of_the_model_made_with_it(client: httpx.Client) -> None:
    named = said(ask(client, "pirate"))
    assert said(ask(client, None, "pirate")) == named
    assert said(ask(client, None, "pirate", lora=[{"id": 0, "scale": 0}])) == said(ask(client, None))


def test_openai_clients_name_adapters_too(client: httpx.Client) -> None:
    body = {"model": "smollm2", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": N_TOKENS}
    reply = client.post("/v1/chat/completions", json=body | {"temperature": 0, "adapter": "poet"})
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"] == said(
        ask(client, "poet", options={"temperature": 0, "num_predict": N_TOKENS, "top_p": 1})
    )


def test_adapters_in_memory_count_in_ps(daemon: Daemon, client: httpx.Client, tmp_path: Path) -> None:
    def sizes() -> dict[str, int]:
        return {row["name"]: row["size"] for row in client.get("/api/ps").json()["models"]}

    file = lora.write_lora(tmp_path / "heavy.gguf", lora.smol_shapes(), seed=9, rank=16)
    add_adapter(daemon, tmp_path, "heavy", file)
    said(ask(client, None, "heavy"))  # whose runner is another one than that of the model without it
    own = sizes()["heavy:latest"]
    said(ask(client, None))
    plain = sizes()["smollm2:latest"]
    said(ask(client, "heavy"))
    assert (own, sizes()["smollm2:latest"]) == (plain + file.stat().st_size,) * 2


def test_what_cannot_be_applied_is_a_400(daemon: Daemon, client: httpx.Client, tmp_path: Path) -> None:
    wide = lora.write_lora(tmp_path / "wide.gguf", {"blk.0.attn_q": (64, 64)}, seed=1)
    add_adapter(daemon, tmp_path, "wide", wide)
    for stream in (False, True):
        reply = ask(client, "wide", stream=stream)
        assert reply.status_code == 400
        assert "an adapter cannot be applied to this model" in reply.json()["error"]
    assert ask(client, "nobody").status_code == 404
    assert said(ask(client, None))


Vector = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def vector(client: httpx.Client, model: str, text: str = QUESTION, **more: object) -> Vector:
    reply = client.post("/api/embed", json={"model": model, "input": text} | more)
    assert reply.status_code == 200, reply.text
    return np.array(reply.json()["embeddings"][0])


def test_vectors_are_those_of_the_models_own_adapters_or_of_those_that_a_request_names(client: httpx.Client) -> None:
    plain, changed = vector(client, "smollm2"), vector(client, "pirate")
    assert 1 - plain @ changed > 1e-3
    assert 1 - changed @ vector(client, "pirate") < 1e-4
    assert 1 - changed @ vector(client, "smollm2", adapter="pirate") < 1e-4
    assert 1 - plain @ vector(client, "pirate", lora=[]) < 1e-4
    openai = client.post("/v1/embeddings", json={"model": "smollm2", "input": QUESTION, "adapter": "pirate"})
    assert 1 - changed @ np.array(openai.json()["data"][0]["embedding"]) < 1e-4
    old = client.post("/api/embeddings", json={"model": "smollm2", "prompt": QUESTION, "adapter": "pirate"})
    assert 1 - changed @ np.array(old.json()["embedding"]) < 1e-4


def test_vectors_and_answers_of_several_adapters_at_once_are_those_of_each_alone(client: httpx.Client) -> None:
    texts = [f"{QUESTION} {number}" for number in range(3)]
    wanted: list[object] = [None, "pirate", "poet", {"name": "pirate", "scale": 0.5}]
    jobs = [(text, adapter) for text in texts for adapter in wanted]
    alone = [vector(client, "smollm2", text, adapter=adapter) for text, adapter in jobs]
    with ThreadPoolExecutor(len(jobs) + 1) as pool:
        chat = pool.submit(lambda: said(ask(client, "poet")))
        together = list(pool.map(lambda job: vector(client, "smollm2", job[0], adapter=job[1]), jobs))
        assert chat.result()
    for got, want in zip(together, alone, strict=True):
        assert 1 - got @ want < 1e-4
    assert min(1 - one @ other for i, one in enumerate(alone) for other in alone[:i]) > 1e-4
