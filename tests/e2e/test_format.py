"""Answers of a promised form, over HTTP and from a real model: every schema of the set validates."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from jsonschema.validators import validator_for
from openai import OpenAI

from tests.e2e.conftest import Daemon
from tests.schemas import SCHEMAS

SEEDS = (1, 2)
MAX_TOKENS = 200


def generate(daemon: Daemon, **fields: Any) -> httpx.Response:
    body = {"model": "smollm2", "prompt": "Give an example as JSON.", "stream": False, **fields}
    return httpx.post(daemon.url + "/api/generate", json=body, timeout=300)


@pytest.fixture(scope="module")
def answers(daemon: Daemon) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Every schema with every seed at temperature 0.7, several at a time."""

    def ask(name: str, seed: int) -> tuple[str, dict[str, Any]]:
        options = {"temperature": 0.7, "seed": seed, "num_predict": MAX_TOKENS}
        reply = generate(daemon, format=SCHEMAS[name], prompt=f"Give an example of a {name} as JSON.", options=options)
        assert reply.status_code == 200, (name, reply.text)
        return name, reply.json()

    with ThreadPoolExecutor(4) as pool:
        yield list(pool.map(ask, *zip(*((name, seed) for name in SCHEMAS for seed in SEEDS), strict=True)))


def test_what_is_complete_validates(answers: list[tuple[str, dict[str, Any]]]) -> None:
    complete = [(name, answer["response"]) for name, answer in answers if answer["done_reason"] == "stop"]
    for name, text in complete:
        validator_for(SCHEMAS[name])(SCHEMAS[name]).validate(json.loads(text))
    assert len(complete) > len(answers) * 0.8


def test_what_is_not_complete_says_length(answers: list[tuple[str, dict[str, Any]]]) -> None:
    others = [answer for _, answer in answers if answer["done_reason"] != "stop"]
    assert all((answer["done_reason"], answer["eval_count"]) == ("length", MAX_TOKENS) for answer in others)


def test_a_schema_that_cannot_be_followed_is_a_400_with_its_place(daemon: Daemon) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "text"}}}}
    reply = generate(daemon, format=schema)
    assert reply.status_code == 400
    assert reply.json()["error"].endswith("JSON schema error at #/properties/tags/items: unrecognized type text")


@pytest.mark.parametrize(
    ("form", "whole"),
    [
        ({"response_format": {"type": "json_object"}}, r"\{.*\}\s*"),
        ({"regex": "(yes|no), [0-9]{2} times/day"}, r"(yes|no), [0-9]{2} times/day"),
        ({"lark": 'start: "<" WORD ">"\nWORD: /[a-z]{3,6}/'}, r"<[a-z]{3,6}>"),
        ({"grammar": 'root ::= item ("," item)? "."\nitem ::= [a-f] [0-9]'}, r"[a-f][0-9](,[a-f][0-9])?\."),
        ({"structured_outputs": {"choice": ["north", "south"]}}, r"north|south"),
    ],
)
def test_every_kind_of_form_is_kept(daemon: Daemon, form: dict[str, Any], whole: str) -> None:
    for seed in SEEDS:
        body = {
            "model": "smollm2",
            "messages": [{"role": "user", "content": 'Say {"size": 3}'}],
            "seed": seed,
            "temperature": 0.7,
            "max_tokens": MAX_TOKENS,
            **form,
        }
        reply = httpx.post(daemon.url + "/v1/chat/completions", json=body, timeout=300)
        assert reply.status_code == 200, reply.text
        choice = reply.json()["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert re.fullmatch(whole, choice["message"]["content"], re.DOTALL), choice


def test_json_is_any_object(daemon: Daemon) -> None:
    for seed in SEEDS:
        options = {"temperature": 0.7, "seed": seed, "num_predict": MAX_TOKENS}
        answer = generate(daemon, prompt='Say {"size": 3}', format="json", options=options).json()
        assert answer["done_reason"] == "stop"
        assert isinstance(json.loads(answer["response"]), dict)


def test_openai_clients_get_what_they_ask_for(daemon: Daemon) -> None:
    client = OpenAI(base_url=daemon.url + "/v1", api_key="none")
    answer = client.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "A color"}],
        max_tokens=100,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "color", "strict": True, "schema": SCHEMAS["color"]},
        },
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"name", "hex"}
    chosen = client.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "Pick one"}],
        extra_body={"guided_choice": ["red", "blue"]},
        stream=True,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chosen) in ("red", "blue")
