import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, objects

STEPS = objects({"status": "retrieving manifest"}, {"status": "pushing manifest"}, {"status": "success"})


def test_a_push_ends_with_the_models_page(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/push", STEPS)
    result = lcrt("push", "me/m")
    assert (result.code, result.out) == (0, "\nYou can find your model at:\n\n\thttps://ollama.com/me/m\n")
    assert result.err.splitlines() == ["retrieving manifest", "pushing manifest", "success"]
    assert fake.bodies("/api/push") == [{"model": "me/m", "insecure": False}]


def test_another_registry_has_no_such_page(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/push", STEPS)
    assert lcrt("push", "localhost:5000/me/m", "--insecure").out == ""
    assert fake.bodies("/api/push") == [{"model": "localhost:5000/me/m", "insecure": True}]


@pytest.mark.parametrize("error", ["unauthorized: access denied", "403: requested access denied"])
def test_a_refusal_says_whose_namespace_it_must_be(lcrt: Lcrt, fake: FakeDaemon, error: str) -> None:
    fake.on("POST", "/api/push", objects({"status": "retrieving manifest"}, {"error": error}))
    result = lcrt("push", "you/m")
    assert result.code == 1
    assert "Error: you are not authorized to push to this namespace" in result.err


def test_a_model_that_is_missing_is_told_with_advice(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/push", objects({"error": "m:latest: no such file or directory"}))
    assert "Error: m:latest: no such file or directory\n`lcrt list` shows what can be pushed" in lcrt("push", "m").err
