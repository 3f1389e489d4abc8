"""Checkpoints in FP8: their numbers times their scales are what is converted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcrt.convert import plan
from lcrt.convert.look_process import look_at
from lcrt.errors import InvalidRequest, LcrtError, UnsupportedModel
from tests.convert import folders_models as models
from tests.convert.folders_fp8 import SETTINGS, Checkpoint


@pytest.mark.parametrize(
    ("end", "kind"), [("weight_scale_inv", "block"), ("weight_scale", "row"), ("weight_scale", "tensor")]
)
def test_numbers_are_multiplied_by_their_scales(
    end: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_BLOCK", 700)  # a few rows at a time
    checkpoint = Checkpoint(tmp_path / "model", end, kind)
    found = checkpoint.converted("blk.1.ffn_up.weight", "F32")
    wanted = checkpoint.wanted["model.layers.1.mlp.up_proj.weight"].ravel()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_rows_are_moved_after_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_BLOCK", 5000)
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale_inv", "block")
    found = checkpoint.converted("blk.0.attn_q.weight", "F32")
    heads = checkpoint.wanted["model.layers.0.self_attn.q_proj.weight"].reshape(4, 2, 16, -1)
    np.testing.assert_allclose(found, heads.swapaxes(1, 2).ravel(), rtol=1e-6)


def test_they_become_bf16_unless_something_else_is_asked_for(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale_inv", "block")
    found = checkpoint.converted("blk.0.ffn_down.weight")
    np.testing.assert_allclose(found, checkpoint.wanted["model.layers.0.mlp.down_proj.weight"].ravel(), rtol=2**-8)


FP8_GROUP = {"weights": {"type": "float", "num_bits": 8, "strategy": "channel"}}
INT4_GROUP = {"weights": {"type": "int", "num_bits": 4, "strategy": "group"}}


def compressed(*groups: object) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {f"group_{n}": group for n, group in enumerate(groups)},
    }


@pytest.mark.parametrize(
    "settings",
    [
        compressed(FP8_GROUP, {"weights": None}),
        compressed(),
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        {"quant_method": "modelopt", "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"},
        {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}},
    ],
)
def test_tools_that_make_other_kinds_too_say_that_it_is_fp8(settings: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale", "row")
    checkpoint.save(settings)
    found = checkpoint.converted("blk.1.ffn_up.weight", "F32")
    np.testing.assert_allclose(found, checkpoint.wanted["model.layers.1.mlp.up_proj.weight"].ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (compressed(FP8_GROUP, INT4_GROUP), "compressed-tensors of the type int in 4 bits"),
        (compressed({"weights": {"type": "int", "num_bits": 8}}), "compressed-tensors of the type int in 8 bits"),
        (compressed({"weights": {"num_bits": 8}}), "compressed-tensors of the type int in 8 bits"),
        (compressed({"weights": {"type": "float", "num_bits": 4}}), "compressed-tensors of the type float in 4 bits"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt NVFP4"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "W4A8_AWQ"}}, "modelopt W4A8_AWQ"),
        ({"quant_method": "modelopt"}, "modelopt without a name"),
    ],
)
def test_other_kinds_of_the_same_tools_are_refused_by_their_config_alone(
    settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**models.config("llama"), "quantization_config": settings}))
    with pytest.raises(UnsupportedModel, match=f"their kind is {kind}\n"):
        look_at(tmp_path, config_only=True)


NAME = "model.layers.0.mlp.up_proj."


@pytest.mark.parametrize(
    ("change", "settings", "kind", "reason"),
    [
        ({NAME + "weight_scale": None}, SETTINGS, InvalidRequest, "no matrix with one scale"),
        ({NAME + "weight_scale_inv": ("F32", (), bytes(4))}, SETTINGS, InvalidRequest, "no matrix with one scale"),
        ({NAME + "weight_scale": ("F32", (3,), bytes(12))}, SETTINGS, InvalidRequest, "has a shape that does not fit"),
        ({NAME + "weight_scale": ("I32", (), bytes(4))}, SETTINGS, UnsupportedModel, "weight_scale holds I32"),
        ({}, SETTINGS | {"weight_block_size": [0, 1]}, InvalidRequest, "weight_block_size must be two"),
        ({}, SETTINGS | {"quant_method": "awq"}, UnsupportedModel, "their kind is awq"),
        ({}, compressed(7), InvalidRequest, "group_0 must be an object"),
        ({}, {"bits": 4}, UnsupportedModel, "their kind is not told"),
        ({}, None, UnsupportedModel, "no place for"),
        ({NAME + "weight": ("I8", (160, 128), bytes(160 * 128))}, SETTINGS, UnsupportedModel, "holds I8 numbers"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused(
    change: dict[str, Any], settings: dict[str, Any] | None, kind: type[LcrtError], reason: str, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale", "tensor")
    changed = checkpoint.tensors | change
    checkpoint.tensors = {name: tensor for name, tensor in changed.items() if tensor is not None}
    checkpoint.save(settings)
    with pytest.raises(kind, match=reason):
        checkpoint.converted("token_embd.weight")


def test_a_large_block_takes_no_memory(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale", "row")
    for name in [name for name in checkpoint.tensors if name.endswith("weight_scale")]:
        checkpoint.tensors[name] = ("F32", (1, 1), np.float32(1).tobytes())
    checkpoint.save(SETTINGS | {"weight_block_size": [2**30, 2**30]})
    assert checkpoint.converted("blk.0.ffn_down.weight").size == 128 * 160
