"""Formats on models that think before they answer, over HTTP: one generation, of which the answer alone is bound."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import validate
from openai import OpenAI

from tests.e2e.conftest import Daemon, lcrt
from tests.native import tiny_harmony

CHANNELS = "channels"
TAGS = "tags"
SEEDS = range(6)
MAX_TOKENS = 900
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "n": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["name", "n"],
    "additionalProperties": False,
}
STRICT: Any = {"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": SCHEMA}}
MESSAGES: list[Any] = [{"role": "user", "content": "a name and a number"}]
RAW = {
    CHANNELS: "<|start|>user<|message|>a name and a number<|end|><|start|>assistant",
    TAGS: "[user]a name and a number[assistant]<think>",
}

Answer = tuple[str, str, str | None]
"""The text, what was thought, and why it ended."""
Ask = Callable[[Daemon, str, int], Answer]


@pytest.fixture(scope="module")
def thinkers(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon with both models."""
    folder = tmp_path_factory.mktemp("thinkers")
    tiny_harmony.model(folder / f"{CHANNELS}.gguf")
    tiny_harmony.model(folder / f"{TAGS}.gguf", tokenizer__chat_template=tiny_harmony.TAGGED)
    for name in (CHANNELS, TAGS):
        modelfile = folder / name
        modelfile.write_text(f"FROM {folder / name}.gguf\nPARAMETER num_ctx 1024\n")
        made = lcrt(daemon.env, "create", name, "-f", str(modelfile))
        assert made.returncode == 0, made.stderr
    yield daemon
    for name in (CHANNELS, TAGS):
        lcrt(daemon.env, "rm", name)


def options(seed: int, **more: Any) -> dict[str, Any]:
    return {"seed": seed, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_predict": MAX_TOKENS, **more}


def post(daemon: Daemon, name: str, path: str, **fields: Any) -> dict[str, Any]:
    reply = httpx.post(daemon.url + path, json={"model": name, "stream": False, **fields}, timeout=300)
    assert reply.status_code == 200, reply.text
    out: dict[str, Any] = reply.json()
    return out


def chat(daemon: Daemon, name: str, seed: int) -> Answer:
    found = post(daemon, name, "/api/chat", messages=MESSAGES, format=SCHEMA, options=options(seed))
    message = found["message"]
    return message["content"], message.get("thinking", ""), found["done_reason"]


def chat_streamed(daemon: Daemon, name: str, seed: int) -> Answer:
    body = {"model": name, "messages": MESSAGES, "format": SCHEMA, "options": options(seed)}
    with httpx.stream("POST", daemon.url + "/api/chat", json=body, timeout=300) as reply:
        parts = [json.loads(line) for line in reply.iter_lines()]
    content = "".join(part["message"]["content"] for part in parts)
    return content, "".join(part["message"].get("thinking", "") for part in parts), parts[-1]["done_reason"]


def generate(daemon: Daemon, name: str, seed: int) -> Answer:
    found = post(daemon, name, "/api/generate", prompt="a name", format=SCHEMA, options=options(seed))
    return found["response"], found.get("thinking", ""), found["done_reason"]


def generate_raw(daemon: Daemon, name: str, seed: int) -> Answer:
    found = post(daemon, name, "/api/generate", prompt=RAW[name], raw=True, format=SCHEMA, options=options(seed))
    return found["response"], found.get("thinking", ""), found["done_reason"]


def openai(daemon: Daemon, name: str, seed: int) -> Answer:
    with OpenAI(base_url=daemon.url + "/v1", api_key="none") as client:
        found = client.chat.completions.create(
            model=name, messages=MESSAGES, response_format=STRICT, seed=seed, temperature=1.0, max_tokens=MAX_TOKENS
        )
    message = found.choices[0].message
    return message.content or "", getattr(message, "reasoning", ""), found.choices[0].finish_reason


def openai_streamed(daemon: Daemon, name: str, seed: int) -> Answer:
    with OpenAI(base_url=daemon.url + "/v1", api_key="none") as client:
        stream = client.chat.completions.create(
            model=name,
            messages=MESSAGES,
            response_format=STRICT,
            seed=seed,
            temperature=1.0,
            max_tokens=MAX_TOKENS,
            stream=True,
        )
        chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    thinking = "".join(getattr(delta, "reasoning", "") for delta in deltas)
    return "".join(delta.content or "" for delta in deltas), thinking, chunks[-1].choices[0].finish_reason


@pytest.mark.parametrize("name", [CHANNELS, TAGS])
@pytest.mark.parametrize("ask", [chat, chat_streamed, generate, generate_raw, openai, openai_streamed])
def test_thoughts_are_free_and_the_answer_is_what_was_asked_for(thinkers: Daemon, ask: Ask, name: str) -> None:
    answers = [ask(thinkers, name, seed) for seed in SEEDS]
    for text, _, finish in answers:
        assert finish == "stop"
        validate(json.loads(text), SCHEMA)
    thoughts = "".join(thinking for _, thinking, _ in answers)
    assert thoughts
    assert not any(mark in thoughts for mark in (*tiny_harmony.MARKS, "</think>" if name == TAGS else "<|end|>"))


def test_marks_that_a_model_names_as_stops_end_no_thought(thinkers: Daemon) -> None:
    for seed in SEEDS:
        given = options(seed, stop=["<|end|>", "<|start|>", "<|return|>"])
        found = post(thinkers, CHANNELS, "/api/chat", messages=MESSAGES, format=SCHEMA, options=given)
        assert found["done_reason"] == "stop"
        validate(json.loads(found["message"]["content"]), SCHEMA)


@pytest.mark.parametrize("name", [CHANNELS, TAGS])
def test_completions_show_the_answer_alone(thinkers: Daemon, name: str) -> None:
    fields = {"json_schema": SCHEMA, "temperature": 1.0, "max_tokens": MAX_TOKENS}
    for seed in SEEDS:
        found = post(thinkers, name, "/v1/completions", prompt="a name", seed=seed, **fields)
        validate(json.loads(found["choices"][0]["text"]), SCHEMA)


@pytest.mark.parametrize(
    ("name", "prompt"),
    [(CHANNELS, RAW[CHANNELS] + "<|channel|>final<|message|>"), (TAGS, RAW[TAGS] + "hm</think>"), (CHANNELS, "a name")],
)
def test_a_prompt_that_leaves_no_room_for_thoughts_gets_the_answer(thinkers: Daemon, name: str, prompt: str) -> None:
    found = post(thinkers, name, "/api/generate", prompt=prompt, raw=True, format=SCHEMA, options=options(1))
    validate(json.loads(found["response"]), SCHEMA)
    assert "thinking" not in found


@pytest.mark.parametrize("name", [CHANNELS, TAGS])
def test_it_is_one_generation(thinkers: Daemon, name: str) -> None:
    fields = {"prompt": RAW[name], "raw": True, "format": SCHEMA}
    for seed in SEEDS:
        found = post(thinkers, name, "/api/generate", options=options(seed), **fields)
        assert found["prompt_eval_count"] == n_tokens(thinkers, name, RAW[name])
        said = n_tokens(thinkers, name, found["response"]) + n_tokens(thinkers, name, found.get("thinking", ""))
        assert found["eval_count"] >= said


def n_tokens(daemon: Daemon, name: str, text: str) -> int:
    return len(post(daemon, name, "/api/tokenize", content=text)["tokens"])


@pytest.mark.parametrize("name", [CHANNELS, TAGS])
def test_thoughts_without_an_end_finish_with_length(thinkers: Daemon, name: str) -> None:
    texts = tiny_harmony.tokens()
    ends = ["<|end|>", "</think>", *(text for text in texts if "final".startswith(text))]
    bias = {str(texts.index(text)): -100.0 for text in ends}
    for path, fields in (("/api/chat", {"messages": MESSAGES}), ("/api/generate", {"prompt": "a name"})):
        given = options(1, logit_bias=bias, num_predict=40)
        found = post(thinkers, name, path, format="json", options=given, **fields)
        answer = found.get("message", found)
        assert (found["done_reason"], found["eval_count"]) == ("length", 40)
        assert answer.get("content", answer.get("response")) == ""
        assert answer["thinking"]


@pytest.mark.parametrize("name", [CHANNELS, TAGS])
def test_log_probabilities_are_those_of_every_token(thinkers: Daemon, name: str) -> None:
    found = post(thinkers, name, "/api/chat", messages=MESSAGES, format=SCHEMA, logprobs=True, options=options(1))
    said = b"".join(bytes(entry["bytes"]) for entry in found["logprobs"]).decode()
    assert found["message"]["content"] in said
    assert len(found["logprobs"]) == found["eval_count"]
