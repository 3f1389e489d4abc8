"""Rates of the engine on this machine, without a server between."""

import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lcrt.core.options import Sampling
from lcrt.errors import DecodeError, InvalidRequest
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams

_GREEDY = Sampling(temperature=0.0)
_SPARE = 8
_N_WARM_UP = 4


class Load(msgspec.Struct, frozen=True):
    """What the engine is given; ``n_streams`` sequences at a time, 0 threads: chosen."""

    n_prompt: int = 512
    n_generate: int = 128
    n_streams: int = 1
    n_repeats: int = 3
    n_threads: int = 0


class Rate(msgspec.Struct, frozen=True):
    """Tokens per second of all streams together, over the repeated runs."""

    mean: float
    deviation: float
    best: float


class Measured(msgspec.Struct, frozen=True):
    """What came out. ``load`` in seconds; ``overhead`` is the share of steps outside forward passes and sampling."""

    model: str
    n_params: int
    size: int
    n_prompt: int
    n_generate: int
    n_streams: int
    n_threads: int
    load: float
    prefill: Rate
    decode: Rate
    sampling: float
    overhead: float


def measure(path: Path, load: Load) -> Measured:
    """Load a model and run prompts, then generation, as often as wanted."""
    began = time.perf_counter()
    model = Model(path)
    n_ctx = load.n_prompt + load.n_generate + _SPARE
    context = ContextParams(n_ctx=n_ctx, n_parallel=load.n_streams, n_threads=load.n_threads)
    with Engine(model, context) as engine:
        loaded = time.perf_counter() - began
        if engine.info.n_ctx_seq < n_ctx:
            raise InvalidRequest(f"{n_ctx} tokens do not fit: the model was trained for {engine.info.n_ctx_seq}")
        runs = _Runs(engine, model.info.n_vocab, load.n_streams)
        runs.time(_N_WARM_UP, _N_WARM_UP)
        prefill = [runs.time(load.n_prompt, 1) for _ in range(load.n_repeats)]
        before = engine.stats()
        decode = [runs.time(1, load.n_generate) for _ in range(load.n_repeats)]
        after = engine.stats()
    step = after.step - before.step
    sampling = (after.sample - before.sample) / step
    return Measured(
        model=path.name,
        n_params=model.info.n_params,
        size=model.info.size,
        n_prompt=load.n_prompt,
        n_generate=load.n_generate,
        n_streams=load.n_streams,
        n_threads=load.n_threads,
        load=loaded,
        prefill=_rate(load.n_prompt * load.n_streams, prefill),
        decode=_rate(load.n_generate * load.n_streams, decode),
        sampling=sampling,
        overhead=1.0 - sampling - (after.decode - before.decode) / step,
    )


class _Runs:
    """Runs jobs of random tokens on an idle engine."""

    def __init__(self, engine: Engine, n_vocab: int, n_streams: int) -> None:
        self._engine = engine
        self._n_vocab = n_vocab
        self._n_streams = n_streams
        self._next = 0
        self._numbers = random.Random(0)  # noqa: S311 -- tokens, not a secret

    def time(self, n_prompt: int, n_generate: int) -> float:
        """Seconds from the first job's submission to the last one's end, one job for each stream."""
        prompts = [self._numbers.choices(range(self._n_vocab), k=n_prompt) for _ in range(self._n_streams)]
        began = time.perf_counter()
        for prompt in prompts:
            self._engine.submit(self._next, prompt, _GREEDY, max_tokens=n_generate, cache=False, ignore_eog=True)
            self._next += 1
        left = self._n_streams
        while left:
            self._engine.wait()
            for event in self._engine.events():
                if event.error:
                    raise DecodeError(event.error)
                left -= event.kind == "finish"
        return time.perf_counter() - began


def _rate(n_tokens: int, seconds: Sequence[float]) -> Rate:
    rates = [n_tokens / each for each in seconds]
    deviation = statistics.stdev(rates) if len(rates) > 1 else 0.0
    return Rate(statistics.fmean(rates), deviation, max(rates))


def as_text(what: Measured) -> str:
    """Lay out for a person."""
    return (
        f"model       {what.model}: {what.n_params / 1e6:.1f}M parameters, {what.size / 1e6:.1f} MB\n"
        f"load        {what.load * 1e3:.0f} ms\n"
        f"streams     {what.n_streams}\n"
        f"prefill     {_spell(what.prefill)}, {what.n_prompt} tokens\n"
        f"decode      {_spell(what.decode)}, {what.n_generate} tokens\n"
        f"of a step   {what.sampling:.1%} sampling, {what.overhead:.1%} engine, the rest forward passes\n"
    )


def _spell(rate: Rate) -> str:
    return f"{rate.mean:.2f} +- {rate.deviation:.2f} tokens/s (best {rate.best:.2f})"
