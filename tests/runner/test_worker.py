"""Work leaves the thread and its results come back."""

import select
import threading

from lcrt.runner.worker import Workers


def take(workers: Workers[int, int], n: int) -> list[int]:
    out: list[int] = []
    while len(out) < n:
        select.select([workers], [], [])
        out += workers.take()
    return out


def test_results_come_back_once_each() -> None:
    workers: Workers[int, int] = Workers(lambda n: n * n, 2)
    for n in range(1000):
        workers.put(n)
    assert sorted(take(workers, 1000)) == [n * n for n in range(1000)]
    assert workers.take() == []
    workers.close()


def test_a_long_piece_of_work_does_not_hold_up_a_short_one() -> None:
    release = threading.Event()

    def work(n: int) -> int:
        if n == 1:
            release.wait()
        return n

    workers: Workers[int, int] = Workers(work, 2)
    workers.put(1)
    workers.put(2)
    assert take(workers, 1) == [2]
    release.set()
    assert take(workers, 1) == [1]
    workers.close()
