import time

import pytest

from lcrt.registry.pace import Flows, Pace, lagging

KB = 1000.0


@pytest.mark.parametrize(
    ("rates", "finished", "slow"),
    [
        ({}, [], []),
        ({"a": 500 * KB}, [], []),
        ({"a": 500.0}, [], ["a"]),
        ({"a": 500 * KB, "b": 400 * KB}, [], []),
        ({"a": 500 * KB, "b": 40 * KB}, [], ["b"]),
        ({"a": 500 * KB, "b": 60 * KB}, [], []),
        ({"a": 500 * KB, "b": 500 * KB, "c": 0.0}, [], ["c"]),
        ({"a": 2 * KB, "b": 2 * KB, "c": 3 * KB}, [500 * KB] * 9, []),
        ({"a": 40 * KB}, [500 * KB, 600 * KB, 30 * KB], ["a"]),
        ({"a": 60 * KB}, [500 * KB, 600 * KB, 30 * KB], []),
    ],
)
def test_who_lags_behind(rates: dict[str, float], finished: list[float], slow: list[str]) -> None:
    assert lagging(rates, finished) == slow


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_connection_is_judged_by_a_whole_window_and_only_so_often(clock: Clock) -> None:
    flows = Flows(10.0)
    cuts: list[float] = []

    def look() -> int:
        clock.now += 10.0
        flows.cut_lagging()
        return len(cuts)

    with flows.watching(1, lambda: None) as fast:
        found: list[int] = []
        for _ in range(5):
            with flows.watching(2, lambda: cuts.append(clock.now)):
                fast.n_bytes += 10**7
                found.append(look())
                fast.n_bytes += 10**7
                found.append(look())
    assert found == [0, 1, 1, 2, 2, 3, 3, 3, 3, 3]


def test_within_the_window_nobody_looks(clock: Clock) -> None:
    flows = Flows(10.0)
    cuts: list[float] = []
    with flows.watching(1, lambda: cuts.append(1)):
        for _ in range(5):
            clock.now += 5.0
            flows.cut_lagging()
        assert cuts == [1]


def test_one_that_is_over_is_not_cut(clock: Clock) -> None:
    flows = Flows(10.0)
    cuts: list[float] = []
    with flows.watching(1, lambda: cuts.append(1)):
        clock.now += 10.0
        flows.cut_lagging()
    clock.now += 10.0
    flows.cut_lagging()
    assert cuts == []


def test_a_fast_line_needs_no_more_connections(clock: Clock) -> None:
    pace = Pace(0)
    clock.now += 0.2
    assert not pace.is_slow(0), "too early to tell"
    clock.now += 0.3
    assert pace.is_slow(50_000_000)
    clock.now += 0.5
    assert not pace.is_slow(250_000_000)
