"""Formats on a model that thinks in channels, over HTTP: one generation, of which the answer alone is bound."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import validate
from openai import OpenAI

from tests.e2e.conftest import Daemon, lcrt
from tests.native import tiny_harmony

NAME = "channels"
SEEDS = range(3)
MAX_TOKENS = 900
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "n": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["name", "n"],
    "additionalProperties": False,
}
STRICT: Any = {"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": SCHEMA}}
MESSAGES: list[Any] = [{"role": "user", "content": "a name and a number"}]
RAW = "<|start|>user<|message|>a name and a number<|end|><|start|>assistant"

Answer = tuple[str, str, str | None]
"""The text, what was thought, and why it ended."""
Ask = Callable[[Daemon, int], Answer]


@pytest.fixture(scope="module")
def channels(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon with the model."""
    folder = tmp_path_factory.mktemp("channels")
    modelfile = folder / "Modelfile"
    modelfile.write_text(f"FROM {tiny_harmony.model(folder / 'model.gguf')}\nPARAMETER num_ctx 1024\n")
    made = lcrt(daemon.env, "create", NAME, "-f", str(modelfile))
    assert made.returncode == 0, made.stderr
    yield daemon
    lcrt(daemon.env, "rm", NAME)


def options(seed: int, **more: Any) -> dict[str, Any]:
    return {"seed": seed, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_predict": MAX_TOKENS, **more}


def post(daemon: Daemon, path: str, **fields: Any) -> dict[str, Any]:
    reply = httpx.post(daemon.url + path, json={"model": NAME, "stream": False, **fields}, timeout=120)
    assert reply.status_code == 200, reply.text
    out: dict[str, Any] = reply.json()
    return out


def chat(daemon: Daemon, seed: int) -> Answer:
    found = post(daemon, "/api/chat", messages=MESSAGES, format=SCHEMA, options=options(seed))
    message = found["message"]
    return message["content"], message.get("thinking", ""), found["done_reason"]


def chat_streamed(daemon: Daemon, seed: int) -> Answer:
    body = {"model": NAME, "messages": MESSAGES, "format": SCHEMA, "options": options(seed)}
    with httpx.stream("POST", daemon.url + "/api/chat", json=body, timeout=120) as reply:
        parts = [json.loads(line) for line in reply.iter_lines()]
    content = "".join(part["message"]["content"] for part in parts)
    return content, "".join(part["message"].get("thinking", "") for part in parts), parts[-1]["done_reason"]


def generate(daemon: Daemon, seed: int) -> Answer:
    found = post(daemon, "/api/generate", prompt="a name", format=SCHEMA, options=options(seed))
    return found["response"], found.get("thinking", ""), found["done_reason"]


def generate_raw(daemon: Daemon, seed: int) -> Answer:
    found = post(daemon, "/api/generate", prompt=RAW, raw=True, format=SCHEMA, options=options(seed))
    return found["response"], found.get("thinking", ""), found["done_reason"]


def openai(daemon: Daemon, seed: int) -> Answer:
    with OpenAI(base_url=daemon.url + "/v1", api_key="none") as client:
        found = client.chat.completions.create(
            model=NAME, messages=MESSAGES, response_format=STRICT, seed=seed, temperature=1.0, max_tokens=MAX_TOKENS
        )
    message = found.choices[0].message
    return message.content or "", getattr(message, "reasoning", ""), found.choices[0].finish_reason


def openai_streamed(daemon: Daemon, seed: int) -> Answer:
    with OpenAI(base_url=daemon.url + "/v1", api_key="none") as client:
        stream = client.chat.completions.create(
            model=NAME,
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


@pytest.mark.parametrize("ask", [chat, chat_streamed, generate, generate_raw, openai, openai_streamed])
def test_thoughts_are_free_and_the_answer_is_what_was_asked_for(channels: Daemon, ask: Ask) -> None:
    answers = [ask(channels, seed) for seed in SEEDS]
    for text, _, finish in answers:
        assert finish == "stop"
        validate(json.loads(text), SCHEMA)
    thoughts = "".join(thinking for _, thinking, _ in answers)
    assert thoughts
    assert not any(mark in thoughts for mark in tiny_harmony.MARKS)


def test_completions_show_the_answer_alone(channels: Daemon) -> None:
    for seed in SEEDS:
        found = post(
            channels,
            "/v1/completions",
            prompt="a name",
            json_schema=SCHEMA,
            seed=seed,
            temperature=1.0,
            max_tokens=MAX_TOKENS,
        )
        validate(json.loads(found["choices"][0]["text"]), SCHEMA)


def test_a_prompt_that_has_begun_the_final_message_gets_the_answer_at_once(channels: Daemon) -> None:
    prompt = RAW + "<|channel|>final<|message|>"
    found = post(channels, "/api/generate", prompt=prompt, raw=True, format=SCHEMA, options=options(1))
    validate(json.loads(found["response"]), SCHEMA)
    assert "thinking" not in found


def test_it_is_one_generation(channels: Daemon) -> None:
    for seed in SEEDS:
        found = post(channels, "/api/generate", prompt=RAW, raw=True, format=SCHEMA, options=options(seed))
        plain = post(channels, "/api/tokenize", content=RAW)
        assert found["prompt_eval_count"] == len(plain["tokens"])
        assert found["eval_count"] > len(post(channels, "/api/tokenize", content=found["response"])["tokens"])


def test_thoughts_without_an_end_finish_with_length(channels: Daemon) -> None:
    texts = tiny_harmony.tokens()
    ends = ["<|end|>", *(text for text in texts if text and "final".startswith(text))]
    bias = {str(texts.index(text)): -100.0 for text in ends}
    for path, fields in (("/api/chat", {"messages": MESSAGES}), ("/api/generate", {"prompt": "a name"})):
        found = post(channels, path, format="json", options=options(1, logit_bias=bias, num_predict=40), **fields)
        answer = found.get("message", found)
        assert (found["done_reason"], found["eval_count"]) == ("length", 40)
        assert answer.get("content", answer.get("response")) == ""
        assert answer["thinking"]


def test_alternatives_come_with_thoughts_and_answer(channels: Daemon) -> None:
    found = post(channels, "/api/chat", messages=MESSAGES, format=SCHEMA, logprobs=True, options=options(1))
    said = b"".join(bytes(entry["bytes"]) for entry in found["logprobs"]).decode()
    assert found["message"]["content"] in said
    assert len(found["logprobs"]) == found["eval_count"]
