"""A converted adapter on its converted base says what the merged weights say in an independent implementation."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lcrt.convert.run import convert_adapter
from lcrt.errors import InvalidRequest, LcrtError, UnsupportedModel
from lcrt.native.context import Context
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from tests.convert import folders_adapters as adapters
from tests.convert import folders_models as models
from tests.convert.folders import Config, Weights
from tests.convert.reference import Array, logits
from tests.convert.reference_plans import plan
from tests.convert.test_reference import BOUND, BOUND_GELU, N_TOKENS, distance, some_tokens, to_gguf
from tests.native import tiny

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj")


class Case(msgspec.Struct, frozen=True):
    """A family, what is changed of it, PEFT's settings, and the scales that follow from them."""

    family: str
    modules: tuple[str, ...] = ALL
    settings: dict[str, Any] = {}
    scale: float = 3.0
    scales: dict[str, float] = {}
    dtype: str = "F32"

    @property
    def config(self) -> Config:
        return models.config(self.family)


CASES = {
    **{family: Case(family) for family in models.FAMILIES},
    "llama-bfloat": Case("llama", dtype="BF16"),
    "llama-head": Case("llama", ("q_proj", "lm_head", "embed_tokens")),
    "llama-root": Case("llama", settings={"use_rslora": True}, scale=12 / math.sqrt(4)),
    "llama-alphas": Case("llama", settings={"alpha_pattern": {"q_proj": 4}}, scales={"q_proj": 1.0}),
    "qwen3-root-alphas": Case(
        "qwen3",
        settings={"use_rslora": True, "alpha_pattern": {"layers.1.mlp.up_proj": 2.0}},
        scale=12 / math.sqrt(4),
        scales={"layers.1.mlp.up_proj": 1.0},
    ),
    "qwen2-other-rank": Case("qwen2", settings={"r": 16, "rank_pattern": {"proj": 4}}),
}


def put_on(folder: Path, base: Path) -> Path:
    output = folder.with_suffix(".gguf")
    for _ in convert_adapter(folder, base, output):
        pass
    return output


def said(base: Path, adapter: Path | None, config: Config) -> Array:
    used = ((str(adapter), 1.0),) if adapter else ()
    params = ContextParams(n_ctx=256, n_outputs=N_TOKENS, kv_type="f32", flash_attention=False, adapters=used)
    with Model(base) as model, Context(model, params) as context:
        return context.decode(some_tokens(config), every=True).copy()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_converted_adapter_adds_what_its_matrices_say(case: Case, tmp_path: Path) -> None:
    weights = models.write(tmp_path / "model", case.config)
    tensors = adapters.write(
        tmp_path / "lora", adapters.pairs(weights, case.modules), dtype=case.dtype, **case.settings
    )
    base = to_gguf(tmp_path / "model", "F32")
    found = said(base, put_on(tmp_path / "lora", base), case.config)
    whole = adapters.merged(weights, tensors, case.scales, case.scale)
    wanted = logits(plan(case.config, n_ctx=256), whole, some_tokens(case.config))
    assert distance(found, wanted) < (BOUND_GELU if case.family.startswith("gemma") else BOUND)
    assert distance(found, logits(plan(case.config, n_ctx=256), weights, some_tokens(case.config))) > 0.1


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """A small base and its weights."""
    folder = tmp_path_factory.mktemp("llama") / "model"
    weights = models.write(folder, models.config("llama"))
    return to_gguf(folder, "F32"), weights


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"use_dora": True}, "use_dora is set"),
        ({"bias": "lora_only"}, "changes biases"),
        ({"lora_bias": True}, "changes biases"),
        ({"modules_to_save": ["lm_head"]}, "replaces whole modules: lm_head"),
        ({"peft_type": "IA3"}, "of the kind IA3"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"alpha_pattern": {"(a+)+$": 3}}, "regular expression"),
        ({"layer_replication": [[0, 4]]}, "layer_replication is set"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices is set"),
    ],
)
def test_what_only_peft_can_do_is_refused(
    settings: dict[str, Any], what: str, llama: tuple[Path, Weights], tmp_path: Path
) -> None:
    base, weights = llama
    adapters.write(tmp_path / "lora", adapters.pairs(weights, ("q_proj",)), **settings)
    with pytest.raises(UnsupportedModel, match=what.replace("(", r"\(")) as error:
        put_on(tmp_path / "lora", base)
    assert error.value.hint
    assert not (tmp_path / "lora.gguf").exists()


def renamed(tensors: Weights, old: str, new: str) -> Weights:
    return {name.replace(old, new): values for name, values in tensors.items()}


def shrunk(tensors: Weights, half: str, cut: slice | tuple[slice, slice]) -> Weights:
    return {name: values[cut] if half in name else values for name, values in tensors.items()}


def to_embeddings(tensors: Weights) -> Weights:
    return renamed(renamed(tensors, "lora_A.weight", "lora_embedding_A"), "lora_B.weight", "lora_embedding_B")


LOST = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
WHOLE = {"base_model.model.lm_head.weight": np.zeros((4, 4), np.float32)}
ALL_ROWS = slice(None)
DAMAGES: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "half": (lambda t: {name: values for name, values in t.items() if name != LOST}, "one matrix of two"),
    "elsewhere": (lambda t: renamed(t, "layers.1", "layers.7"), "layers.7.*base does not have"),
    "other": (lambda t: renamed(t, "q_proj", "w_proj"), "w_proj, which its base does not have"),
    "narrow": (lambda t: shrunk(t, "lora_A", (ALL_ROWS, slice(126))), "128 x 126 of .*, its base has 128 x 128"),
    "ranks": (lambda t: shrunk(t, "lora_A", slice(3)), "different ranks"),
    "flat": (lambda t: {name: values.reshape(-1) for name, values in t.items()}, "is no matrix"),
    "empty": (lambda t: shrunk(shrunk(t, "lora_A", slice(0)), "lora_B", (ALL_ROWS, slice(0))), "is no matrix"),
    "norm": (lambda t: renamed(t, "self_attn.q_proj", "input_layernorm"), "its base has 128"),
    "magnitude": (lambda t: renamed(t, "lora_B.weight", "lora_magnitude_vector"), "no part of a LoRA pair"),
    "whole": (lambda t: t | WHOLE, "no part of a LoRA pair"),
    "twice": (lambda t: t | renamed(t, "base_model.model.model.", "base_model.model."), "twice"),
    "nothing": (lambda _: {}, "holds no adapter"),
    "turned": (to_embeddings, "its base has"),
}


@pytest.mark.parametrize(("damage", "what"), DAMAGES.values(), ids=DAMAGES.keys())
def test_an_adapter_that_does_not_fit_is_refused(
    damage: Callable[[Weights], Weights], what: str, llama: tuple[Path, Weights], tmp_path: Path
) -> None:
    base, weights = llama
    adapters.write(tmp_path / "lora", damage(adapters.pairs(weights, ("q_proj",))))
    with pytest.raises((InvalidRequest, UnsupportedModel), match=what):
        put_on(tmp_path / "lora", base)
    assert not (tmp_path / "lora.gguf").exists()


@pytest.mark.parametrize(
    "settings", [{"r": 0}, {"r": "4"}, {"lora_alpha": 0}, {"lora_alpha": float("nan")}, {"alpha_pattern": [1]}]
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Any], llama: tuple[Path, Weights], tmp_path: Path
) -> None:
    base, weights = llama
    adapters.write(tmp_path / "lora", adapters.pairs(weights, ("q_proj",)), **settings)
    with pytest.raises(InvalidRequest, match=r"adapter_config\.json"):
        put_on(tmp_path / "lora", base)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(name: str, llama: tuple[Path, Weights], tmp_path: Path) -> None:
    base, weights = llama
    adapters.write(tmp_path / "lora", adapters.pairs(weights, ("q_proj",)))
    (tmp_path / "lora" / name).unlink()
    with pytest.raises(InvalidRequest, match=name):
        put_on(tmp_path / "lora", base)


def test_embeddings_that_are_the_output_too_cannot_be_changed(tmp_path: Path) -> None:
    weights = models.write(tmp_path / "model", models.config("qwen3", tie_word_embeddings=True))
    adapters.write(tmp_path / "lora", adapters.pairs(weights, ("embed_tokens",)))
    with pytest.raises(UnsupportedModel, match="uses for its output too"):
        put_on(tmp_path / "lora", to_gguf(tmp_path / "model", "F32"))


def test_a_base_of_an_unknown_kind_or_no_base_is_refused(tmp_path: Path, llama: tuple[Path, Weights]) -> None:
    adapters.write(tmp_path / "lora", adapters.pairs(llama[1], ("q_proj",)))
    with pytest.raises(UnsupportedModel, match="architecture mamba cannot be converted"):
        put_on(tmp_path / "lora", tiny.mamba(tmp_path / "mamba.gguf"))
    with pytest.raises(LcrtError, match=r"adapter_config\.json.* is not a GGUF"):
        put_on(tmp_path / "lora", tmp_path / "lora" / "adapter_config.json")
