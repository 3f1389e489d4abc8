"""Which turns are dropped, and which tokens are cut."""

import random
from collections.abc import Sequence

import pytest

from lcrt.chat.fit import cut, fit, kept
from lcrt.core.message import Message


class Ruler:
    """Each message takes its text's length and two tokens more; counts how often it is asked."""

    def __init__(self, refused: Sequence[Message] = ()) -> None:
        self.n = 0
        self.refused = refused

    def __call__(self, messages: Sequence[Message]) -> int | None:
        self.n += 1
        return None if messages and messages[0] in self.refused else sum(len(m.content) + 2 for m in messages)


def conversation(*lengths: int) -> list[Message]:
    """Alternating turns of these lengths; a negative one is a system message."""
    roles = ("user", "assistant")
    return [Message(roles[i % 2] if n >= 0 else "system", chr(97 + i) * abs(n)) for i, n in enumerate(lengths)]


def test_what_fits_is_left_alone_and_measured_once() -> None:
    ruler = Ruler()
    messages = conversation(3, 3, 3)
    assert fit(messages, 15, ruler) == tuple(messages)
    assert ruler.n == 1


@pytest.mark.parametrize(
    ("lengths", "n_max", "left"),
    [
        ((3, 3, 3), 14, [1, 2]),
        ((3, 3, 3), 9, [2]),
        ((-3, 3, 3, 3), 19, [0, 2, 3]),
        ((3, -3, 3, 3), 14, [1, 3]),
        ((3, 3, 50), 20, [2]),
        ((-3, 3, 50), 20, [0, 2]),
        ((50, 3, 3), 20, [1, 2]),
        ((100, 1, 1, 1, 1), 12, [1, 2, 3, 4]),
    ],
)
def test_the_oldest_go_and_system_messages_and_the_last_stay(
    lengths: tuple[int, ...], n_max: int, left: list[int]
) -> None:
    messages = conversation(*lengths)
    assert fit(messages, n_max, Ruler()) == tuple(messages[i] for i in left)


@pytest.mark.parametrize("seed", range(200))
def test_it_is_what_dropping_one_after_another_gives(seed: int) -> None:
    rng = random.Random(seed)
    messages = conversation(*(rng.choice((1, 1, 1, -1)) * rng.randint(1, 60) for _ in range(rng.randint(1, 12))))
    n_max = rng.randint(1, 300)
    first = 0
    while first < len(messages) - 1 and (Ruler()(kept(messages, first)) or 0) > n_max:
        first += 1
    assert fit(messages, n_max, Ruler()) == kept(messages, first)


def test_a_long_conversation_is_not_measured_for_every_turn() -> None:
    ruler = Ruler()
    messages = conversation(*(20 for _ in range(400)))
    assert len(fit(messages, 2200, ruler)) == 100
    assert ruler.n <= 5


def test_a_beginning_that_the_template_refuses_is_dropped_too() -> None:
    messages = conversation(9, 3, 3)
    assert fit(messages, 12, Ruler(refused=messages[1:2])) == (messages[2],)


def test_messages_that_the_template_refuses_as_a_whole_stay_as_they_are() -> None:
    messages = conversation(9, 3, 3)
    assert fit(messages, 1, Ruler(refused=messages[:1])) == tuple(messages)


@pytest.mark.parametrize(
    ("n_ctx", "n_keep", "n_front", "n_all"),
    [(512, 4, 4, 258), (512, 0, 0, 256), (4, 5, 3, 3), (128, -1, 127, 127), (128, 126, 126, 127), (128, 500, 127, 127)],
)
def test_a_long_prompt_keeps_its_beginning_and_its_end(n_ctx: int, n_keep: int, n_front: int, n_all: int) -> None:
    tokens = list(range(1000))
    front, back = cut(tokens, n_ctx, n_keep)
    assert list(front) == tokens[:n_front]
    assert list(back) == tokens[1000 - (n_all - n_front) :]
