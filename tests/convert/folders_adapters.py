"""Folders of LoRA adapters as PEFT saves them, and the weights that come of putting one on its base."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.convert.folders import Config, Weights, safetensors, stored, write_json

SETTINGS: Config = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "somebody/some-model",
    "r": 4,
    "lora_alpha": 12,
    "lora_dropout": 0.05,
    "use_rslora": False,
    "use_dora": False,
    "bias": "none",
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "modules_to_save": None,
    "layer_replication": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "target_modules": ["q_proj", "v_proj"],
}
EMBEDDINGS = "model.embed_tokens"


def pairs(base: Weights, modules: Iterable[str], rank: int = 4, seed: int = 9) -> Weights:
    """Random matrices for every layer's modules of those names, with PEFT's names."""
    rng = np.random.default_rng(seed)
    out: Weights = {}
    for name, values in base.items():
        module = name.removesuffix(".weight")
        if module.endswith(tuple(modules)):
            n_out, n_in = values.shape
            first, second = rng.normal(0, 0.12, (rank, n_in)), rng.normal(0, 0.12, (n_out, rank))
            if module == EMBEDDINGS:
                out[f"base_model.model.{module}.lora_embedding_A"] = np.ascontiguousarray(second.T, np.float32)
                out[f"base_model.model.{module}.lora_embedding_B"] = np.ascontiguousarray(first.T, np.float32)
            else:
                out[f"base_model.model.{module}.lora_A.weight"] = first.astype(np.float32)
                out[f"base_model.model.{module}.lora_B.weight"] = second.astype(np.float32)
    return out


def write(folder: Path, tensors: Weights, *, dtype: str = "F32", **settings: Any) -> Weights:
    """A whole folder; returns the matrices that are in it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "adapter_config.json", SETTINGS | settings)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors, dtype))
    return stored(tensors, dtype)


def merged(base: Weights, tensors: Weights, scales: dict[str, float], default: float) -> Weights:
    """The base's weights with what the pairs add, each times its scale; ``scales`` by ends of modules' names."""
    out = dict(base)
    for name, second in tensors.items():
        module, _, half = name.removeprefix("base_model.model.").partition(".lora_")
        if not half.startswith(("B", "embedding_B")):
            continue
        first = tensors[name.replace("lora_B", "lora_A").replace("lora_embedding_B", "lora_embedding_A")]
        added = second @ first if half.startswith("B") else (second @ first).T
        scale = next((value for end, value in scales.items() if module.endswith(end)), default)
        out[f"{module}.weight"] = out[f"{module}.weight"] + np.float32(scale) * added
    return out
