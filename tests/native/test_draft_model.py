"""A smaller model guesses for another one: the same answers, whatever it guesses; refused where tokens differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.core.options import Sampling
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams, ModelParams
from tests.native import tiny
from tests.native.conftest import SMOLLM2
from tests.native.layers import first_layers
from tests.native.test_drafts import COPY, PROMPT, REAL_TIE, Answer, ask, check_same, same_distribution

ALWAYS = EngineParams(n_draft=-8)


def open_engine(model: Model, draft: Model | None, n_parallel: int = 1, n_ctx: int = 512) -> Engine:
    context = ContextParams(n_ctx=n_ctx, n_parallel=n_parallel, n_threads=1, n_batch=128)
    return Engine(model, context, ALWAYS if draft is not None else EngineParams(), draft)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """Other weights of the same vocabulary."""
    path = tmp_path_factory.mktemp("draft") / "other.gguf"
    with Model(tiny.llama(path, llama__attention__layer_norm_rms_epsilon=0.5)) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def plain(model: Model) -> Answer:
    with open_engine(model, None) as engine:
        return ask(engine, PROMPT, n=60)


def test_a_model_that_is_its_own_draft_is_always_right(model: Model, plain: Answer) -> None:
    with open_engine(model, model) as engine:
        answers = [ask(engine, PROMPT, n=60, cache=True), ask(engine, [1, *PROMPT], n=60)]
    check_same(answers[0], plain)
    for answer in answers:
        assert answer.usage.n_accepted > 40
        assert answer.usage.n_drafted - answer.usage.n_accepted <= 8


def test_a_draft_that_is_mostly_wrong_changes_nothing(model: Model, other: Model, plain: Answer) -> None:
    with open_engine(model, other) as engine:
        answer = ask(engine, PROMPT, n=60)
    check_same(answer, plain)
    assert answer.usage.n_drafted > answer.usage.n_accepted


def test_a_full_context_shifts_as_without(model: Model) -> None:
    with open_engine(model, None, n_ctx=96) as engine:
        want = ask(engine, PROMPT, n=120)
    with open_engine(model, model, n_ctx=96) as engine:
        got = ask(engine, PROMPT, n=120)
    check_same(got, want)
    assert got.usage.n_shifts == want.usage.n_shifts > 0


def test_its_memory_counts_and_the_model_stays_the_callers(model: Model) -> None:
    with open_engine(model, None) as alone, open_engine(model, model) as both:
        assert both.info.size > alone.info.size
    assert model.vocab.tokenise("a") is not None


def test_the_first_layers_of_a_real_model_guess_for_it(real_model: Model, tmp_path: Path) -> None:
    prompt = real_model.vocab.tokenise(COPY).tolist()
    with open_engine(real_model, None) as engine:
        want = ask(engine, prompt, n=24)
    path = first_layers(SMOLLM2, tmp_path / "draft.gguf", 8)
    with Model(path) as draft, open_engine(real_model, draft) as engine:
        got = ask(engine, prompt, n=24)
    check_same(got, want, REAL_TIE)
    assert got.usage.n_drafted > 0


def test_another_vocabulary_is_refused_with_the_token_that_differs(model: Model, tmp_path: Path) -> None:
    tokens = [*tiny.TOKENS[:-1], "zz"]
    named = Model(tiny.llama(tmp_path / "m.gguf", tokenizer__ggml__tokens=tokens))
    with named as draft, pytest.raises(UnsupportedModel, match=f"token {len(tokens) - 1} is `zz`, not `z`"):
        open_engine(model, draft)
    ending = Model(tiny.llama(tmp_path / "e.gguf", tokenizer__ggml__eos_token_id=5))
    with ending as draft, pytest.raises(UnsupportedModel, match="ends texts of one only"):
        open_engine(model, draft)


def test_another_number_of_tokens_is_refused(model: Model, real_model: Model) -> None:
    with pytest.raises(UnsupportedModel, match=r"has another vocabulary: 49152 tokens, not \d+"):
        open_engine(model, real_model)


def test_models_that_cannot_go_back_are_refused(model: Model, recurrent_model: Model, windowed_model: Model) -> None:
    for target, draft, reason in ((model, recurrent_model, "the draft model"), (windowed_model, model, "this model")):
        with pytest.raises(UnsupportedModel, match=f"{reason} cannot go back"):
            open_engine(target, draft)


def test_a_vocabulary_alone_cannot_guess(model: Model, tmp_path: Path) -> None:
    path = tiny.vocabulary(tmp_path / "v.gguf")
    with Model(path, ModelParams(vocab_only=True)) as draft, pytest.raises((UnsupportedModel, InvalidRequest)):
        open_engine(model, draft)


def test_sampled_tokens_have_the_same_distribution(model: Model) -> None:
    """The model as its own draft guesses its likeliest token: if that were taken undrawn it would come more often."""
    found: list[list[int]] = []
    for draft, first in ((model, 0), (None, 10_000)):
        counts = [0] * model.info.n_vocab
        with open_engine(model, draft) as engine:
            for seed in range(first, first + 800):
                for token in ask(engine, PROMPT, Sampling(seed=seed, temperature=0.5, top_k=6), 6).tokens:
                    counts[token] += 1
            stats = engine.stats()
        assert draft is None or min(stats.n_accepted, stats.n_drafted - stats.n_accepted) > 300
        found.append(counts)
    assert same_distribution(*found)


def test_the_same_seed_samples_the_same_answer(model: Model, other: Model) -> None:
    for draft in (model, other):
        with open_engine(model, None) as engine:
            want = [ask(engine, PROMPT, Sampling(seed=seed, temperature=0.5), 10).tokens for seed in range(10)]
        with open_engine(model, draft) as engine:
            got = [ask(engine, PROMPT, Sampling(seed=seed, temperature=0.5), 10).tokens for seed in range(10)]
        assert sum(a == b for a, b in zip(got, want, strict=True)) >= 8
