from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, failure, objects


def test_stop_unloads(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/generate", objects({"done": True, "done_reason": "unload"}))
    assert lcrt("stop", "a") == (0, "", "")
    assert fake.bodies("/api/generate") == [{"model": "a", "keep_alive": 0, "stream": False}]


def test_stop_of_an_unknown_model_names_it(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/generate", failure(404, "model 'a' not found"))
    assert lcrt("stop", "a") == (1, "", 'Error: couldn\'t find model "a" to stop\n`lcrt ps` shows what is loaded\n')
