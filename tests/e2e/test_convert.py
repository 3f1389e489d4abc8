"""A real model in the form in which it is published: made by ``lcrt create`` of a folder of safetensors, and asked."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lcrt.convert.run import convert
from lcrt.gguf.reader import read_header
from tests.convert import rebuilt
from tests.e2e.conftest import SMOL, Daemon, lcrt

FRANCE = {"role": "user", "content": "What is the capital of France?"}
VOCABULARY = ("tokens", "token_type", "merges")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("published") / "SmolLM2-135M"
    rebuilt.write_folder(made, SMOL)
    return made


@pytest.fixture(scope="module")
def client(daemon: Daemon, folder: Path) -> Iterator[httpx.Client]:
    modelfile = folder.with_name("Modelfile")
    modelfile.write_text(f"FROM {folder}\nSYSTEM You are a helpful assistant.\nPARAMETER temperature 0\n")
    made = lcrt(daemon.env, "create", "converted", "-f", str(modelfile))
    assert made.returncode == 0, made.stderr
    assert "converting model" in made.stderr + made.stdout
    with httpx.Client(base_url=daemon.url, timeout=60) as made_client:
        yield made_client


def test_a_model_comes_back_as_it_was(folder: Path) -> None:
    output = folder.with_suffix(".gguf")
    for _ in convert(folder, output):
        pass
    before, after = read_header(SMOL), read_header(output)
    for key in VOCABULARY:
        assert after.array(f"tokenizer.ggml.{key}") == before.array(f"tokenizer.ggml.{key}")
    told = {key for key in before.metadata if key.startswith(("llama.", "tokenizer."))} - {
        "tokenizer.ggml.add_space_prefix",
        *(f"tokenizer.ggml.{key}" for key in VOCABULARY),
    }
    assert {key: after.metadata.get(key) for key in told} == {key: before.metadata[key] for key in told}
    assert {(t.name, t.shape) for t in after.tensors} == {(t.name, t.shape) for t in before.tensors}


def test_it_answers_as_the_file_that_it_was_made_of(client: httpx.Client) -> None:
    answers = [
        client.post("/api/chat", json={"model": model, "messages": [FRANCE], "stream": False}).json()["message"]
        for model in ("converted", "smollm2")
    ]
    assert answers[0]["content"] == answers[1]["content"] == "The capital of France is Paris."


def test_it_says_what_it_is(client: httpx.Client) -> None:
    told = client.post("/api/show", json={"model": "converted"}).json()
    assert told["details"]["quantization_level"] == "BF16"
    assert told["details"]["family"] == "llama"
    assert told["model_info"]["general.parameter_count"] == 134515008
