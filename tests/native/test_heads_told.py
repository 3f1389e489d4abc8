"""What layers that guess ahead say, told by hand: every position they read has to be paired with the right thought."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lcrt.core.event import Usage
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams, ModelParams
from tests.native import tiny, tiny_heads
from tests.native.test_drafts import GREEDY, PROMPT, ask

N, N_DRAFT = 80, 4
ELSEWHERE = 100
"""Where an answer has no tokens of the one to ``PROMPT``, which the history would know."""
EPSILON = 1e-5


def norm(row: NDArray[np.float64]) -> NDArray[np.float64]:
    return row / float(np.sqrt(np.mean(row * row) + EPSILON))


class Told:
    """The layer of ``tiny_heads.even``, whose trunk thinks of each token where it is, in places of sixteen circles."""

    def __init__(self, adds: NDArray[np.float64]) -> None:
        self.adds, self.places, self.turn = adds, tiny_heads.places(), tiny_heads.one_further()
        self.sum, self.n = np.zeros(tiny.N_EMBD), 0

    def read(self, thought: NDArray[np.float64]) -> NDArray[np.float64]:
        """Go on by one position, of which the trunk thought so before; what the layer thinks then."""
        current = self.turn @ norm(thought) if thought.any() else thought
        self.sum, self.n = self.sum + self.adds @ (norm(current) if current.any() else current), self.n + 1
        return norm(current + self.sum / self.n)

    def guess(self, token: int, n: int) -> list[int]:
        """Guess behind the token that follows this one; what was read stays as it was."""
        before, thought, out = (self.sum, self.n), self.places[token], list[int]()
        while len(out) < n:
            thought = self.read(thought)
            out.append((int(np.argmax(self.places @ thought)) + 1) % len(self.places))
        self.sum, self.n = before
        return out


def expected(adds: NDArray[np.float64], prompt: list[int], unknown: int = 0, n_first: int = 1) -> tuple[int, int]:
    """Tokens guessed for the answer, and those that are right.

    Nobody knows what the trunk thought before the position ``unknown``. The first guess is of ``n_first`` tokens.
    """
    told, n_drafted, n_accepted = Told(adds), 0, 0
    for position in range(len(prompt)):
        told.read(told.places[prompt[position - 1]] * (position not in {0, unknown}))
    last, n_answer = prompt[-1], 1  # the first token of the answer is the next one
    while n_answer < N:
        guesses = told.guess(last, min(N_DRAFT if n_drafted else n_first, N - n_answer - 1))
        n_right = 0
        while n_right < len(guesses) and guesses[n_right] == (last + 2 + n_right) % len(told.places):
            n_right += 1
        for token in range(last, last + n_right + 1):
            told.read(told.places[token % len(told.places)])
        last, n_answer = (last + n_right + 1) % len(told.places), n_answer + n_right + 1
        n_drafted, n_accepted = n_drafted + len(guesses), n_accepted + n_right
    return n_drafted, n_accepted


@pytest.fixture
def adds(tmp_path: Path) -> NDArray[np.float64]:
    return tiny_heads.even(tmp_path / "m.gguf", 1.6)


@contextmanager
def opened(folder: Path, **context: Any) -> Iterator[Engine]:
    params = ContextParams(**{"n_ctx": 512, "n_batch": 128, "n_threads": 1, "kv_type": "f32", **context})
    model = Model(folder / "m.gguf", ModelParams(heads=True))
    with model, Engine(model, params, EngineParams(n_draft=-N_DRAFT)) as engine:
        yield engine


@pytest.mark.parametrize("n_batch", [128, 16])
def test_guesses_are_what_the_weights_make_of_all_positions(
    tmp_path: Path, adds: NDArray[np.float64], n_batch: int
) -> None:
    with opened(tmp_path, n_batch=n_batch) as engine:
        usage = ask(engine, PROMPT, n=N).usage
    assert (usage.n_drafted, usage.n_accepted) == expected(adds, PROMPT)
    assert 10 < usage.n_accepted < usage.n_drafted - 10


def test_another_end_leaves_what_was_read_before(tmp_path: Path, adds: NDArray[np.float64]) -> None:
    prompt = [*PROMPT, ELSEWHERE]
    with opened(tmp_path) as engine:
        ask(engine, PROMPT, n=60)
        usage = ask(engine, prompt, n=N).usage
    assert usage.n_cached == len(PROMPT)
    assert (usage.n_drafted, usage.n_accepted) == expected(adds, prompt, usage.n_cached, N_DRAFT)


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_what_a_busy_sequence_had_read_is_shared_and_moves_along(
    tmp_path: Path, adds: NDArray[np.float64], layout: str
) -> None:
    prompt, usages = [*PROMPT, ELSEWHERE], dict[int, Usage]()
    with opened(tmp_path, n_parallel=2, layout=layout) as engine:
        engine.submit(1, PROMPT, GREEDY, max_tokens=60, ignore_eog=True)
        while len(usages) < 2:
            assert engine.wait(10)
            for event in engine.events():
                if event.id == 1 and event.kind == "start":
                    engine.submit(2, prompt, GREEDY, max_tokens=N, ignore_eog=True)
                if event.finish is not None and event.usage is not None:
                    usages[event.id] = event.usage
        assert engine.stats().n_shared == 1
    assert usages[2].n_cached == len(PROMPT)
    drafted, accepted = expected(adds, prompt, len(PROMPT), N_DRAFT)
    # The passes of two sequences begin elsewhere in the answers, each time.
    assert abs(usages[2].n_drafted - drafted) < 9
    assert abs(usages[2].n_accepted - accepted) < 5
