"""Converted decoders say what the same weights say in an independent implementation.

All is computed in single precision here and in double there. What remains is llama.cpp's table for GELU, which
has 11 bits, so that Gemma gets a wider bound than the others.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lcrt.convert.run import convert
from lcrt.native.context import Context
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from tests.convert import folders_models as models
from tests.convert.folders import Config, Weights, write_json
from tests.convert.reference import Array, logits
from tests.convert.reference_plans import plan

N_TOKENS, N_FEW = 100, 12
BOUND, BOUND_GELU = 2e-4, 3e-3
LONGROPE: Config = {
    "rope_type": "longrope",
    "short_factor": [1.0 + 0.1 * i for i in range(16)],
    "long_factor": [1.0 + 0.7 * i for i in range(16)],
}
YARN: Config = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
NEWER: Config = {
    "rope_theta": None,
    "rope_scaling": None,
    "rope_local_base_freq": None,
    "sliding_window_pattern": None,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
    },
}


class Case(msgspec.Struct, frozen=True):
    """A family with changes of its configuration; ``n_ctx`` is what the context is made for."""

    family: str
    changes: dict[str, Any] = {}
    n_ctx: int = 256

    @property
    def config(self) -> Config:
        return models.config(self.family, **self.changes)

    @property
    def bound(self) -> float:
        """Largest difference, in spreads of the logits."""
        return BOUND_GELU if self.family.startswith("gemma") else BOUND


CASES = {
    "llama": Case("llama"),
    "llama-tied": Case("llama", {"tie_word_embeddings": True, "rope_scaling": None}),
    "llama-linear": Case("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "llama-newer": Case(
        "llama",
        {"rope_scaling": None, "rope_theta": None, "rope_parameters": models.LLAMA3_SCALING | {"rope_theta": 500.0}},
    ),
    "mistral": Case("mistral"),
    "qwen2": Case("qwen2"),
    "qwen2-yarn": Case("qwen2", {"rope_scaling": YARN}),
    "qwen3": Case("qwen3"),
    "qwen3-tied": Case("qwen3", {"tie_word_embeddings": True}),
    "gemma2": Case("gemma2"),
    "gemma3": Case("gemma3_text"),
    "gemma3-newer": Case("gemma3_text", NEWER),
    "phi3": Case("phi3"),
    "phi3-short": Case("phi3", {"rope_scaling": LONGROPE, "original_max_position_embeddings": 256}),
    "phi3-long": Case("phi3", {"rope_scaling": LONGROPE, "original_max_position_embeddings": 256}, n_ctx=512),
    "phi3-part": Case("phi3", {"partial_rotary_factor": 0.75}),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def some_tokens(config: Config, n: int = N_TOKENS) -> list[int]:
    return [int(token) for token in np.random.default_rng(5).integers(0, config["vocab_size"], n)]


def expected(case: Case, weights: Weights, n: int = N_TOKENS) -> Array:
    return logits(plan(case.config, n_ctx=case.n_ctx), weights, some_tokens(case.config, n))


def said(path: Path, case: Case) -> Array:
    params = ContextParams(n_ctx=case.n_ctx, n_outputs=N_TOKENS, kv_type="f32", flash_attention=False)
    with Model(path) as model, Context(model, params) as context:
        return context.decode(some_tokens(case.config), every=True).copy()


def distance(found: Array, wanted: Array) -> float:
    return float(np.abs(found - wanted).max() / wanted.std())


def to_gguf(folder: Path, file_type: str) -> Path:
    output = folder.with_suffix(".gguf")
    for _ in convert(folder, output, file_type=file_type):
        pass
    return output


@every_case
def test_a_converted_model_says_what_its_weights_say(case: Case, tmp_path: Path) -> None:
    weights = models.write(tmp_path / "model", case.config)
    wanted, found = expected(case, weights), said(to_gguf(tmp_path / "model", "F32"), case)
    assert distance(found, wanted) < case.bound
    top = np.sort(wanted, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * case.bound * wanted.std()
    assert clear.sum() > N_TOKENS // 2
    np.testing.assert_array_equal(found.argmax(1)[clear], wanted.argmax(1)[clear])


def test_caps_that_a_config_says_are_none_are_none(tmp_path: Path) -> None:
    case = Case("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None})
    weights = models.write(tmp_path / "model", case.config)
    off = dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping"))
    write_json(tmp_path / "model" / "config.json", case.config | off)
    wanted = expected(case, weights)
    assert distance(said(to_gguf(tmp_path / "model", "F32"), case), wanted) < case.bound
    assert distance(expected(Case("gemma2"), weights), wanted) > 10 * case.bound


@every_case
def test_no_tensor_could_be_wrong_unseen(case: Case) -> None:
    """Rows in another order, in any one tensor, are far beyond the bound that converted models keep to."""
    weights = models.weights(case.config)
    right = expected(case, weights, N_FEW)
    for name, values in weights.items():
        moved = weights | {name: np.roll(values, 1, axis=0)}
        assert distance(expected(case, moved, N_FEW), right) > 5 * case.bound, name


@pytest.mark.parametrize(("dtype", "bound"), [("F16", 2e-2), ("BF16", 2e-1)])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_half_precision_differs_by_its_last_digits(family: str, dtype: str, bound: float, tmp_path: Path) -> None:
    """Wider bounds: with such weights llama.cpp rounds what they are multiplied with to the same type."""
    case = Case(family)
    weights = models.write(tmp_path / "model", case.config, dtype=dtype, n_shards=3)
    assert distance(said(to_gguf(tmp_path / "model", dtype), case), expected(case, weights)) < bound
