"""The batcher over an embedder that says which tokens it was given."""

import queue
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lcrt.core.question import Embed, Refused, Reply, Vectors
from lcrt.runner.adapters import Pairs
from lcrt.runner.embed import ROWS_MIN, Batcher
from lcrt.runner.ticket import Limit, VectorTicket, frame_of
from tests.runner.fake_embedder import CharVocab, SumEmbedder, adapters_of

Answers = queue.Queue[tuple[int, Reply]]
VOCAB = CharVocab()


class Bench:
    """A batcher, its embedders by their order, the passes they ran and the answers that came."""

    def __init__(self, *, lanes: bool, host: bool, n_batch: int) -> None:
        self.passes: list[list[int]] = []
        self.embedders: list[SumEmbedder] = []
        self.answers: Answers = queue.Queue()

        def make(n_threads: int) -> SumEmbedder:
            embedder = SumEmbedder(n_threads, self.passes, host=host, n_batch=n_batch)
            self.embedders.append(embedder)
            return embedder

        self.batcher = Batcher(make, lambda number, reply: self.answers.put((number, reply)), lanes=lanes)
        self.passes.clear()
        self.wide = self.embedders[0]
        self.wide.entered.acquire()

    def put(self, number: int, *texts: str, adapters: Pairs = (), **options: object) -> VectorTicket:
        question = Embed(texts, as_json=False, **options)  # type: ignore[arg-type]
        ticket = VectorTicket(number, question, VOCAB, frame_of(VOCAB), Limit(1000, 1000))
        ticket.adapters = adapters
        self.batcher.put(ticket)
        return ticket

    def answer(self) -> tuple[int, Reply]:
        return self.answers.get(timeout=10)


Make = Callable[..., Bench]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bench] = []

    def one(*, lanes: bool = False, host: bool = True, n_batch: int = 256) -> Bench:
        made.append(Bench(lanes=lanes, host=host, n_batch=n_batch))
        return made[-1]

    yield one
    for bench in made:
        bench.batcher.close()
        assert all(embedder.closed for embedder in bench.embedders)


def expected(text: str, more: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    row = np.array([sum(map(ord, text)) + 3 + more, len(text) + 2], np.float32)
    return row / np.linalg.norm(row)


def rows_of(reply: Reply) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    assert isinstance(reply, Vectors)
    return [np.frombuffer(row, np.float32) for row in reply.rows]


@pytest.mark.parametrize("lanes", [True, False])
def test_vectors_come_in_the_order_of_their_texts_whatever_their_lengths(make: Make, lanes: bool) -> None:
    texts = ["b" * (7 * i % 50) for i in range(300)]
    bench = make(lanes=lanes)
    bench.put(7, *texts)
    number, reply = bench.answer()
    assert number == 7
    for text, row in zip(texts, rows_of(reply), strict=True):
        np.testing.assert_allclose(row, expected(text), rtol=1e-6)
    assert isinstance(reply, Vectors)
    assert reply.n_tokens == sum(len(text) + 2 for text in texts)


def test_a_pass_has_texts_of_like_length_and_no_more_than_it_can_take(make: Make) -> None:
    bench = make()
    bench.put(1, *("x" * (i % 60) for i in range(400)))
    bench.answer()
    assert all(sum(lengths) <= 256 for lengths in bench.passes)
    assert [length for lengths in bench.passes for length in lengths] == sorted(i % 60 + 2 for i in range(400))


def test_requests_that_wait_share_a_pass(make: Make) -> None:
    bench = make()
    bench.wide.go.clear()
    bench.put(0, "first")
    bench.wide.entered.acquire()
    for number in range(1, 33):
        bench.put(number, "abc")
    bench.wide.go.set()
    assert sorted(bench.answer()[0] for _ in range(33)) == list(range(33))
    assert bench.passes == [[7], [5] * 32]


def test_a_text_too_long_for_a_shared_pass_has_one_to_itself(make: Make) -> None:
    bench = make(n_batch=64)
    bench.put(1, "a" * 300, "b", "c")
    _, reply = bench.answer()
    assert len(rows_of(reply)) == 3
    assert sorted(bench.passes) == [[3, 3], [302]]


def test_many_texts_go_over_lanes_of_few_threads_and_one_goes_wide(make: Make) -> None:
    bench = make(lanes=True)
    bench.put(1, "one")
    bench.answer()
    assert [embedder.n_threads for embedder in bench.embedders] == [0]
    bench.put(2, *["x" * 30] * 400)
    bench.answer()
    assert [embedder.n_threads for embedder in bench.embedders[1:]] == [1] * len(bench.embedders[1:])
    assert len(bench.embedders) > 1
    assert max(map(sum, bench.passes)) <= 256
    assert (
        sum(sum(lengths) >= ROWS_MIN for lengths in bench.passes) >= len(bench.passes) - 4
    )  # the last texts of each lane may be few


def held_up(bench: Bench) -> None:
    """A pass runs, and stays until ``go``; whatever comes waits."""
    bench.wide.go.clear()
    bench.put(0, "first")
    bench.wide.entered.acquire()


def test_texts_of_one_set_of_adapters_share_passes_and_others_have_their_own(make: Make) -> None:
    bench = make()
    held_up(bench)
    sets = [adapters_of(), adapters_of(100.0), adapters_of(100.0, 50.0)]
    for number in range(1, 31):
        bench.put(number, "abc", adapters=sets[number % 3])
    bench.wide.go.set()
    for number, reply in (bench.answer() for _ in range(31)):
        text, more = ("first", 0.0) if number == 0 else ("abc", (0.0, 100.0, 150.0)[number % 3])
        np.testing.assert_allclose(rows_of(reply)[0], expected(text, more), rtol=1e-6)
    assert bench.passes == [[7], [5] * 10, [5] * 10, [5] * 10]


def test_sets_of_adapters_have_their_turns_by_who_came_first(make: Make) -> None:
    bench = make(n_batch=64)
    held_up(bench)
    bench.put(1, *["x" * 30] * 8)
    bench.put(2, "other", adapters=adapters_of(9.0))
    bench.put(3, *["x" * 30] * 8)
    bench.wide.go.set()
    order = [bench.answer()[0] for _ in range(4)]
    assert order == [0, 1, 2, 3]


def test_a_crowd_of_another_set_is_not_searched_for_one_text_more(make: Make) -> None:
    bench = make()
    held_up(bench)
    mine, other = adapters_of(1.0), adapters_of(2.0)
    bench.put(1, "a", adapters=mine)
    bench.put(2, *["b"] * bench.batcher.info.n_seq_max, adapters=other)
    bench.put(3, "a", adapters=mine)
    bench.wide.go.set()
    assert [bench.answer()[0] for _ in range(4)] == [0, 1, 2, 3]


def test_adapters_of_requests_go_when_nothing_waits(make: Make) -> None:
    bench = make()
    bench.put(1, "a", adapters=adapters_of(1.0))
    bench.answer()
    bench.put(2, "a")
    assert np.allclose(rows_of(bench.answer()[1])[0], expected("a"))
    assert bench.wide.adapters == ()
    assert bench.wide.n_changes == 2


def test_one_lane_is_enough_for_another_device(make: Make) -> None:
    bench = make(lanes=True, host=False)
    bench.put(1, *["x" * 30] * 100)
    bench.answer()
    assert len(bench.embedders) == 1


def test_a_text_that_cannot_be_embedded_ends_its_own_request_once(make: Make) -> None:
    bench = make()
    bench.wide.go.clear()
    bench.put(0, "first")
    bench.wide.entered.acquire()
    bench.put(1, "fine", "x" * 2000, "y" * 2000, truncate=False)
    bench.put(2, "fine")
    bench.wide.go.set()
    replies = dict(bench.answer() for _ in range(3))
    assert isinstance(replies[2], Vectors)
    refused = replies[1]
    assert isinstance(refused, Refused)
    assert (refused.error.kind, refused.error.message) == (
        "InvalidRequest",
        "the input length exceeds the context length",
    )
    assert bench.answers.empty()


def test_a_pass_that_fails_ends_the_requests_in_it_and_no_other(make: Make) -> None:
    bench = make()
    bench.wide.fail = True
    bench.put(1, "a", "b")
    _, reply = bench.answer()
    assert isinstance(reply, Refused)
    assert reply.error.message == "the pass failed"
    bench.wide.fail = False
    bench.put(2, "a")
    assert isinstance(bench.answer()[1], Vectors)


def test_a_cancelled_request_is_not_computed_and_not_answered(make: Make) -> None:
    bench = make()
    bench.wide.go.clear()
    bench.put(0, "first")
    bench.wide.entered.acquire()
    bench.put(1, "gone").cancelled = True
    bench.put(2, "here")
    bench.wide.go.set()
    assert sorted(bench.answer()[0] for _ in range(2)) == [0, 2]
    assert bench.passes == [[7], [6]]
    assert bench.answers.empty()
