import json

import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, failure, objects

DONE = {"message": {"content": ""}, "done": True, "eval_count": 2, "prompt_eval_count": 9}


@pytest.fixture(autouse=True)
def model(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", objects({"message": {"content": "a"}}, {"message": {"content": "b"}}, DONE))


def test_a_server_is_measured_under_load(lcrt: Lcrt, fake: FakeDaemon) -> None:
    result = lcrt("bench", "--url", fake.host, "--model", "m", "--concurrency", "2", "--seed", "7", "--max-tokens", "3")
    assert result.code == 0
    assert "8 requests, 2 at a time" in result.err
    assert "generated tokens    16" in result.out
    assert fake.bodies("/api/chat")[0]["options"] == {"num_predict": 3}
    assert len(fake.bodies("/api/chat")) == 8


def test_json_carries_every_figure_and_the_seed(lcrt: Lcrt, fake: FakeDaemon) -> None:
    found = json.loads(lcrt("bench", "m", "--url", fake.host, "--requests", "3", "--json").out)
    assert (found["n_requests"], found["n_tokens"], found["itl"]["n"]) == (3, 6, 3)
    again = lcrt("bench", "m", "--url", fake.host, "--requests", "3", "--json", "--seed", str(found["seed"]))
    bodies = [json.dumps(body) for body in fake.bodies("/api/chat")]
    assert json.loads(again.out)["seed"] == found["seed"]
    assert bodies[:3] == bodies[3:]


def test_what_the_server_found_of_the_prompts_is_shown_by_tier(lcrt: Lcrt, fake: FakeDaemon) -> None:
    told = iter(({"device": 1, "host": 2, "disk": 3}, {"device": 11, "host": 22, "disk": 33}))
    models = [{"name": "other:latest", "cached_tokens": {"device": 999}}]
    fake.on(
        "GET", "/api/ps", lambda _: objects({"models": [*models, {"name": "m:latest", "cached_tokens": next(told)}]})
    )
    result = lcrt("bench", "m", "--url", fake.host, "--requests", "1")
    assert "10 device, 20 host, 30 disk" in result.out


def test_what_the_server_guessed_is_shown(lcrt: Lcrt, fake: FakeDaemon) -> None:
    told = iter(({"drafted": 5, "accepted": 5}, {"drafted": 25, "accepted": 15}))
    fake.on("GET", "/api/ps", lambda _: objects({"models": [{"name": "m:latest", "drafted_tokens": next(told)}]}))
    result = lcrt("bench", "m", "--url", fake.host, "--requests", "1")
    assert "20 tokens, 10 of them right" in result.out


def test_a_server_that_does_not_tell_what_it_found_is_measured_all_the_same(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/ps", objects({"models": [{"name": "m:latest"}]}))
    result = lcrt("bench", "m", "--url", fake.host, "--requests", "1")
    assert result.code == 0
    assert "disk" not in result.out


def test_two_runs_without_a_seed_send_other_prompts(lcrt: Lcrt, fake: FakeDaemon) -> None:
    for _ in range(2):
        lcrt("bench", "m", "--url", fake.host, "--requests", "1")
    first, second = fake.bodies("/api/chat")
    assert first != second


def test_requests_that_fail_fail_the_command(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", failure(503, "busy"))
    result = lcrt("bench", "m", "--url", fake.host)
    assert result.code == 1
    assert "4 x 503" in result.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--url", "x"), "name a model"),
        (("m", "--url", "ftp://x"), "cannot use --url ftp://x"),
        (("m", "--url", "x", "--extra", "[]"), "--extra must be a JSON object"),
        (("m", "--concurrency", "0"), "`0` is not a positive whole number"),
        (("m", "--api", "grpc"), "invalid choice: 'grpc'"),
    ],
)
def test_wrong_usage_exits_with_2(lcrt: Lcrt, arguments: tuple[str, ...], text: str) -> None:
    result = lcrt("bench", *arguments)
    assert result.code == 2
    assert text in result.err


def test_an_unknown_model_is_an_error(
    lcrt: Lcrt, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path_factory.mktemp("models")))
    result = lcrt("bench", "nosuch")
    assert (result.code, result.err) == (
        1,
        "Error: model 'nosuch:latest' not found\n`lcrt list` shows what is here, `lcrt pull` fetches others\n",
    )
