"""Questions of models that only make vectors or scores, loaded as a runner loads them."""

import select
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lcrt.core.model import LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.core.question import Embed, Question, Rank, Refused, Reply, Scores, Vectors
from lcrt.native.embed import Embedder
from lcrt.native.model import Model
from lcrt.native.values import EmbedderParams
from lcrt.runner.child import Loaded
from lcrt.runner.model import load_model
from tests.native import lora, tiny_bert

ONE_THREAD = LoadOptions(num_thread=1)
SHAPES = {"blk.0.attn_q": (32, 32), "blk.1.ffn_up": (32, 64)}

Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load the tiny encoder, pooling as named, with these adapters."""
    made: list[Loaded] = []

    def one(pooling: int = tiny_bert.MEAN, *adapters: Path) -> Loaded:
        path = tiny_bert.bert(tmp_path / f"bert-{pooling}.gguf", pooling)
        spec = ModelSpec("bert", str(path), "0", 1, adapters=tuple(map(str, adapters)))
        made.append(load_model(LoadRequest(spec, ONE_THREAD), lambda _: True))
        return made[-1]

    yield one
    for loaded in made:
        loaded.engine.close()
        assert loaded.answerer is not None
        loaded.answerer.close()


def ask(loaded: Loaded, question: Question) -> Reply:
    answerer = loaded.answerer
    assert answerer is not None
    answerer.ask(1, question)
    assert select.select([answerer], [], [], 20)[0]
    [(_, reply)] = answerer.take()
    return reply


def vectors(loaded: Loaded, *texts: str, **more: object) -> NDArray[np.float32]:
    reply = ask(loaded, Embed(texts, as_json=False, **more))  # type: ignore[arg-type]
    assert isinstance(reply, Vectors)
    return np.array([np.frombuffer(row, "<f4") for row in reply.rows])


def test_scores_are_what_the_model_makes_of_query_and_document_in_one_text(load: Load, tmp_path: Path) -> None:
    reply = ask(load(tiny_bert.RANK), Rank("a b", ("c", "d e f")))
    assert isinstance(reply, Scores)
    with Model(tmp_path / f"bert-{tiny_bert.RANK}.gguf") as model:
        query, *documents = (list(model.vocab.tokenise(text, add_special=False)) for text in ("a b", "c", "d e f"))
        front = [tiny_bert.CLS, *query, tiny_bert.SEP, tiny_bert.SEP]
        with Embedder(model, EmbedderParams(n_threads=1)) as embedder:
            pairs = [[*front, *document, tiny_bert.SEP] for document in documents]
            wanted = [float(embedder.run(pair, [len(pair)])[0, 0]) for pair in pairs]
    np.testing.assert_allclose(reply.scores, wanted, atol=1e-4)
    assert abs(wanted[0] - wanted[1]) > 1e-2
    assert (reply.labels, reply.n_tokens) == (1, sum(map(len, pairs)))


@pytest.mark.parametrize(
    ("pooling", "question", "text"),
    [
        (tiny_bert.RANK, Embed(("a",)), "this model is a reranker, which gives scores and no embeddings"),
        (tiny_bert.MEAN, Rank("a", ("b",)), "this model is no reranker"),
    ],
)
def test_a_model_is_asked_for_what_its_file_says(load: Load, pooling: int, question: Question, text: str) -> None:
    reply = ask(load(pooling), question)
    assert isinstance(reply, Refused)
    assert (reply.error.kind, reply.error.message) == ("InvalidRequest", text)


def test_an_encoder_has_its_own_adapters_and_those_of_a_question(load: Load, tmp_path: Path) -> None:
    one, other = (
        lora.write_lora(tmp_path / f"{seed}.gguf", SHAPES, seed=seed, size=0.3, arch="bert") for seed in (1, 2)
    )
    plain, changed = load(), load(tiny_bert.MEAN, one)
    assert changed.info.size == plain.info.size + one.stat().st_size
    before, own = vectors(plain, "a b c"), vectors(changed, "a b c")
    assert 1 - (before * own).sum() > 1e-3
    np.testing.assert_allclose(vectors(plain, "a b c", adapters=((str(one), 1.0),)), own, atol=1e-5)
    np.testing.assert_allclose(vectors(changed, "a b c", adapters=()), before, atol=1e-5)
    assert (plain.grown(), changed.grown()) == (one.stat().st_size, 0)
    both = ((str(one), 1.0), (str(other), 0.5))
    np.testing.assert_allclose(
        vectors(plain, "a b c", adapters=both), vectors(changed, "a b c", adapters=both), atol=1e-5
    )
    assert changed.grown() == other.stat().st_size
    np.testing.assert_allclose(vectors(changed, "a b c"), own, atol=1e-5)
