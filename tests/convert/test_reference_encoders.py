"""Converted encoders make the vectors that the same weights make in an independent implementation.

llama.cpp computes GELU by an approximation in a table of 11 bits, so that BERT's vectors differ in the fourth digit.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lcrt.native.embed import Embedder
from lcrt.native.model import Model
from lcrt.native.values import EmbedderParams
from tests.convert import folders_models as models
from tests.convert import reference_nomic
from tests.convert.folders import Config, Weights, write_json
from tests.convert.reference import Array
from tests.convert.test_reference import distance, to_gguf
from tests.native import bert

LENGTHS = (1, 7, 60)
BOUND = {"bert": 5e-3, "nomic_bert": 2e-4}
POOLINGS: dict[str, Callable[[Array], Array]] = {
    "mean_tokens": lambda states: np.asarray(states.mean(0)),
    "cls_token": lambda states: np.asarray(states[0]),
    "lasttoken": lambda states: np.asarray(states[-1]),
}
every_family = pytest.mark.parametrize("family", BOUND)


def texts(config: Config) -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [[int(token) for token in rng.integers(0, config["vocab_size"], length)] for length in LENGTHS]


def states(config: Config, weights: Weights, tokens: list[int]) -> Array:
    if config["model_type"] == "nomic_bert":
        return reference_nomic.states(config, weights, tokens)
    return bert.states(weights, tokens, config["num_hidden_layers"], config["num_attention_heads"])


def vectors(config: Config, weights: Weights, pooling: str = "mean_tokens") -> Array:
    return np.stack([POOLINGS[pooling](states(config, weights, tokens)) for tokens in texts(config)])


def said(path: Path, config: Config) -> Array:
    with Model(path) as model, Embedder(model, EmbedderParams(flash_attention=False)) as embedder:
        return embedder.run([token for text in texts(config) for token in text], LENGTHS).copy()


@every_family
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_converted_encoder_makes_the_vectors_of_its_weights(family: str, pooling: str, tmp_path: Path) -> None:
    config = models.config(family)
    weights = models.write(tmp_path / "model", config)
    (tmp_path / "model" / "1_Pooling").mkdir()
    write_json(tmp_path / "model" / "1_Pooling" / "config.json", {f"pooling_mode_{pooling}": True})
    found = said(to_gguf(tmp_path / "model", "F32"), config)
    assert distance(found, vectors(config, weights, pooling)) < BOUND[family]


@every_family
def test_without_a_word_on_pooling_it_is_the_mean(family: str, tmp_path: Path) -> None:
    config = models.config(family)
    weights = models.write(tmp_path / "model", config)
    assert distance(said(to_gguf(tmp_path / "model", "F32"), config), vectors(config, weights)) < BOUND[family]


@every_family
def test_no_tensor_could_be_wrong_unseen(family: str) -> None:
    """All but the pooler, which a vector does not need, and the keys' bias, which adds the same to all scores."""
    config = models.config(family)
    weights = models.weights(config)
    right = vectors(config, weights)
    for name, values in weights.items():
        if not name.startswith("pooler.") and not name.endswith("key.bias"):
            moved = weights | {name: np.roll(values, 1, axis=0)}
            assert distance(vectors(config, moved), right) > 5 * BOUND[family], name
