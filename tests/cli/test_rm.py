from tests.cli.conftest import Lcrt
from tests.client.fake import Answer, Asked, FakeDaemon, failure, objects


def test_rm_unloads_before_it_deletes(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/generate", objects({"done": True}))
    fake.on("DELETE", "/api/delete", Answer())
    assert lcrt("rm", "a", "b") == (0, "deleted 'a'\ndeleted 'b'\n", "")
    asked = [(asked.path, asked.json["model"]) for asked in fake.asked if asked.body]
    assert asked == [("/api/generate", "a"), ("/api/delete", "a"), ("/api/generate", "b"), ("/api/delete", "b")]
    assert fake.bodies("/api/generate")[0]["keep_alive"] == 0


def test_rm_stops_at_the_first_that_fails(lcrt: Lcrt, fake: FakeDaemon) -> None:
    def delete(asked: Asked) -> Answer:
        return failure(404, "model 'b' not found") if asked.json["model"] == "b" else Answer()

    fake.on("POST", "/api/generate", failure(404, "model 'b' not found"))
    fake.on("DELETE", "/api/delete", delete)
    assert lcrt("rm", "a", "b", "c") == (
        1,
        "deleted 'a'\n",
        "Error: model 'b' not found\n`lcrt list` shows what is here, `lcrt pull` fetches others\n",
    )


def test_rm_warns_when_it_cannot_unload_and_goes_on(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/generate", failure(500, "stuck"))
    fake.on("DELETE", "/api/delete", Answer())
    assert lcrt("rm", "a") == (0, "deleted 'a'\n", "Warning: unable to stop model 'a'\n")
