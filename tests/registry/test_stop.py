import time

import pytest

from lcrt.errors import Cancelled, LcrtError
from lcrt.registry.failure import Transient
from lcrt.registry.stop import Patience, Stop


class Pauses(Stop):
    """Notes for how long somebody would have slept."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.check()
        self.noted.append(seconds)


def waits(patience: Patience, done: list[int]) -> int:
    """Fail after so much work each time; returns how many failures were borne."""
    for n, each in enumerate(done):
        try:
            patience.wait(Transient("no"), each)
        except LcrtError:
            return n
    return len(done)


@pytest.mark.parametrize(
    ("done", "n_borne"),
    [
        ([0, 0, 0, 0], 2),
        ([5, 5, 5, 5], 2),
        ([1, 2, 3, 4, 5, 6], 6),
        ([0, 0, 1, 1, 2, 2, 3], 7),
        ([0, 0, 1, 1, 1], 4),
        ([9, 1, 1], 2),
    ],
)
def test_progress_since_the_last_failure_begins_a_new_row(done: list[int], n_borne: int) -> None:
    assert waits(Patience(Pauses(), 1.0, tries=3), done) == n_borne


def test_pauses_double_and_begin_anew_with_progress() -> None:
    stop = Pauses()
    waits(Patience(stop, 1.0, tries=9), [0, 0, 0, 1, 1])
    assert stop.noted == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_a_server_may_ask_for_a_longer_pause_within_reason() -> None:
    stop = Pauses()
    patience = Patience(stop, 1.0, tries=9)
    for seconds in (7.0, 100_000.0):
        patience.wait(Transient("no", retry_after=seconds))
    assert stop.noted == [7.0, 60.0]


def test_the_last_failure_says_what_to_do_next() -> None:
    with pytest.raises(LcrtError) as caught:
        Patience(Stop(), 1.0, tries=1).wait(Transient("no"))
    assert (caught.value.message, bool(caught.value.hint)) == ("max retries exceeded: no", True)


def test_who_is_told_to_stop_does_not_wait() -> None:
    stop = Stop()
    stop.set()
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        Patience(stop, 60.0, tries=9).wait(Transient("no"))
    assert time.monotonic() - begin < 5
