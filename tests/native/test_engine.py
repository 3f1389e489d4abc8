import gc
import select
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.errors import BusyError, ClosedError, InvalidRequest, OutOfMemory, UnsupportedModel
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed
from lcrt.native.context import Context
from lcrt.native.engine import Engine, Event
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams, ModelParams
from tests.native import tiny

GREEDY = Sampling(temperature=0.0)
PROMPT = [1, *range(260, 270)]
Make = Callable[..., Engine]


@pytest.fixture
def make(model: Model) -> Iterator[Make]:
    """Make engines over the tiny model; they are closed at the end."""
    made: list[Engine] = []

    def build(n_parallel: int = 2, **params: Any) -> Engine:
        context = ContextParams(n_ctx=256, n_parallel=n_parallel, n_threads=1)
        made.append(Engine(model, context, EngineParams(**params)))
        return made[-1]

    yield build
    for engine in made:
        engine.close()


def drain(engine: Engine, n_finishes: int) -> dict[int, list[Event]]:
    """The events of each job until that many have finished."""
    events: dict[int, list[Event]] = defaultdict(list)
    while n_finishes > 0:
        assert engine.wait(10)
        for event in engine.events():
            events[event.id].append(event)
            n_finishes -= event.finish is not None
    return events


def test_a_job_starts_speaks_and_finishes_once(make: Make) -> None:
    engine = make()
    engine.submit(7, PROMPT, GREEDY, max_tokens=5, ignore_eog=True)
    events = drain(engine, 1)[7]
    assert [event.kind for event in events][:: len(events) - 1] == ["start", "finish"]
    assert events[-1].finish == "length"
    assert [event.finish for event in events[:-1]] == [None] * (len(events) - 1)
    usage = events[-1].usage
    assert usage is not None
    assert (usage.n_prompt, usage.n_generated) == (len(PROMPT), 5)
    assert usage.prefill > 0
    assert engine.events() == []


def test_the_engine_generates_what_its_context_computes(make: Make, model: Model) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, max_tokens=8, ignore_eog=True)
    got = [token for event in drain(engine, 1)[1] for token in event.tokens]
    context = Context(model, ContextParams(n_ctx=256, n_threads=1))
    want = [int(context.decode(PROMPT).argmax())]
    while len(want) < 8:
        want.append(int(context.decode(want[-1:]).argmax()))
    assert got == want


def test_tokens_that_the_model_suppresses_never_come_out(make: Make, tmp_path: Path) -> None:
    def first(engine: Engine, sampling: Sampling) -> int:
        engine.submit(1, PROMPT, sampling, max_tokens=1, ignore_eog=True)
        return next(token for event in drain(engine, 1)[1] for token in event.tokens)

    likeliest = first(make(), GREEDY)
    suppressed = Typed(ValueType.INT32, [likeliest, 5])
    path = tiny.llama(tmp_path / "shy.gguf", tokenizer__ggml__suppress_tokens=suppressed)
    with Model(path) as shy, Engine(shy, ContextParams(n_ctx=256, n_threads=1)) as engine:
        second = first(engine, GREEDY)
        assert second not in {likeliest, 5}
        assert first(engine, Sampling(temperature=0.0, logit_bias=((likeliest, 90.0),))) == second


def test_text_is_the_text_of_the_tokens(make: Make, model: Model) -> None:
    engine = make()
    engine.submit(1, PROMPT, Sampling(seed=3, temperature=3.0, top_k=0), max_tokens=60, ignore_eog=True)
    events = drain(engine, 1)[1]
    tokens = [token for event in events for token in event.tokens]
    assert len(tokens) == 60
    assert "".join(event.text for event in events) == model.vocab.text(tokens, special=False)


def test_jobs_run_side_by_side_and_wait_for_a_slot(make: Make) -> None:
    engine = make(n_parallel=2)
    for number in range(6):
        engine.submit(number, [1, 260 + number], GREEDY, max_tokens=4, ignore_eog=True)
    events = drain(engine, 6)
    assert sorted(events) == list(range(6))
    assert {event[-1].finish for event in events.values()} == {"length"}
    assert engine.stats().n_rows >= 6 * 4


def test_the_same_seed_gives_the_same_answer(make: Make) -> None:
    engine = make(n_parallel=1)

    def answer(number: int, seed: int) -> list[int]:
        engine.submit(number, PROMPT, Sampling(seed=seed, temperature=2.0), max_tokens=12, ignore_eog=True)
        return [token for event in drain(engine, 1)[number] for token in event.tokens]

    assert answer(1, 5) == answer(2, 5) != answer(3, 6)


def test_a_cancel_ends_a_job_within_its_answer(make: Make) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, ignore_eog=True)
    assert engine.wait(10)
    engine.cancel(1)
    engine.cancel(99)
    assert drain(engine, 1)[1][-1].finish == "cancel"


def test_logprobs_come_in_groups_of_one_and_the_alternatives(make: Make) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, max_tokens=4, ignore_eog=True, n_logprobs=3)
    for event in drain(engine, 1)[1]:
        assert len(event.logprobs) == 4 * len(event.tokens)
        for i, token in enumerate(event.tokens):
            own, *best = event.logprobs[4 * i : 4 * i + 4]
            assert own[0] == token
            assert own in best
            assert [value for _, value in best] == sorted((value for _, value in best), reverse=True)


def test_a_stop_string_is_not_shown(make: Make, model: Model) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, max_tokens=20, ignore_eog=True)
    whole = "".join(event.text for event in drain(engine, 1)[1])
    stop = whole[6:9]
    engine.submit(2, PROMPT, GREEDY, max_tokens=20, ignore_eog=True, stops=["never", stop])
    events = drain(engine, 1)[2]
    assert "".join(event.text for event in events) == whole[: whole.index(stop)]
    assert events[-1].finish == "stop"


def test_a_prompt_of_the_last_answer_is_found_in_its_slot(make: Make) -> None:
    engine = make(n_parallel=1)
    for number in (1, 2):
        engine.submit(number, PROMPT, GREEDY, max_tokens=1, ignore_eog=True)
        usage = drain(engine, 1)[number][-1].usage
        assert isinstance(usage, Usage)
        assert (usage.n_cached > 0) == (number == 2)


def test_a_full_queue_is_busy(make: Make) -> None:
    engine = make(n_parallel=1, max_queue=4)

    def submit_many() -> None:
        for number in range(10_000):
            engine.submit(number, PROMPT, GREEDY, ignore_eog=True)

    with pytest.raises(BusyError):
        submit_many()


@pytest.mark.parametrize(
    ("tokens", "options"),
    [
        ([], {}),
        ([1] * 300, {}),
        ([1], {"n_ctx": -1}),
        ([1], {"n_logprobs": 99}),
        ([-5], {}),
        ([1], {"stops": ["a\0b"]}),
    ],
)
def test_jobs_that_make_no_sense_are_refused(make: Make, tokens: list[int], options: dict[str, Any]) -> None:
    engine = make()
    with pytest.raises(InvalidRequest):
        engine.submit(1, tokens, GREEDY, **options)
    engine.submit(2, PROMPT, GREEDY, max_tokens=1)
    assert drain(engine, 1)[2]


def test_waiting_ends_with_the_time(make: Make) -> None:
    assert not make().wait(0.01)
    assert not make().wait(0)
    assert not make().wait(float("nan"))


def test_waiting_may_have_no_end(make: Make) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, max_tokens=1, ignore_eog=True)
    assert engine.wait(float("inf"))


def test_events_are_taken_by_one_call_at_a_time(make: Make) -> None:
    """What is freed while one call makes its events may be an object that asks for events too."""

    class Curious:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            seen.append(engine.events())
            among.append(taking)

    seen: list[list[Event]] = []
    among: list[bool] = []
    taking = False
    engine = make()
    engine.submit(1, PROMPT, GREEDY, max_tokens=200, ignore_eog=True, n_logprobs=20)
    got: list[Event] = []
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:
        while not (got and got[-1].finish):
            assert engine.wait(10)
            Curious()
            taking = True
            got += engine.events()
            taking = False
            got += [event for events in seen for event in events]
            seen.clear()
            got.sort(key=lambda event: event.finish is not None)
    finally:
        gc.set_threshold(*old)
    assert any(among)
    assert sum(len(event.tokens) for event in got) == 200


def test_the_descriptor_is_readable_when_events_wait(make: Make) -> None:
    engine = make()
    assert select.select([engine], [], [], 0)[0] == []
    engine.submit(1, PROMPT, GREEDY, max_tokens=1, ignore_eog=True)
    assert select.select([engine], [], [], 10)[0] == [engine]


def test_closing_wakes_who_waits(make: Make) -> None:
    engine = make()
    waiting = threading.Event()
    outcome: list[BaseException] = []

    def wait() -> None:
        waiting.set()
        try:
            engine.wait()
        except ClosedError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    engine.close()
    thread.join(10)
    assert len(outcome) == 1


def test_closing_drops_what_runs(make: Make) -> None:
    engine = make()
    engine.submit(1, PROMPT, GREEDY, ignore_eog=True)
    engine.close()
    engine.close()
    for use in (engine.events, engine.fileno, engine.stats, engine.wait, lambda: engine.cancel(1)):
        with pytest.raises(ClosedError, match="Engine"):
            use()
    with pytest.raises(ClosedError):
        engine.submit(2, PROMPT, GREEDY)


def test_an_engine_outlives_its_model(own_model: Model) -> None:
    with Engine(own_model, ContextParams(n_ctx=256, n_threads=1)) as engine:
        own_model.close()
        engine.submit(1, PROMPT, GREEDY, max_tokens=3, ignore_eog=True)
        assert drain(engine, 1)[1][-1].finish == "length"
    with pytest.raises(ClosedError):
        Engine(own_model)


def test_an_engine_that_cannot_be_is_an_error(model: Model, tiny_path: Path) -> None:
    with pytest.raises(OutOfMemory):
        Engine(model, ContextParams(n_ctx=2**30))
    for params in (EngineParams(n_slots=5), EngineParams(latency_target=float("nan")), EngineParams(max_queue=-1)):
        with pytest.raises(InvalidRequest):
            Engine(model, ContextParams(n_ctx=256), params)
    with Model(tiny_path, ModelParams(vocab_only=True)) as vocabulary, pytest.raises(UnsupportedModel):
        Engine(vocabulary)


@pytest.mark.parametrize("kind", ["recurrent_model", "windowed_model"])
def test_models_that_cannot_go_back_answer_too(request: pytest.FixtureRequest, kind: str) -> None:
    with Engine(request.getfixturevalue(kind), ContextParams(n_ctx=256, n_parallel=3, n_threads=1)) as engine:
        for number in range(5):
            engine.submit(number, [1, 260 + number], GREEDY, max_tokens=6, ignore_eog=True)
        assert {events[-1].finish for events in drain(engine, 5).values()} == {"length"}


def test_a_process_may_end_while_jobs_run(tiny_path: Path) -> None:
    code = (
        "import sys; from lcrt import *; from lcrt.native.runtime import set_log; set_log(print, 10);"
        "engine = Engine(Model(sys.argv[1]), ContextParams(n_ctx=512));"
        "engine.submit(1, [1, 5], Sampling(), ignore_eog=True); engine.wait()"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_path)], check=True, capture_output=True)


def test_a_real_model_names_a_capital(real_model: Model) -> None:
    tokens = real_model.vocab.tokenise("The capital of France is")
    with Engine(real_model, ContextParams(n_ctx=256)) as engine:
        engine.submit(1, tokens, GREEDY, max_tokens=1)
        assert "".join(event.text for event in drain(engine, 1)[1]) == " Paris"
