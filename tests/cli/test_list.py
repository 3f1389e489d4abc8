from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, objects


def model(name: str, **values: object) -> dict[str, object]:
    modified = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    return {"name": name, "digest": "abcdef0123456789" * 4, "size": 98_362_432, "modified_at": modified, **values}


def test_models_are_a_table_of_name_id_size_and_age(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/tags", objects({"models": [model("smollm2:latest"), model("r:latest", remote_model="big")]}))
    assert lcrt("list") == (
        0,
        (
            "NAME              ID              SIZE     MODIFIED\n"
            "smollm2:latest    abcdef012345    98 MB    3 hours ago\n"
            "r:latest          abcdef012345    -        3 hours ago\n"
        ),
        "",
    )


def test_a_prefix_in_any_case_chooses(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/tags", objects({"models": [model("Llama:1"), model("smollm2:latest")]}))
    lines = lcrt("ls", "LLA").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "Llama:1"]


def test_no_models_are_a_header_alone(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/tags", objects({"models": None}))
    assert lcrt("list").out == "NAME    ID    SIZE    MODIFIED\n"


def test_a_time_that_cannot_be_read_is_never(lcrt: Lcrt, fake: FakeDaemon) -> None:
    times = ("0001-01-01T00:00:00Z", "", "soon")
    fake.on("GET", "/api/tags", objects({"models": [model("a", modified_at=time) for time in times]}))
    assert lcrt("list").out.count("Never") == 3
