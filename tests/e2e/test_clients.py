"""The ordinary client packages, unchanged, against a real daemon."""

import asyncio
from collections.abc import Iterator

import ollama
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.conftest import Daemon

TEXT = "What is the capital of France?"
QUESTION = [{"role": "user", "content": TEXT}]
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": TEXT}]


@pytest.fixture
def client(daemon: Daemon) -> Iterator[ollama.Client]:
    with ollama.Client(daemon.url) as opened:
        yield opened


@pytest.fixture
def openai_client(daemon: Daemon) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=daemon.url + "/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_ollama_package_chats(client: ollama.Client) -> None:
    answer = client.chat(model="smollm2", messages=QUESTION)
    assert "Paris" in (answer.message.content or "")
    assert answer.done_reason == "stop"
    assert answer.eval_count
    assert answer.prompt_eval_count
    assert answer.load_duration


def test_ollama_package_streams_a_generation(client: ollama.Client) -> None:
    parts = list(client.generate(model="smollm2", prompt=TEXT, stream=True))
    assert "Paris" in "".join(part.response or "" for part in parts)
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].context


def test_ollama_package_lists_shows_copies_and_deletes(client: ollama.Client) -> None:
    client.copy("smollm2", "again")
    assert {"smollm2:latest", "again:latest"} <= {model.model for model in client.list().models}
    details = client.show("again").details
    assert details is not None
    assert details.family == "llama"
    client.delete("again")
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.show("again")


def test_ollama_package_answers_many_at_a_time(daemon: Daemon) -> None:
    async def ask() -> list[str]:
        async with ollama.AsyncClient(daemon.url) as client:
            answers = await asyncio.gather(*(client.chat(model="smollm2", messages=QUESTION) for _ in range(8)))
        return [answer.message.content or "" for answer in answers]

    answers = asyncio.run(ask())
    assert len(answers) == 8
    assert all("Paris" in answer for answer in answers)


def test_openai_package_chats(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="smollm2", messages=ASKED, temperature=0)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_openai_package_streams(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model="smollm2",
        messages=ASKED,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in text
    assert chunks[-1].usage is not None


def test_openai_package_lists_models(openai_client: openai.OpenAI) -> None:
    assert "smollm2:latest" in {model.id for model in openai_client.models.list()}
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("nosuch")


def test_openai_package_completes(openai_client: openai.OpenAI) -> None:
    answer = openai_client.completions.create(model="smollm2", prompt="Say hello.", max_tokens=5, temperature=0)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_an_answer_goes_on_behind_its_end_when_told_to(openai_client: openai.OpenAI) -> None:
    def ask(**extra: bool) -> str:
        answer = openai_client.chat.completions.create(
            model="smollm2", messages=ASKED, temperature=0, max_tokens=40, extra_body=extra
        )
        return str(answer.choices[0].finish_reason)

    assert ask() == "stop"
    assert ask(ignore_eos=True) == "length"
