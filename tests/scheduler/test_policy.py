"""The plan for a state, without a loop around it."""

import asyncio
from collections.abc import Iterator

import pytest

from lcrt.core.model import ModelSpec, RunnerInfo
from lcrt.core.options import LoadOptions
from lcrt.scheduler.policy import Plan, plan, victim
from lcrt.scheduler.state import Resident, State, Waiter

INFO = RunnerInfo(4096, 8192, 26, 4, 1000, 0, 0.0, 1)


def resident(path: str, session: float | None = 300.0, users: int = 0, state: State = "ready") -> Resident:
    out = Resident(1, ModelSpec(path, path, "0", 1), LoadOptions(), session, 0.0)
    out.users, out.state = users, state
    out.info = INFO if state == "ready" else None
    return out


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("candidates", "goes"),
    [
        ([resident("a", 300), resident("b", 60)], "b"),
        ([resident("a", None), resident("b", 1e9)], "b"),
        ([resident("b"), resident("a")], "a"),
        ([resident("a", 1, users=1), resident("b", 900)], "b"),
        ([resident("a", 9, users=1), resident("b", 1, users=2)], "b"),
    ],
)
def test_idle_ones_go_first_then_short_sessions_then_by_path(candidates: list[Resident], goes: str) -> None:
    chosen = victim(candidates)
    assert chosen is not None
    assert chosen.key == goes


def test_nobody_goes_when_nobody_is_there() -> None:
    assert victim([]) is None


@pytest.mark.parametrize(
    ("residents", "wanted", "grants", "loads", "stops"),
    [
        ([], "aab", "", "ab", ""),
        ([resident("a")], "aa", "aa", "", ""),
        ([resident("a", state="loading")], "a", "", "", ""),
        ([resident("a", state="leaving")], "ab", "", "b", ""),
        ([resident("a"), resident("b")], "c", "", "", "a"),
        ([resident("a", users=1), resident("b", users=1)], "c", "", "", ""),
        ([resident("a"), resident("b", state="leaving")], "c", "", "", ""),
        ([resident("a"), resident("b")], "cd", "", "", "ab"),
        ([resident("a"), resident("b")], "ac", "a", "", "b"),
        ([resident("a", 1), resident("b")], "ca", "", "", "a"),
        ([resident("a", 1), resident("b")], "cb", "b", "", "a"),
        ([resident("a", state="loading"), resident("b", state="loading")], "c", "", "", ""),
    ],
)
def test_the_waiting_are_served_in_order(
    loop: asyncio.AbstractEventLoop, residents: list[Resident], wanted: str, grants: str, loads: str, stops: str
) -> None:
    waiting = [Waiter(ModelSpec(p, p, "0", 1), LoadOptions(), True, None, loop.create_future()) for p in wanted]  # noqa: FBT003
    found: Plan = plan(waiting, {r.key: r for r in residents}, 2)
    assert "".join(w.key for w in found.grants) == grants
    assert "".join(w.key for w in found.loads) == loads
    assert "".join(r.key for r in found.stops) == stops
