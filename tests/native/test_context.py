import threading
from pathlib import Path

import numpy as np
import pytest

from lcrt.errors import BusyError, Cancelled, ClosedError, InvalidRequest, OutOfMemory, UnsupportedModel
from lcrt.native.context import Context, _Rows  # type: ignore[attr-defined]
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, ModelParams
from tests.native import tiny

PROMPT = [1, *range(259, 275)]


def make(model: Model, **params: object) -> Context:
    return Context(model, ContextParams(**{"n_ctx": 256, "n_threads": 1, **params}))  # type: ignore[arg-type]


def test_logits_are_a_row_over_the_vocabulary_and_read_only(model: Model) -> None:
    logits = make(model).decode(PROMPT)
    assert logits.shape == (len(tiny.TOKENS),)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    with pytest.raises(ValueError, match="read-only"):
        logits[0] = 1


def test_logits_are_the_context_s_own_memory(model: Model) -> None:
    context = make(model)
    first = context.decode(PROMPT)
    before = first.copy()
    second = context.decode([260])
    assert np.shares_memory(first, second)
    assert not np.array_equal(first, before)


def test_every_row_ends_in_the_last_one(model: Model) -> None:
    rows = make(model, n_outputs=32).decode(PROMPT, every=True)
    assert rows.shape == (len(PROMPT), len(tiny.TOKENS))
    np.testing.assert_allclose(rows[-1], make(model).decode(PROMPT), atol=1e-3)
    np.testing.assert_allclose(rows[4], make(model).decode(PROMPT[:5]), atol=1e-3)


def test_pieces_of_a_prompt_are_the_prompt(model: Model) -> None:
    whole = make(model).decode(PROMPT)
    context = make(model)
    rows = [context.decode([token]).copy() for token in PROMPT]
    np.testing.assert_allclose(rows[-1], whole, atol=1e-3)


def test_prompts_longer_than_a_batch_are_cut_for_it(model: Model) -> None:
    context = make(model, n_batch=8)
    assert context.info.n_batch == 8
    np.testing.assert_allclose(context.decode(PROMPT), make(model).decode(PROMPT), atol=1e-3)


def test_sequences_know_nothing_of_each_other(model: Model) -> None:
    context = make(model, n_parallel=2)
    context.decode(PROMPT, seq=0)
    np.testing.assert_allclose(context.decode(PROMPT, seq=1), make(model).decode(PROMPT), atol=1e-3)


def test_after_a_trim_the_same_comes_out(model: Model) -> None:
    context = make(model)
    context.decode(PROMPT)
    want = context.decode([262]).copy()
    context.trim(0, len(PROMPT))
    assert np.array_equal(context.decode([262]), want)
    context.trim(0)
    np.testing.assert_allclose(context.decode(PROMPT), make(model).decode(PROMPT), atol=1e-3)


def test_a_trim_that_reaches_the_end_is_one_of_the_tail(model: Model) -> None:
    context = make(model)
    context.decode(PROMPT)
    context.trim(0, 5, 100)
    np.testing.assert_allclose(context.decode(PROMPT[5:]), make(model).decode(PROMPT), atol=1e-3)


def test_a_shift_moves_where_it_goes_on(model: Model) -> None:
    context = make(model)
    context.decode(PROMPT)
    context.trim(0, 2, 6)
    context.shift(0, 6, -1, -4)
    context.decode([262])
    with pytest.raises(InvalidRequest):
        context.decode([262], pos=len(PROMPT))
    context.shift(0, 0, -1, -1000)
    np.testing.assert_allclose(context.decode(PROMPT), make(model).decode(PROMPT), atol=1e-3)


@pytest.mark.parametrize("delta", [240, 2**31 - 1])
def test_positions_are_not_moved_out_of_the_context(model: Model, delta: int) -> None:
    context = make(model)
    context.decode(PROMPT)
    with pytest.raises(InvalidRequest, match="not in the context"):
        context.shift(0, 0, -1, delta)
    context.decode([262])


def test_a_shared_prefix_goes_on_in_another_sequence(model: Model) -> None:
    context = make(model, n_parallel=2, layout="unified")
    context.decode(PROMPT)
    context.share(0, 1, 8)
    np.testing.assert_allclose(context.decode(PROMPT[8:], seq=1), make(model).decode(PROMPT), atol=1e-3)


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_only_an_empty_sequence_gets_a_share(model: Model, layout: str) -> None:
    context = make(model, n_parallel=2, layout=layout)
    context.decode(PROMPT)
    context.decode(PROMPT[:3], seq=1)
    with pytest.raises(InvalidRequest, match="not empty"):
        context.share(0, 1, 8)
    context.trim(1)
    context.share(0, 1, 8)
    for pair in ((0, 0), (0, 2), (-1, 1)):
        with pytest.raises(InvalidRequest):
            context.share(*pair, 4)


def test_a_recurrent_model_cannot_go_back(recurrent_model: Model) -> None:
    context = make(recurrent_model)
    context.decode(PROMPT)
    assert not context.info.can_trim
    with pytest.raises(UnsupportedModel):
        context.trim(0, 4)
    context.trim(0)
    context.decode(PROMPT)


def test_a_window_goes_back_as_far_as_it_reaches(windowed_model: Model) -> None:
    context = make(windowed_model, n_ctx=512, n_ubatch=32)
    tokens = [260 + i % 20 for i in range(400)]
    want = context.decode(tokens).copy()
    context.trim(0, 380)
    np.testing.assert_allclose(context.decode(tokens[380:]), want, atol=1e-3)
    with pytest.raises(UnsupportedModel):
        context.trim(0, 60)
    context.trim(0)
    np.testing.assert_allclose(context.decode(tokens), want, atol=1e-3)


@pytest.mark.parametrize("tokens", [[], [-1], [10**6]])
def test_tokens_out_of_range_are_refused(model: Model, tokens: list[int]) -> None:
    with pytest.raises(InvalidRequest):
        make(model).decode(tokens)


@pytest.mark.parametrize("arguments", [{"seq": 1}, {"seq": -1}, {"pos": -5}, {"pos": 255}, {"pos": 10**6}])
def test_places_out_of_range_are_refused(model: Model, arguments: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest):
        make(model).decode(PROMPT, **arguments)  # type: ignore[arg-type]


def test_more_rows_than_agreed_are_refused(model: Model) -> None:
    with pytest.raises(InvalidRequest, match="n_outputs"):
        make(model, n_outputs=4).decode(PROMPT, every=True)


def test_logits_in_use_do_not_lose_their_memory(model: Model) -> None:
    context = make(model, n_outputs=32)
    logits = context.decode(PROMPT)
    with pytest.raises(BufferError):
        context.decode(PROMPT, every=True)
    del logits
    assert context.decode(PROMPT, every=True).shape[0] == len(PROMPT)


def test_a_full_pool_is_busy_and_lives(model: Model) -> None:
    context = make(model, n_parallel=2, kv_cells_max=256)
    context.decode([260] * 200, seq=0)
    with pytest.raises(BusyError):
        context.decode([260] * 100, seq=1)
    context.trim(0)
    context.decode([260] * 100, seq=1, pos=0)


def test_batches_larger_than_the_context_are_cut_for_it(model: Model) -> None:
    context = make(model, n_batch=2**31 - 1, n_ubatch=2**31 - 1)
    assert context.info.n_batch == context.info.n_ctx
    np.testing.assert_allclose(context.decode(PROMPT), make(model).decode(PROMPT), atol=1e-3)


def test_rows_without_logits_show_nothing(model: Model) -> None:
    with pytest.raises(BufferError):
        memoryview(_Rows(make(model), 3))


def test_a_context_that_cannot_fit_is_out_of_memory(model: Model) -> None:
    with pytest.raises(OutOfMemory, match="GiB"):
        make(model, n_ctx=2**30)
    with pytest.raises(OutOfMemory):
        make(model, n_ctx=2**30, n_parallel=200)


@pytest.mark.parametrize(
    "params",
    [{"n_parallel": 0}, {"n_parallel": 257}, {"n_ctx": -1}, {"n_ctx": 2**40}, {"kv_type": "q7"}, {"layout": "heap"}],
)
def test_parameters_out_of_range_are_refused_by_name(model: Model, params: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        make(model, **params)


def test_a_vocabulary_alone_has_no_context(tiny_path: Path) -> None:
    with Model(tiny_path, ModelParams(vocab_only=True)) as vocabulary, pytest.raises(UnsupportedModel):
        make(vocabulary)


def test_a_context_outlives_its_model(own_model: Model) -> None:
    context = make(own_model)
    own_model.close()
    assert np.isfinite(context.decode(PROMPT)).all()


def test_logits_outlive_a_closed_context(model: Model) -> None:
    context = make(model)
    logits = context.decode(PROMPT)
    before = logits.copy()
    context.close()
    assert np.array_equal(logits, before)
    with pytest.raises(ClosedError):
        context.decode([1])
    with pytest.raises(ClosedError):
        context.trim(0)


def test_an_interrupted_decode_is_cancelled_and_can_be_repeated(model: Model) -> None:
    context = make(model)
    context.interrupt()
    with pytest.raises(Cancelled):
        context.decode(PROMPT)
    context.interrupt(on=False)
    np.testing.assert_allclose(context.decode(PROMPT), make(model).decode(PROMPT), atol=1e-3)


def test_threads_take_turns(model: Model) -> None:
    context = make(model, n_parallel=4)

    def run(seq: int) -> None:
        for token in PROMPT[:-1]:
            context.decode([token], seq=seq)

    threads = [threading.Thread(target=run, args=(seq,)) for seq in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = make(model).decode(PROMPT)
    for seq in range(4):
        np.testing.assert_allclose(context.decode(PROMPT[-1:], seq=seq), want, atol=1e-3)


def test_closing_under_a_decode_lets_it_end(model: Model) -> None:
    context = make(model, n_ctx=512)
    started = threading.Event()
    outcome: list[object] = []

    def run() -> None:
        started.set()
        try:
            while True:
                context.decode([260] * 200)
                context.trim(0)
        except ClosedError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    context.close()
    thread.join()
    assert len(outcome) == 1


def test_a_real_model_knows_a_capital(real_model: Model) -> None:
    logits = make(real_model).decode(real_model.vocab.tokenise("The capital of France is"))
    assert real_model.vocab.piece(int(logits.argmax())) == b" Paris"
