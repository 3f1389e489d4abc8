from tests.cli.conftest import Lcrt
from tests.client.fake import Answer, FakeDaemon, failure


def test_cp_names_both(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/copy", Answer())
    assert lcrt("cp", "a", "b") == (0, "copied 'a' to 'b'\n", "")
    assert fake.bodies("/api/copy") == [{"source": "a", "destination": "b"}]


def test_cp_passes_on_what_is_wrong(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/copy", failure(404, 'model "a" not found'))
    assert lcrt("cp", "a", "b") == (
        1,
        "",
        'Error: model "a" not found\n`lcrt list` shows what is here, `lcrt pull` fetches others\n',
    )
