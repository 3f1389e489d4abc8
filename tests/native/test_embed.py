import json
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ci.minilm import GGUF, MINILM, NAME
from ci.models import FOLDER
from lcrt.errors import Cancelled, ClosedError, InvalidRequest, UnsupportedModel
from lcrt.native.embed import Embedder, json_array
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EmbedderParams, ModelParams
from tests.native import bert, tiny, tiny_bert

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "A fast auburn fox leaps above a sleepy hound.",
    "Quarterly revenue rose 12% year-over-year, café naïve.",
    "def main(): print('hello')",
    "こんにちは世界",
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(tiny_bert.bert(tmp_path_factory.mktemp("bert") / "bert.gguf")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def minilm() -> Iterator[Model]:
    if not (FOLDER / GGUF).exists():
        pytest.fail("the embedding model is not there: python -m ci.minilm gets it")
    with Model(FOLDER / GGUF) as loaded:
        yield loaded


def random_texts(n: int, longest: int, n_vocab: int) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.integers(4, n_vocab, rng.integers(1, longest + 1)).tolist() for _ in range(n)]


def run(embedder: Embedder, texts: list[list[int]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows = embedder.run([token for text in texts for token in text], [len(text) for text in texts])
    return rows if embedder.info.rank else rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_texts_of_one_pass_have_the_vectors_that_they_have_alone(encoder: Model) -> None:
    texts = random_texts(40, 12, len(tiny_bert.TOKENS))
    with Embedder(encoder) as embedder:
        together = run(embedder, texts)
        alone = np.concatenate([run(embedder, [text]) for text in texts])
    assert together.shape == (40, tiny_bert.N_EMBD)
    np.testing.assert_allclose(together, alone, atol=5e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-2


def test_a_text_longer_than_a_pass_makes_room_for_itself(encoder: Model) -> None:
    [text] = random_texts(1, 1, len(tiny_bert.TOKENS))
    with (
        Embedder(encoder, EmbedderParams(n_batch=64)) as small,
        Embedder(encoder, EmbedderParams(n_batch=512)) as large,
    ):
        before = small.size
        np.testing.assert_allclose(run(small, [text * 300]), run(large, [text * 300]), atol=1e-4)
        assert small.size > before
        np.testing.assert_allclose(run(small, [text]), run(large, [text]), atol=1e-4)


@pytest.mark.parametrize(
    ("tokens", "lengths"),
    [
        ([], []),
        ([5], [2]),
        ([5], [0]),
        ([5, 6], [1]),
        ([-1], [1]),
        ([10**6], [1]),
        ([5] * 513, [513]),
        ([5] * 66, [33, 33]),
    ],
)
def test_what_no_pass_can_take_is_refused(encoder: Model, tokens: list[int], lengths: list[int]) -> None:
    with Embedder(encoder, EmbedderParams(n_batch=64)) as embedder:
        with pytest.raises(InvalidRequest):
            embedder.run(tokens, lengths)
        assert np.isfinite(embedder.run([5], [1])).all()


@pytest.mark.parametrize(
    "params", [EmbedderParams(n_batch=-1), EmbedderParams(n_threads=-1), EmbedderParams(n_ctx=1 << 40)]
)
def test_parameters_out_of_range_are_refused(encoder: Model, params: EmbedderParams) -> None:
    with pytest.raises(InvalidRequest):
        Embedder(encoder, params)


def test_vectors_are_pooled_as_the_file_says(tmp_path: Path) -> None:
    kinds = (tiny_bert.MEAN, tiny_bert.FIRST, tiny_bert.LAST)
    rows = []
    for kind in kinds:
        with Model(tiny_bert.bert(tmp_path / f"{kind}.gguf", kind)) as loaded, Embedder(loaded) as embedder:
            rows.append(embedder.run([5, 9, 7, 4], [2, 2]))
    mean, first, last = rows
    np.testing.assert_allclose(mean, (first + last) / 2, atol=2e-3)
    assert np.abs(first - last).max(axis=1).min() > 0.1


def test_a_reranker_gives_one_number_for_each_pair(tmp_path: Path) -> None:
    with Model(tiny_bert.bert(tmp_path / "rank.gguf", tiny_bert.RANK)) as model, Embedder(model) as embedder:
        assert (embedder.info.rank, embedder.info.n_out) == (True, 1)
        scores = run(embedder, [[2, 5, 3, 6, 3], [2, 5, 3, 7, 3]])
    assert scores.shape == (2, 1)
    assert scores[0, 0] != scores[1, 0]


def test_a_model_of_text_is_embedded_by_its_last_position_while_it_generates(model: Model) -> None:
    texts = random_texts(5, 20, len(tiny.TOKENS))
    with Embedder(model) as embedder, Engine(model, ContextParams(n_ctx=64)):
        together = run(embedder, texts)
        alone = np.concatenate([run(embedder, [text]) for text in texts])
        cut = run(embedder, [texts[0], [*texts[0][:-1], (texts[0][-1] - 3) % 20 + 4]])
    np.testing.assert_allclose(together, alone, atol=5e-4)
    assert np.abs(cut[0] - cut[1]).max() > 1e-3


def test_recurrent_and_windowed_models_are_embedded_too(recurrent_model: Model, windowed_model: Model) -> None:
    for loaded in (recurrent_model, windowed_model):
        texts = random_texts(3, 60, len(tiny.TOKENS))
        with Embedder(loaded) as embedder:
            together = run(embedder, texts)
            alone = np.concatenate([run(embedder, [text]) for text in texts])
        assert (together * alone).sum(axis=1).min() > 0.9999


def test_a_vocabulary_alone_has_nothing_to_pool(tmp_path: Path) -> None:
    path = tiny.vocabulary(tmp_path / "vocab.gguf")
    with Model(path, ModelParams(vocab_only=True)) as model, pytest.raises(UnsupportedModel):
        Embedder(model)


def test_an_interrupted_embedder_gives_up_until_it_may_go_on(encoder: Model) -> None:
    with Embedder(encoder) as embedder:
        embedder.interrupt()
        with pytest.raises(Cancelled):
            embedder.run([5], [1])
        embedder.interrupt(on=False)
        assert embedder.run([5], [1]).shape == (1, tiny_bert.N_EMBD)


def test_a_closed_embedder_says_so_and_outlives_its_model(tmp_path: Path) -> None:
    model = Model(tiny_bert.bert(tmp_path / "bert.gguf"))
    embedder = Embedder(model)
    model.close()
    assert embedder.run([5], [1]).shape == (1, tiny_bert.N_EMBD)
    embedder.close()
    with pytest.raises(ClosedError):
        embedder.run([5], [1])


def test_several_embedders_of_one_model_compute_at_the_same_time(encoder: Model) -> None:
    texts = random_texts(30, 8, len(tiny_bert.TOKENS))
    results: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []

    def work() -> None:
        with Embedder(encoder, EmbedderParams(n_threads=1)) as embedder:
            results.append(run(embedder, texts))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-6)
    assert len(results) == 4


def test_numbers_become_the_shortest_decimals_that_are_the_same_again() -> None:
    rng = np.random.default_rng(1)
    extremes = [0.0, -0.0, 1.0, -1e-38, 3.4028235e38, 1e-45, 0.1, 16777216.0, -1.17549435e-38]
    numbers = np.concatenate([np.array(extremes), rng.normal(0, 0.05, 500)]).astype(np.float32)
    text = json_array(numbers)
    np.testing.assert_array_equal(np.array(json.loads(text), np.float32), numbers)
    assert json_array(np.array([0.1, -0.25], np.float32)) == b"[0.1,-0.25]"
    assert json_array(array("f")) == b"[]"


def test_the_real_model_says_what_its_original_weights_say(minilm: Model) -> None:
    tokens = [list(minilm.vocab.tokenise(text)) for text in TEXTS]
    assert list(minilm.vocab.tokenise("hello world")) == [101, 7592, 2088, 102]
    original = bert.weights(FOLDER / NAME / MINILM.file)
    with Embedder(minilm) as embedder:
        rows = run(embedder, tokens)
    for text, row in zip(tokens, rows, strict=True):
        reference = bert.vector(original, text)
        assert np.abs(row - reference).max() < 1e-3
        assert row @ reference > 0.9999


def test_texts_of_the_real_model_do_not_depend_on_their_company(minilm: Model) -> None:
    words = " ".join(TEXTS).split()
    lengths = np.random.default_rng(5).integers(1, 30, 100)
    texts = [list(minilm.vocab.tokenise(" ".join((words * 3)[i % 20 : i % 20 + n]))) for i, n in enumerate(lengths)]
    with Embedder(minilm, EmbedderParams(n_batch=4096)) as wide, Embedder(minilm) as narrow:
        together = run(wide, texts)
        alone = np.concatenate([run(narrow, [text]) for text in texts])
    assert np.abs(together - alone).max() < bert.APART
    assert (together * alone).sum(axis=1).min() > 0.9999
