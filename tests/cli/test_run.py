import io
import sys

import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import Answer, FakeDaemon, failure, objects

DONE = {"done": True, "done_reason": "stop", "eval_count": 2, "eval_duration": 1_000_000_000}


@pytest.fixture(autouse=True)
def model(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", objects({"capabilities": ["completion"]}))
    fake.on("POST", "/api/generate", objects({"response": "Pa"}, {"response": "ris"}, DONE))


def asked(fake: FakeDaemon) -> dict[str, object]:
    return fake.bodies("/api/generate")[-1]


def test_a_prompt_is_answered_with_two_line_ends_after_it(lcrt: Lcrt, fake: FakeDaemon) -> None:
    assert lcrt("run", "m", "Capital", "of France?") == (0, "Paris\n\n", "")
    assert asked(fake) == {"prompt": "Capital of France?", "model": "m"}


def test_piped_text_stands_before_the_prompt(lcrt: Lcrt, fake: FakeDaemon) -> None:
    lcrt("run", "m", "Summarise", stdin="a\nb\n")
    assert asked(fake)["prompt"] == "a\nb\n Summarise"


def test_flags_may_stand_among_the_words(lcrt: Lcrt, fake: FakeDaemon) -> None:
    result = lcrt("run", "m", "a", "--verbose", "b", "--keepalive", "-1m", "--", "-c")
    assert asked(fake) == {"prompt": "a b -c", "model": "m", "keep_alive": "-1m"}
    assert result.err == (
        "eval count:           2 token(s)\neval duration:        1s\neval rate:            2.00 tokens/s\n"
    )


def test_nothing_to_answer_only_loads_the_model(lcrt: Lcrt, fake: FakeDaemon) -> None:
    assert lcrt("run", "m") == (0, "", "")
    assert asked(fake) == {"model": "m"}


@pytest.mark.parametrize(
    ("flags", "sent"),
    [
        (("--format", "json"), "json"),
        (("--format", '{"type": "object"}'), {"type": "object"}),
    ],
)
def test_a_format_is_a_word_or_a_schema(lcrt: Lcrt, fake: FakeDaemon, flags: tuple[str, ...], sent: object) -> None:
    lcrt("run", "m", "a", *flags)
    assert asked(fake)["format"] == sent


@pytest.mark.parametrize(
    ("flag", "can_think", "sent"),
    [
        (None, False, None),
        (None, True, True),
        ("--think", False, True),
        ("--think=false", True, False),
        ("--think=true", True, True),
        ("--think=high", True, "high"),
    ],
)
def test_thinking_is_sent_when_wanted_or_possible(
    lcrt: Lcrt, fake: FakeDaemon, flag: str | None, can_think: bool, sent: object
) -> None:
    fake.on("POST", "/api/show", objects({"capabilities": ["completion", *(["thinking"] if can_think else [])]}))
    lcrt("run", "m", *([flag] if flag else []), "word")
    assert asked(fake).get("think") == sent
    assert asked(fake)["prompt"] == "word"


@pytest.mark.parametrize(
    ("flags", "shown"), [((), "Thinking...\nhm\n...done thinking.\n\na"), (("--hidethinking",), "a")]
)
def test_thinking_is_shown_unless_hidden(lcrt: Lcrt, fake: FakeDaemon, flags: tuple[str, ...], shown: str) -> None:
    fake.on("POST", "/api/generate", objects({"thinking": "hm", "response": ""}, {"response": "a"}, DONE))
    assert lcrt("run", "m", "x", *flags).out == f"{shown}\n\n"


@pytest.mark.parametrize(
    "flags", [("--think=maybe",), ("--keepalive", "10"), ("--format", "{"), ("--format", "yaml"), ("--dimensions", "x")]
)
def test_values_that_cannot_be_used_are_usage_errors(lcrt: Lcrt, fake: FakeDaemon, flags: tuple[str, ...]) -> None:
    result = lcrt("run", "m", "x", *flags)
    assert result.code == 2
    assert result.err.startswith("Error: ")
    assert fake.bodies("/api/generate") == []


def test_a_call_of_a_function_is_reported(lcrt: Lcrt, fake: FakeDaemon) -> None:
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    fake.on("POST", "/api/generate", objects({"response": "", "tool_calls": [call]}, DONE))
    assert lcrt("run", "m", "x").err == "Model called a non-existent function 'f()' with arguments: {\"x\": 1}\n"


def test_a_model_that_is_missing_is_pulled_first(lcrt: Lcrt, fake: FakeDaemon) -> None:
    answers = iter([failure(404, "model 'm:latest' not found"), objects({"capabilities": ["completion"]})])
    fake.on("POST", "/api/show", lambda asked: next(answers))
    fake.on("POST", "/api/pull", objects({"status": "pulling manifest"}, {"status": "success"}))
    fake.on("POST", "/api/generate", objects({"response": "Paris"}, DONE))
    result = lcrt("run", "m", "x", "--insecure")
    assert (result.code, result.out, result.err) == (0, "Paris\n\n", "pulling manifest\nsuccess\n")
    assert fake.bodies("/api/pull") == [{"model": "m", "insecure": True}]


def test_a_model_that_no_registry_has_is_an_error(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", failure(404, "model 'm:latest' not found"))
    fake.on("POST", "/api/pull", objects({"error": "pull model manifest: file does not exist"}))
    result = lcrt("run", "m", "x")
    assert (result.code, fake.bodies("/api/generate")) == (1, [])
    assert result.err.startswith("Error: pull model manifest: file does not exist\ncheck the name: ")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (failure(500, "out of memory"), "out of memory"),
        (objects({"response": "Pa"}, {"error": "runner died"}), "runner died"),
        (objects({"response": "Pa"}, cut=True), "the connection to the server broke"),
        (objects({"response": "Pa"}), "the answer ended early"),
    ],
)
def test_an_answer_that_fails_fails_the_command(lcrt: Lcrt, fake: FakeDaemon, answer: Answer, text: str) -> None:
    fake.on("POST", "/api/generate", answer)
    result = lcrt("run", "m", "x")
    assert result.code == 1
    assert f"Error: {text}" in result.err


def test_an_embedding_model_prints_a_vector(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", objects({"capabilities": ["embedding"]}))
    fake.on("POST", "/api/embed", objects({"embeddings": [[0.5, -1.0]]}))
    assert lcrt("run", "m", "x", "--truncate", "--dimensions", "2") == (0, "[0.5,-1.0]\n", "")
    assert fake.bodies("/api/embed") == [{"model": "m", "input": "x", "truncate": True, "dimensions": 2}]


def test_an_embedding_model_wants_text(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", objects({"capabilities": ["embedding"]}))
    result = lcrt("run", "m")
    assert result.code == 2
    assert "embedding models require input text" in result.err


def test_ctrl_c_stops_the_answer_and_exits_as_interrupted(lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if text == "ris":
                raise KeyboardInterrupt
            return super().write(text)

    out = Interrupting()
    monkeypatch.setattr(sys, "stdout", out)
    assert lcrt("run", "m", "x").code == 130
    assert out.getvalue() == "Pa\n\n"
