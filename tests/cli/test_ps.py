from datetime import UTC, datetime, timedelta

import pytest

from lcrt.cli.ps import processor
from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, objects


def process(name: str, ahead: timedelta) -> dict[str, object]:
    return {
        "name": name,
        "digest": "abcdef0123456789" * 4,
        "size": 250_000_000,
        "size_vram": 0,
        "context_length": 4096,
        "expires_at": (datetime.now(UTC) + ahead).isoformat(),
    }


def test_loaded_models_are_a_table(lcrt: Lcrt, fake: FakeDaemon) -> None:
    rows = [
        process("a:latest", timedelta(minutes=4, seconds=58)),
        process("b:latest", timedelta(days=106_000)),
        process("c:latest", timedelta(seconds=-1)),
    ]
    fake.on("GET", "/api/ps", objects({"models": rows}))
    assert lcrt("ps") == (
        0,
        (
            "NAME        ID              SIZE      PROCESSOR    CONTEXT    UNTIL\n"
            "a:latest    abcdef012345    250 MB    100% CPU     4096       4 minutes from now\n"
            "b:latest    abcdef012345    250 MB    100% CPU     4096       Forever\n"
            "c:latest    abcdef012345    250 MB    100% CPU     4096       Stopping...\n"
        ),
        "",
    )


def test_a_prefix_chooses_and_its_case_counts(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/ps", objects({"models": [process("Abc", timedelta(1)), process("abc", timedelta(1))]}))
    assert [line.split()[0] for line in lcrt("ps", "a").out.splitlines()] == ["NAME", "abc"]


@pytest.mark.parametrize(
    ("size", "size_vram", "text"),
    [
        (10, 0, "100% CPU"),
        (0, 0, "100% CPU"),
        (10, 10, "100% GPU"),
        (10, 11, "Unknown"),
        (0, 1, "Unknown"),
        (1000, 255, "75%/25% CPU/GPU"),
        (1000, 999, "0%/100% CPU/GPU"),
    ],
)
def test_the_processor_is_where_the_bytes_are(size: int, size_vram: int, text: str) -> None:
    assert processor(size, size_vram) == text
