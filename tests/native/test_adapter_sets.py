"""Jobs with different adapters at the same time: each answers as it does alone.

A token that is computed along with others comes out otherwise in the last digits, in llama.cpp itself. So two
answers may part where the two likeliest tokens are within ``TIE`` of each other, and nowhere else.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.errors import ClosedError, InvalidRequest
from lcrt.native.adapter import Adapter, AdapterSet
from lcrt.native.engine import Engine
from lcrt.native.grammar import Guide
from lcrt.native.handle import Handle
from lcrt.native.model import Model
from lcrt.native.values import CacheParams, ContextParams, EngineParams, KvLayout
from lcrt.runner.grammar import library_path
from tests.native import lora, tiny

GREEDY = Sampling(temperature=0.0)
LETTER = len(tiny.TOKENS) - 26
PROMPT = [1, *(LETTER + i * 7 % 26 for i in range(90))]
TIE, REAL_TIE = 2e-2, 0.6
MATRICES = ("blk.0.attn_q", "blk.0.attn_v", "blk.0.ffn_down")
CHAT = "<|im_start|>user\nTell me about {}.<|im_end|>\n<|im_start|>assistant\n"

Set = Sequence[tuple[Adapter, float]] | None


class Answer(msgspec.Struct):
    """Tokens, with how much likelier each was than the next one."""

    tokens: list[int]
    leads: list[float]
    usage: Usage


def answers(engine: Engine, jobs: Sequence[tuple[Sequence[int], Set]], n: int = 24) -> list[Answer]:
    for number, (prompt, adapters) in enumerate(jobs):
        engine.submit(number, prompt, GREEDY, max_tokens=n, ignore_eog=True, n_logprobs=2, adapters=adapters)
    out = [Answer([], [], Usage()) for _ in jobs]
    n_left = len(jobs)
    while n_left:
        assert engine.wait(20)
        for event in engine.events():
            answer = out[event.id]
            answer.tokens += event.tokens
            values = [value for _, value in event.logprobs]
            answer.leads += [first - second for first, second in zip(values[1::3], values[2::3], strict=True)]
            if event.finish is not None:
                assert event.finish == "length", event.error
                assert event.usage is not None
                answer.usage = event.usage
                n_left -= 1
    return out


def assert_same(got: Answer, wanted: Answer, tie: float) -> None:
    for token, other, lead in zip(got.tokens, wanted.tokens, wanted.leads, strict=True):
        if token != other:
            assert lead < tie
            return


@pytest.fixture(scope="module")
def pair(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapter, Adapter]:
    folder = tmp_path_factory.mktemp("adapters")
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    first, second = (
        Adapter(model, lora.write_lora(folder / f"{seed}.gguf", shapes, seed=seed, rank=2)) for seed in (1, 2)
    )
    return first, second


def sets_of(pair: tuple[Adapter, Adapter]) -> list[Set]:
    first, second = pair
    return [None, [(first, 1.0)], [(second, 1.0)], [(first, 0.5)], [(second, 0.25), (first, 1.0)]]


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_jobs_of_all_sets_answer_together_as_they_do_alone(
    model: Model, pair: tuple[Adapter, Adapter], layout: KvLayout
) -> None:
    context = ContextParams(n_ctx=256, n_parallel=5, layout=layout, n_threads=1)
    jobs = [(PROMPT, adapters) for adapters in sets_of(pair)]
    alone = []
    for job in jobs:
        with Engine(model, context) as engine:
            alone += answers(engine, [job])
    assert len({tuple(answer.tokens) for answer in alone}) == len(jobs)
    with Engine(model, context) as engine:
        together = answers(engine, [*jobs, *jobs])
        for got, wanted in zip(together, [*alone, *alone], strict=True):
            assert_same(got, wanted, TIE)


@pytest.mark.parametrize("layout", ["unified", "split"])
def test_a_prompt_is_found_again_by_its_own_set(model: Model, pair: tuple[Adapter, Adapter], layout: KvLayout) -> None:
    context = ContextParams(n_ctx=256, n_parallel=5, layout=layout, n_threads=1)
    jobs = [(PROMPT, adapters) for adapters in sets_of(pair)]
    with Engine(model, context) as engine:
        assert [answer.usage.n_cached for answer in answers(engine, jobs)] == [0] * len(jobs)
        again = answers(engine, [*jobs, (PROMPT, [(pair[1], 0.75)])])
    assert [answer.usage.n_cached for answer in again] == [len(PROMPT) - 1] * len(jobs) + [0]


def test_the_order_and_what_is_left_out_make_no_other_set(model: Model, pair: tuple[Adapter, Adapter]) -> None:
    first, second = pair
    with Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1)) as engine:
        answers(engine, [(PROMPT, [(first, 1.0), (second, 0.5)])])
        (same,) = answers(engine, [(PROMPT, [(second, 0.5), (first, 1.0)])])
        (plain,) = answers(engine, [(PROMPT, None)])
        (nothing,) = answers(engine, [(PROMPT, [(first, 0.0)])])
        (empty,) = answers(engine, [(PROMPT, [])])
    assert [same.usage.n_cached, plain.usage.n_cached] == [len(PROMPT) - 1, 0]
    assert [nothing.usage.n_cached, empty.usage.n_cached] == [len(PROMPT) - 1] * 2


def test_a_models_own_adapters_are_the_set_of_jobs_that_name_none(model: Model, pair: tuple[Adapter, Adapter]) -> None:
    first, _ = pair
    with Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1)) as engine:
        (changed,), (plain,) = answers(engine, [(PROMPT, [(first, 1.0)])]), answers(engine, [(PROMPT, None)])
    with Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1, adapters=((first, 1.0),))) as engine:
        (own,) = answers(engine, [(PROMPT, None)])
        (named,) = answers(engine, [(PROMPT, [(first, 1.0)])])
        (off,) = answers(engine, [(PROMPT, [])])
    assert own.tokens == changed.tokens == named.tokens
    assert named.usage.n_cached == len(PROMPT) - 1
    assert off.tokens == plain.tokens != own.tokens
    assert off.usage.n_cached == 0


def test_adapters_go_with_the_last_job_that_has_them(model: Model, tmp_path: Path) -> None:
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    adapter = Adapter(model, lora.write_lora(tmp_path / "one.gguf", shapes, seed=5))
    with Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1)) as engine:
        with pytest.raises(InvalidRequest):
            engine.submit(0, [], GREEDY, adapters=[(adapter, 1.0)])
        with pytest.raises(InvalidRequest):
            engine.submit(0, [-5], GREEDY, adapters=[(adapter, 1.0)])
        assert not adapter.used
        answers(engine, [(PROMPT, [(adapter, 1.0)])] * 3)
        answers(engine, [(PROMPT, None)])
        assert not adapter.used


def test_a_set_keeps_what_it_has_alive(model: Model, tmp_path: Path) -> None:
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    adapter = Adapter(model, lora.write_lora(tmp_path / "one.gguf", shapes, seed=5))
    kept = AdapterSet([(adapter, 1.0)])
    assert adapter.used
    del kept
    assert not adapter.used
    with pytest.raises(ClosedError):
        AdapterSet([(adapter, 1.0), (closed_one(model, tmp_path), 0.0)])
    assert not adapter.used


def closed_one(model: Model, folder: Path) -> Adapter:
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    adapter = Adapter(model, lora.write_lora(folder / "closed.gguf", shapes, seed=6))
    adapter.close()
    return adapter


def closing(handle: Handle, pair: tuple[Adapter, Adapter]) -> Iterator[tuple[Adapter, float]]:
    """Adapters for a job; while they are read, as another thread might, somebody closes what the job needs."""
    yield pair[0], 1.0
    handle.close()


def test_an_engine_that_is_closed_while_it_takes_a_job_goes_after_that(
    model: Model, pair: tuple[Adapter, Adapter]
) -> None:
    engine = Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1))
    engine.submit(0, PROMPT, GREEDY, adapters=closing(engine, pair))
    assert engine.closed
    assert not pair[0].used
    with pytest.raises(ClosedError):
        engine.submit(1, PROMPT, GREEDY)


def test_a_grammar_that_is_closed_while_an_engine_takes_a_job_is_refused(
    model: Model, pair: tuple[Adapter, Adapter]
) -> None:
    with (
        Engine(model, ContextParams(n_ctx=256, n_parallel=2, n_threads=1)) as engine,
        Guide(model, library_path()) as guide,
    ):
        grammar = guide.compile("regex", "a+")
        with pytest.raises(ClosedError):
            engine.submit(0, PROMPT, GREEDY, grammar=grammar, adapters=closing(grammar, pair))
        assert not pair[0].used


def test_states_on_disk_are_found_by_their_own_set(model: Model, pair: tuple[Adapter, Adapter], tmp_path: Path) -> None:
    first, second = pair
    cache = CacheParams(
        ram=1 << 20, disk=1 << 24, directory=str(tmp_path / "states"), version="1", model="tiny", setup="s"
    )
    context = ContextParams(n_ctx=256, n_parallel=1, n_threads=1)
    with Engine(model, context, EngineParams(cache=cache)) as engine:
        (before,) = answers(engine, [(PROMPT, [(first, 0.5)])])
        assert engine.store(10)[0] == 1
    with Engine(model, context, EngineParams(cache=cache)) as engine:
        for adapters in (None, [(first, 1.0)], [(second, 0.5)]):
            assert answers(engine, [(PROMPT, adapters)])[0].usage.n_cached == 0
        (after,) = answers(engine, [(PROMPT, [(first, 0.5)])])
    assert after.usage.n_disk == len(PROMPT) - 1
    assert after.tokens == before.tokens


def test_adapters_load_while_others_are_in_use(model: Model, pair: tuple[Adapter, Adapter], tmp_path: Path) -> None:
    shapes = {name: tiny.LLAMA_SHAPES[name] for name in MATRICES}
    path = lora.write_lora(tmp_path / "one.gguf", shapes, seed=5)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            Adapter(model, path).close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        with Engine(model, ContextParams(n_ctx=256, n_parallel=4, n_threads=1)) as engine:
            for _ in range(4):
                answers(engine, [(PROMPT, adapters) for adapters in sets_of(pair)])
    finally:
        stop.set()
        thread.join()


def test_two_adapters_and_none_on_a_real_model(real_model: Model, tmp_path: Path) -> None:
    first, second = (
        Adapter(real_model, lora.write_lora(tmp_path / f"{seed}.gguf", lora.smol_shapes(), seed=seed, size=0.08))
        for seed in (1, 2)
    )
    sets: list[Set] = [None, [(first, 1.0)], [(second, 1.0)], [(first, 0.5)]]
    prompt = real_model.vocab.tokenise(CHAT.format("the sea"))
    context = ContextParams(n_ctx=256, n_parallel=4, n_threads=2)
    alone = []
    for adapters in sets:
        with Engine(real_model, context) as engine:
            alone += answers(engine, [(prompt, adapters)])
    assert len({tuple(answer.tokens) for answer in alone}) == len(sets)
    with Engine(real_model, context) as engine:
        for got, wanted in zip(answers(engine, [(prompt, adapters) for adapters in sets]), alone, strict=True):
            assert got.usage.n_cached == 0
            assert_same(got, wanted, REAL_TIE)
