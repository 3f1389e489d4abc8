"""Vectors under adapters equal those of weights into which the adapters were merged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lcrt.errors import InvalidRequest
from lcrt.native.adapter import Adapter
from lcrt.native.embed import Embedder
from lcrt.native.model import Model
from lcrt.native.values import EmbedderParams
from tests.native import lora, tiny, tiny_bert

TEXTS = [[5, 6, 7, 8], [9, 10], list(range(4, 29)) * 4]
KINDS: dict[str, Callable[[Path], Path]] = {"llama": tiny.llama, "bert": tiny_bert.bert}
SHAPES = {
    "blk.0.attn_q": (32, 32),
    "blk.0.attn_v": (32, 32),
    "blk.0.ffn_up": (32, 64),
    "blk.0.ffn_down": (64, 32),
}


def vectors(model: Model, *adapters: tuple[str | Adapter, float]) -> NDArray[np.float32]:
    params = EmbedderParams(n_threads=1, n_batch=64, adapters=adapters)
    with Embedder(model, params) as embedder:
        return rows(embedder)


def rows(embedder: Embedder) -> NDArray[np.float32]:
    found = np.concatenate([embedder.run(text, [len(text)]) for text in TEXTS])
    out: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_merged_weights(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path / "plain.gguf")
    file = lora.write_lora(tmp_path / "lora.gguf", SHAPES, seed=3, rank=4, size=0.3, arch=kind)
    merged = lora.merge(path, tmp_path / "merged.gguf", lora.factors(SHAPES, 3, 4, 0.3), 0.5)
    with Model(path) as model, Model(merged) as other:
        plain, adapted, wanted = vectors(model), vectors(model, (str(file), 0.5)), vectors(other)
        np.testing.assert_array_equal(vectors(model, (Adapter(model, file), 0.5)), adapted)
    assert (1 - (plain * wanted).sum(1)).max() > 0.01
    assert (1 - (adapted * wanted).sum(1)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedder_changes_its_adapters_between_passes(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path / "plain.gguf")
    with Model(path) as model, Model(path) as other:
        file = lora.write_lora(tmp_path / "lora.gguf", SHAPES, seed=3, arch=kind)
        adapter, stranger = Adapter(model, file), Adapter(other, file)
        wanted = [vectors(model, *pairs) for pairs in ((), ((adapter, 1.0),), ((adapter, 0.5),))]
        with Embedder(model, EmbedderParams(n_threads=1, n_batch=64)) as embedder:
            assert not adapter.used
            for number, scale in ((1, 1.0), (2, 0.5), (0, 0.0), (1, 1.0)):
                embedder.adapt([(adapter, scale)])
                np.testing.assert_allclose(rows(embedder), wanted[number], atol=1e-6)
            with pytest.raises(InvalidRequest, match="of another model"):
                embedder.adapt([(stranger, 1.0)])
            np.testing.assert_allclose(rows(embedder), wanted[1], atol=1e-6)
            assert adapter.used
            embedder.adapt([])
            assert not adapter.used


def test_embedders_of_one_model_have_adapters_of_their_own(tmp_path: Path) -> None:
    file = lora.write_lora(tmp_path / "lora.gguf", SHAPES, seed=3, arch="bert")
    with Model(tiny_bert.bert(tmp_path / "bert.gguf")) as model:
        before = vectors(model)
        adapted = vectors(model, (str(file), 1.0))
        np.testing.assert_array_equal(vectors(model), before)
    assert np.abs(adapted - before).max() > 0.01
