"""Greedy answers are the same whatever tier the beginning of a prompt comes from, on every kind of memory.

A prompt that is computed in other pieces comes out otherwise in the last digits, in llama.cpp itself. So two
answers may part where the two likeliest tokens are within ``TIE`` of each other, and nowhere else.
"""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import CacheParams, ContextParams, EngineParams
from tests.native import tiny, tiny_kinds

GREEDY = Sampling(temperature=0.0)
N_CTX = 1024
N_ANSWER = 6
LETTER = len(tiny.TOKENS) - 26
TURN = 1
TIE = 2e-2
KINDS: dict[str, Callable[[Path], Path]] = {
    "attention": tiny.llama,
    "window": tiny.windowed,
    "recurrent": tiny.mamba,
    "hybrid": tiny_kinds.hybrid,
    "experts": tiny_kinds.experts,
}


@pytest.fixture(scope="module", params=list(KINDS))
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = KINDS[request.param](tmp_path_factory.mktemp("kinds") / f"{request.param}.gguf")
    with Model(path) as loaded:
        yield loaded


def open_engine(model: Model, n_parallel: int, cache: CacheParams | None = None, unified: bool = True) -> Engine:
    context = ContextParams(
        n_ctx=N_CTX, n_parallel=n_parallel, n_threads=1, n_batch=128, layout="unified" if unified else "split"
    )
    return Engine(model, context, EngineParams(cache=cache or CacheParams()))


def cached(directory: Path, ram: int = 64 << 20) -> CacheParams:
    return CacheParams(ram=ram, disk=1 << 30, directory=str(directory), version="1", model="tiny", setup="test")


class Answer(msgspec.Struct):
    """Tokens, with how much likelier each was than the next one."""

    tokens: list[int]
    leads: list[float]
    usage: Usage


def ask(engine: Engine, prompt: list[int], *, cache: bool = True) -> Answer:
    engine.submit(1, prompt, GREEDY, max_tokens=N_ANSWER, ignore_eog=True, cache=cache, n_logprobs=2)
    answer = Answer([], [], Usage())
    while True:
        assert engine.wait(10)
        for event in engine.events():
            answer.tokens += event.tokens
            values = [value for _, value in event.logprobs]
            assert all(map(math.isfinite, values))
            answer.leads += [first - second for first, second in zip(values[1::3], values[2::3], strict=True)]
            if event.finish is not None:
                assert event.finish == "length", event.error
                assert event.usage is not None
                answer.usage = event.usage
                return answer


def check_same(got: Answer, want: Answer) -> None:
    for mine, other, lead in zip(got.tokens, want.tokens, want.leads, strict=True):
        if mine != other:
            assert lead < TIE
            return


def words(number: int, count: int) -> list[int]:
    rng = random.Random(number)
    return [LETTER + rng.randrange(26) for _ in range(count)]


@pytest.mark.parametrize("unified", [True, False])
def test_a_conversation_comes_back_from_host_memory(any_model: Model, tmp_path: Path, unified: bool) -> None:
    first, second = words(1, 200), words(2, 200)
    with open_engine(any_model, 1) as plain:
        want = ask(plain, first)
    with open_engine(any_model, 2, CacheParams(ram=64 << 20), unified) as engine:
        check_same(ask(engine, first), want)
        for number in range(2, 5):
            ask(engine, words(number, 200))
        ask(engine, second)
        answer = ask(engine, first)
    check_same(answer, want)
    usage = answer.usage
    assert (usage.n_cached, usage.n_host, usage.n_disk) == (199, 199, 0)


@pytest.mark.parametrize("unified", [True, False])
def test_a_conversation_comes_back_from_disk(any_model: Model, tmp_path: Path, unified: bool) -> None:
    prompt = words(1, 200)
    with open_engine(any_model, 1) as plain:
        want = ask(plain, prompt)
    engine = open_engine(any_model, 2, cached(tmp_path), unified)
    check_same(ask(engine, prompt), want)
    assert engine.store(10.0) == (1, 0)
    engine = open_engine(any_model, 2, cached(tmp_path), unified)
    answer = ask(engine, prompt)
    check_same(answer, want)
    usage = answer.usage
    assert (usage.n_cached, usage.n_host, usage.n_disk) == (199, 0, 199)
    engine.close()


def test_what_comes_back_is_the_same_to_the_bit(any_model: Model, tmp_path: Path) -> None:
    context = ContextParams(n_ctx=N_CTX, n_parallel=1, n_threads=1, n_batch=128)
    params = EngineParams(cache=cached(tmp_path))
    prompt, other = words(1, 200), words(2, 200)
    engine = Engine(any_model, context, params)
    ask(engine, prompt)
    on_device = ask(engine, prompt)
    ask(engine, other)
    in_host_memory = ask(engine, prompt)
    engine.store(10.0)
    engine = Engine(any_model, context, params)
    on_disk = ask(engine, prompt)
    engine.close()
    assert (in_host_memory.usage.n_host, on_disk.usage.n_disk) == (199, 199)
    for answer in (in_host_memory, on_disk):
        assert (answer.tokens, answer.leads) == (on_device.tokens, on_device.leads)


def test_the_next_turn_computes_what_is_new(any_model: Model) -> None:
    with open_engine(any_model, 2, CacheParams(ram=64 << 20)) as engine:
        talk = [*words(1, 300), TURN, *words(2, 3)]
        for turn in range(4):
            answer = ask(engine, talk)
            if turn > 0:
                assert answer.usage.n_prompt - answer.usage.n_cached <= 12 + N_ANSWER
            talk = [*talk, *answer.tokens, *words(turn + 10, 8), TURN, *words(2, 3)]
        assert engine.cache_stats().device.n_jobs == 3


def test_a_turn_asked_again_computes_the_generation_prompt(any_model: Model) -> None:
    with open_engine(any_model, 2, CacheParams(ram=64 << 20)) as engine:
        talk = [*words(1, 300), TURN, *words(2, 3)]
        want = ask(engine, talk)
        answer = ask(engine, talk)
        check_same(answer, want)
        assert answer.usage.n_prompt - answer.usage.n_cached <= 4


def test_answers_are_the_same_with_every_tier_in_play(any_model: Model, tmp_path: Path) -> None:
    rng = random.Random(11)
    talks = [words(number % 2, 100) + words(number + 50, 60) for number in range(5)]
    n_found = 0
    with open_engine(any_model, 1) as plain:
        for life in range(3):
            engine = open_engine(any_model, 1 + life % 2, cached(tmp_path, ram=300_000))
            for _ in range(15):
                number = rng.randrange(len(talks))
                talk = talks[number]
                if len(talk) > N_CTX - 150:
                    talk = talk[:100]
                elif rng.random() < 0.3:
                    talk = talk[: len(talk) - rng.randrange(len(talk) // 2)]
                talk = [*talk, *words(rng.randrange(1000), rng.randrange(1, 60)), TURN, LETTER]
                answer = ask(engine, talk)
                check_same(answer, ask(plain, talk, cache=False))
                n_found += answer.usage.n_host + answer.usage.n_disk > 0
                talks[number] = [*talk, *answer.tokens]
            engine.store(10.0)
    assert n_found > 10
