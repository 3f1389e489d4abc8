import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, failure, objects

LAYER = {"status": "pulling aaaaaaaaaaaa", "digest": "sha256:" + "a" * 64, "total": 10}


def test_each_step_is_one_line_when_nobody_watches(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on(
        "POST",
        "/api/pull",
        objects({"status": "pulling manifest"}, LAYER, LAYER | {"completed": 5}, {"status": "success"}),
    )
    result = lcrt("pull", "m")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == ["pulling manifest", "pulling aaaaaaaaaaaa", "success"]
    assert fake.bodies("/api/pull") == [{"model": "m", "insecure": False, "offline": False}]


def test_flags_reach_the_daemon(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/pull", objects({"status": "success"}))
    assert lcrt("pull", "localhost:5000/me/m", "--insecure", "--limit-rate", "5MB", "--offline").code == 0
    assert fake.bodies("/api/pull") == [
        {"model": "localhost:5000/me/m", "insecure": True, "offline": True, "limit_rate": 5_000_000}
    ]


def test_a_rate_that_is_none_is_a_usage_error(lcrt: Lcrt, fake: FakeDaemon) -> None:
    result = lcrt("pull", "m", "--limit-rate", "fast")
    assert (result.code, fake.asked) == (2, [])
    assert "invalid value for --limit-rate" in result.err


@pytest.mark.parametrize("in_stream", [True, False])
def test_an_error_fails_the_command(lcrt: Lcrt, fake: FakeDaemon, in_stream: bool) -> None:
    error = "pull model manifest: file does not exist"
    answer = objects({"status": "pulling manifest"}, {"error": error}) if in_stream else failure(500, error)
    fake.on("POST", "/api/pull", answer)
    result = lcrt("pull", "m")
    assert result.code == 1
    assert f"Error: {error}\ncheck the name: " in result.err


def test_what_is_no_name_is_told_with_advice(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/pull", failure(400, "invalid model name"))
    assert "Error: invalid model name\nsay NAME[:TAG]" in lcrt("pull", "a b").err
