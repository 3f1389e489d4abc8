import time
from datetime import datetime

import pytest

from lcrt.server.clock import Clock, far_future, local_time, nanoseconds


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, b"1970-01-01T00:00:00Z"),
        (1_500_000_000, b"1970-01-01T00:00:01.5Z"),
        (1_000_000_001, b"1970-01-01T00:00:01.000000001Z"),
        (1795336882_120_000_000, b"2026-11-22T08:41:22.12Z"),
    ],
)
def test_a_stamp_has_as_many_decimals_as_it_needs(monkeypatch: pytest.MonkeyPatch, ns: int, text: bytes) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: ns)
    assert Clock().stamp() == text


def test_a_clock_notices_the_next_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    stamps = []
    for ns in (5 * 10**9 + 1, 5 * 10**9 + 2, 6 * 10**9):
        monkeypatch.setattr(time, "time_ns", lambda ns=ns: ns)
        stamps.append(clock.stamp()[17:])
    assert stamps == [b"05.000000001Z", b"05.000000002Z", b"06Z"]


def test_local_times_carry_their_offset() -> None:
    text = local_time(1.5)
    assert datetime.fromisoformat(text).timestamp() == 1.5
    assert text.endswith("Z") or text[-6] in "+-"


def test_never_can_be_spelled() -> None:
    assert local_time(far_future(time.time()))[:2] == "23"


def test_durations_are_whole_nanoseconds() -> None:
    assert nanoseconds(1.5) == 1_500_000_000
