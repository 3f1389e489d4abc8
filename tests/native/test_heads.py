"""Layers of a model that guess ahead: the same answers, whatever they guess and wherever the sequence has been.

They are of two kinds of memory: one that can be cut anywhere, and one that goes back over its last pass only.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.native import runtime
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import CacheParams, ContextParams, EngineParams, ModelParams
from tests.native import tiny, tiny_heads
from tests.native.test_drafts import GREEDY, LETTER, PROMPT, Answer, ask, check_same

HEADS = ModelParams(heads=True)
KINDS: dict[str, Callable[..., Path]] = {"attention": tiny_heads.attention, "hybrid": tiny_heads.hybrid}
OTHER = [1, *reversed(PROMPT), *reversed(PROMPT), *PROMPT[:20]]
TALK = [*PROMPT, *PROMPT[1:], *PROMPT[1:]]

_Make = Callable[..., Model]


@pytest.fixture(scope="module", params=list(KINDS))
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Make]:
    """Loads a model of that kind; random, or with this much noise and doubt."""
    folder, loaded = tmp_path_factory.mktemp("heads"), dict[tuple[float, ...], Model]()

    def load(*strengths: float) -> Model:
        if strengths not in loaded:
            path = folder / f"{'-'.join(map(str, strengths))}.gguf"
            loaded[strengths] = Model(KINDS[request.param](path, *strengths), HEADS)
        return loaded[strengths]

    yield load
    for model in loaded.values():
        model.close()


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A model that knows, with a memory that can be cut anywhere."""
    with Model(tiny_heads.attention(tmp_path_factory.mktemp("heads") / "a.gguf", 0.0), HEADS) as loaded:
        yield loaded


def open_engine(model: Model, n_draft: int = -4, ram: int = 0, **context: Any) -> Engine:
    params = ContextParams(**{"n_ctx": 512, "n_batch": 128, "n_threads": 1, **context})
    return Engine(model, params, EngineParams(n_draft=n_draft, cache=CacheParams(ram=ram)))


def run_all(engine: Engine, prompts: list[list[int]], lengths: list[int]) -> list[Answer]:
    """Ask for all of them at once, for so many tokens each."""
    out = [Answer([], [], "", Usage()) for _ in prompts]
    for number, (prompt, n) in enumerate(zip(prompts, lengths, strict=True)):
        engine.submit(number, prompt, GREEDY, max_tokens=n, ignore_eog=True)
    n_left = len(prompts)
    while n_left:
        assert engine.wait(10)
        for event in engine.events():
            out[event.id].tokens += event.tokens
            if event.finish is not None:
                assert event.finish == "length", event.error
                assert event.usage is not None
                out[event.id].usage = event.usage
                n_left -= 1
    return out


def test_what_they_know_is_always_taken(make: _Make) -> None:
    with open_engine(make(0.0), 0) as plain:
        want = ask(plain, PROMPT, n=100)
        assert not plain.info.can_guess
    with open_engine(make(0.0)) as engine:
        got = ask(engine, PROMPT, n=100)
        assert engine.info.can_guess
        assert engine.stats().n_steps < 40
    check_same(got, want)
    assert got.usage.n_accepted == got.usage.n_drafted > 70


@pytest.mark.parametrize("strengths", [(0.1,), (0.0, 0.1), ()], ids=["noise", "doubt", "random"])
def test_what_they_guess_changes_no_answer(make: _Make, strengths: tuple[float, ...]) -> None:
    model = make(*strengths)
    n_accepted = n_drafted = 0
    with open_engine(model, 0) as plain, open_engine(model) as engine:
        for first in range(4):
            prompt = [1, LETTER + first, *PROMPT]
            want = ask(plain, prompt)
            got = ask(engine, prompt)
            check_same(got, want)
            n_accepted += got.usage.n_accepted
            n_drafted += got.usage.n_drafted
    assert n_drafted > n_accepted
    assert n_accepted > 30 or not strengths


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_streams_side_by_side_have_their_own_guesses(make: _Make, layout: str) -> None:
    prompts = [[1, LETTER + 3 * first, *PROMPT[first:]] for first in range(4)]
    with open_engine(make(0.0), 0) as plain:
        wants = [ask(plain, prompt, n=60) for prompt in prompts]
    with open_engine(make(0.0), n_parallel=4, layout=layout) as engine:
        answers = run_all(engine, prompts, [60] * 4)
    for got, want in zip(answers, wants, strict=True):
        check_same(got, want)
        assert got.usage.n_accepted == got.usage.n_drafted > 25


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_a_beginning_that_another_sequence_has_is_shared(attention: Model, layout: str) -> None:
    prompts = [[*TALK, LETTER + first] for first in range(3)]
    with open_engine(attention, 0) as plain:
        wants = [ask(plain, prompt, n=60) for prompt in prompts]
    with open_engine(attention, n_parallel=3, layout=layout) as engine:
        ask(engine, TALK, n=20)
        answers = run_all(engine, prompts, [60] * 3)
        assert engine.stats().n_shared > 0
    for got, want in zip(answers, wants, strict=True):
        check_same(got, want)
        assert got.usage.n_cached >= len(TALK) - 1
        assert got.usage.n_accepted == got.usage.n_drafted > 25


def test_sequences_that_move_take_along_what_they_had_read(make: _Make) -> None:
    prompts = [[1, LETTER + 3 * first, *PROMPT[first:]] for first in range(4)]
    lengths = [10, 200, 20, 200]
    with open_engine(make(0.0, 0.1), 0) as plain:
        wants = [ask(plain, prompt, n=n) for prompt, n in zip(prompts, lengths, strict=True)]
    with open_engine(make(0.0, 0.1), n_parallel=4, layout="split") as engine:
        answers = run_all(engine, prompts, lengths)
        assert engine.stats().n_moves > 0
    for got, want in zip(answers, wants, strict=True):
        check_same(got, want)
        assert got.usage.n_accepted > 0
    assert answers[1].usage.n_accepted < answers[1].usage.n_drafted


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_two_go_on_from_where_a_guess_was_taken_back(make: _Make, layout: str) -> None:
    model, n_stopped = make(), 0
    with open_engine(model, 0) as plain, open_engine(model, n_parallel=2, layout=layout) as engine:
        for trial in range(20):
            begin = [1, LETTER + trial, *PROMPT]
            answer = ask(plain, begin, n=30)
            stop = next((char for char in answer.text[4:20] if char.isalpha()), None)
            if stop is None:
                continue
            stopped = ask(engine, begin, n=30, stops=(stop,))
            begin += answer.tokens[: stopped.usage.n_generated - 1]
            n_stopped += stopped.usage.n_drafted > stopped.usage.n_accepted
            prompts = [[*begin, LETTER], [*begin, LETTER + 1]]
            wants = [ask(plain, prompt, n=20) for prompt in prompts]
            for got, want in zip(run_all(engine, prompts, [20, 20]), wants, strict=True):
                check_same(got, want)
        assert engine.stats().n_shared > 0
    assert n_stopped > 3


def test_a_stored_conversation_comes_back_with_what_they_had_read(make: _Make) -> None:
    model = make(0.0, 0.1)
    usages = []
    for ram in (64 << 20, 0):
        with open_engine(model, ram=ram) as engine:
            longer = [*TALK, *ask(engine, TALK).tokens, *PROMPT[1:12]]
            ask(engine, OTHER)
            usages.append(ask(engine, longer, n=100).usage)
    stored, computed = usages
    assert stored.n_host > len(TALK) > computed.n_cached
    assert 0 < stored.n_accepted < stored.n_drafted
    assert (stored.n_drafted, stored.n_accepted) == (computed.n_drafted, computed.n_accepted)


def test_another_end_of_a_conversation_leaves_them_what_is_before(attention: Model) -> None:
    with open_engine(attention, 0) as plain:
        want = ask(plain, [*TALK, LETTER + 5], n=60)
    with open_engine(attention) as engine:
        ask(engine, [*TALK, LETTER + 1], n=60)
        got = ask(engine, [*TALK, LETTER + 5], n=60)
    check_same(got, want)
    assert got.usage.n_cached >= len(TALK)
    assert got.usage.n_accepted == got.usage.n_drafted > 40


def test_a_full_context_shifts_as_without(attention: Model) -> None:
    with open_engine(attention, 0, n_ctx=96) as plain:
        want = ask(plain, PROMPT, n=250)
    with open_engine(attention, n_ctx=96) as engine:
        got = ask(engine, PROMPT, n=250)
    check_same(got, want)
    assert got.usage.n_shifts == want.usage.n_shifts > 0
    assert got.usage.n_accepted == got.usage.n_drafted > 150


def cancelled(engine: Engine, prompt: list[int]) -> list[int]:
    """Ask, cancel when the first token comes, and return what came till the end."""
    tokens: list[int] = []
    engine.submit(7, prompt, GREEDY, ignore_eog=True)
    while True:
        assert engine.wait(10)
        for event in engine.events():
            tokens += event.tokens
            engine.cancel(7)
            if event.finish is not None:
                assert event.finish == "cancel", event.error
                return tokens


def test_after_a_cancel_they_go_on(attention: Model) -> None:
    with open_engine(attention) as engine:
        cancelled(engine, PROMPT)
        got = ask(engine, [*PROMPT, LETTER], n=60)
    assert got.usage.n_accepted == got.usage.n_drafted > 40


def test_answers_behind_what_was_cancelled_are_the_same(make: _Make) -> None:
    """A pass that is broken off leaves no state of a pass before as its own."""
    model = make()
    with open_engine(model, 0) as plain, open_engine(model) as engine:
        for first in range(100):
            prompt = [1, LETTER + first % 20, LETTER + first // 20, *PROMPT]
            prompt += [*cancelled(engine, prompt), LETTER]
            check_same(ask(engine, prompt), ask(plain, prompt))


def test_with_small_batches_nothing_is_guessed_where_snapshots_do_not_fit(make: _Make) -> None:
    with open_engine(make(0.1), 0) as plain, open_engine(make(0.1), n_batch=4) as engine:
        check_same(ask(engine, PROMPT), ask(plain, PROMPT))


def test_the_same_seed_samples_the_same_answer(make: _Make) -> None:
    model = make(0.1)
    with open_engine(model, 0) as plain, open_engine(model) as engine:
        for seed in range(10):
            sampling = Sampling(seed=seed, temperature=0.3)
            want, got = (ask(one, PROMPT, sampling, 12) for one in (plain, engine))
            assert got.tokens == want.tokens or min(want.leads) < 2e-2
        assert engine.stats().n_accepted > 10


def test_they_take_memory_and_only_where_they_are_loaded(attention: Model, tmp_path: Path) -> None:
    with open_engine(attention, 0) as without, open_engine(attention) as with_them:
        assert with_them.info.size > without.info.size
    with Model(tiny_heads.attention(tmp_path / "m.gguf", 0.0)) as model, open_engine(model) as engine:
        assert (model.info.n_heads_ahead, engine.info.can_guess) == (0, False)
    with Model(tiny.llama(tmp_path / "l.gguf"), HEADS) as model:
        assert model.info.n_heads_ahead == 0


@pytest.mark.parametrize(("n_heads", "n_there"), [(2, 2), (1, 0)], ids=["two", "none in the file"])
def test_layers_that_do_not_work_are_left_out_with_a_warning(tmp_path: Path, n_heads: int, n_there: int) -> None:
    seen: list[str] = []
    path = tiny_heads.attention(tmp_path / "m.gguf", 0.0, n_heads=n_heads, n_there=n_there)
    with Model(path, HEADS) as model:
        runtime.set_log(lambda _, text: seen.append(text), 30)
        try:
            with open_engine(model) as engine:
                assert not engine.info.can_guess
                assert ask(engine, PROMPT, n=10).usage.n_generated == 10
        finally:
            runtime.set_log(None)
    assert len(seen) == 1
    assert "guess ahead are not used: " in seen[0]
