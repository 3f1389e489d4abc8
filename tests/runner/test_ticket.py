import json
import math
from array import array

import numpy as np
import pytest

from lcrt.core.question import Embed, Rank, Scores, Vectors
from lcrt.errors import InvalidRequest
from lcrt.runner.ticket import Limit, NearTicket, RankTicket, VectorTicket, frame_of, normalised
from tests.runner.fake_embedder import CLS, SEP, CharVocab

VOCAB = CharVocab()
FRAME = frame_of(VOCAB)
LIMIT = Limit(20, 40)


def ticket(*texts: str, **options: object) -> VectorTicket:
    return VectorTicket(1, Embed(texts, **options), VOCAB, FRAME, LIMIT)  # type: ignore[arg-type]


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def row(*numbers: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(numbers, np.float32)


def test_the_special_tokens_around_a_text_are_found() -> None:
    assert (list(FRAME.before), list(FRAME.behind), len(FRAME)) == ([CLS], [SEP], 2)


@pytest.mark.parametrize(
    ("n_ctx", "text", "inside"),
    [
        (None, "a" * 18, "a" * 18),
        (None, "ab" * 10, "ab" * 9),
        (5, "abcdef", "abc"),
        (3, "abcdef", "a"),
        (100, "a" * 50, "a" * 38),
    ],
)
def test_a_long_text_is_cut_inside_its_special_tokens(n_ctx: int | None, text: str, inside: str) -> None:
    assert list(ticket(text, n_ctx=n_ctx).tokens(text)) == [CLS, *letters(inside), SEP]


@pytest.mark.parametrize("n_ctx", [2, 1, 0])
def test_a_limit_that_leaves_nothing_is_refused(n_ctx: int) -> None:
    with pytest.raises(InvalidRequest, match="input after truncation exceeds maximum context length"):
        ticket("abc", n_ctx=n_ctx).tokens("abc")


def test_a_long_text_that_may_not_be_cut_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the input length exceeds the context length"):
        ticket("a" * 19, truncate=False).tokens("a" * 19)


@pytest.mark.parametrize(
    ("dimensions", "vector"),
    [(0, [0.6, 0.0, 0.8]), (1, [1.0]), (2, [1.0, 0.0]), (3, [0.6, 0.0, 0.8]), (9, [0.6, 0.0, 0.8])],
)
def test_vectors_are_cut_and_then_of_length_one(dimensions: int, vector: list[float]) -> None:
    made = ticket("x", dimensions=dimensions)
    made.take(0, row(3, 0, 4))
    reply = made.reply()
    assert isinstance(reply, Vectors)
    np.testing.assert_allclose(json.loads(reply.rows[0]), vector, rtol=1e-6)


def test_vectors_are_32_bit_floats_when_no_json_is_wanted() -> None:
    made = ticket("x", as_json=False)
    made.take(0, row(3, 4))
    reply = made.reply()
    assert isinstance(reply, Vectors)
    np.testing.assert_allclose(array("f", reply.rows[0]), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(InvalidRequest, match="embedding contains NaN or Inf values"):
        normalised(row(1, bad))


def test_nothing_stays_nothing() -> None:
    assert list(normalised(row(0, 0))) == [0, 0]


def test_a_reranker_reads_query_and_document_together() -> None:
    made = RankTicket(1, Rank("ab", ("c", "d" * 50)), VOCAB, LIMIT, None)
    front = [CLS, *letters("ab"), SEP, SEP]
    assert list(made.tokens("c")) == [*front, ord("c"), SEP]
    assert list(made.tokens("d" * 50)) == [*front, *letters("d" * 34), SEP]
    made.take(0, row(-2))
    made.take(1, row(3))
    assert made.reply() == Scores([-2.0, 3.0], 0, 1)


def test_a_query_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        RankTicket(1, Rank("a" * 40, ("c",)), VOCAB, LIMIT, None).tokens("c")


def test_a_reranker_with_a_template_of_its_own_uses_it() -> None:
    made = RankTicket(1, Rank("q", ("d",)), VOCAB, LIMIT, "<{query}|{document}>")
    assert list(made.tokens("d")) == [CLS, *letters("<q|d>"), SEP]


def test_without_a_reranker_cosines_are_the_scores() -> None:
    made = NearTicket(1, Rank("q", ("same", "across"), by_vectors=True), VOCAB, FRAME, LIMIT)
    for index, vector in enumerate([row(2, 0), row(5, 0), row(0, 1)]):
        made.take(index, vector)
    assert made.reply() == Scores([1.0, 0.0], 0, 0)
