"""What each family's configuration means, as its definition says."""

import math

import numpy as np

from tests.convert.folders import Config
from tests.convert.reference import Array, Plan, Rope, gelu_tanh, silu


def plan(config: Config, *, n_ctx: int = 0) -> Plan:
    """The plan of a decoder; ``n_ctx`` chooses between factors for short and for long contexts."""
    n_heads = config["num_attention_heads"]
    head = config.get("head_dim", config["hidden_size"] // n_heads)
    family = config["model_type"]
    gemma = family.startswith("gemma")
    rope = _scaled(config, head, n_ctx)
    return Plan(
        n_layers=config["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=config["num_key_value_heads"],
        head=head,
        epsilon=config["rms_norm_eps"],
        scale=(config["query_pre_attn_scalar"] if gemma else head) ** -0.5,
        rope=lambda layer: _local_rope(config, head) if _gemma3_local(config, layer) else rope,
        window=lambda layer: _window(config, layer),
        activation=gelu_tanh if gemma else silu,
        one_plus=gemma,
        sandwich=gemma,
        qk_norm=family in ("qwen3", "gemma3_text"),
        fused=family == "phi3",
        embedding_scale=config["hidden_size"] ** 0.5 if gemma else 1.0,
        attention_cap=config.get("attn_logit_softcapping") or 0.0,
        final_cap=config.get("final_logit_softcapping") or 0.0,
    )


def _window(config: Config, layer: int) -> int:
    window: int = config.get("sliding_window") or 0
    if config["model_type"] == "gemma2":
        return window if layer % 2 == 0 else 0
    if config["model_type"] == "gemma3_text":
        return window if _gemma3_local(config, layer) else 0
    return 0 if config["model_type"].startswith("qwen") else window


def _gemma3_local(config: Config, layer: int) -> bool:
    if config["model_type"] != "gemma3_text":
        return False
    if "layer_types" in config:
        return bool(config["layer_types"][layer] == "sliding_attention")
    return (layer + 1) % int(config["sliding_window_pattern"]) != 0


def _parameters(config: Config, kind: str) -> Config:
    """Base and scaling: under ``rope_parameters`` in newer files, per kind of layer where there are several."""
    found: Config = config.get("rope_parameters") or {}
    if kind in found:
        return dict(found[kind])
    return {"rope_theta": config.get("rope_theta", 10000.0)} | (config.get("rope_scaling") or {}) | found


def _local_rope(config: Config, head: int) -> Rope:
    if "rope_parameters" in config:
        return Rope(_frequencies(_parameters(config, "sliding_attention")["rope_theta"], head))
    return Rope(_frequencies(config["rope_local_base_freq"], head))


def _frequencies(base: float, n: int) -> Array:
    out: Array = base ** (-np.arange(0, n, 2) / n)
    return out


def _scaled(config: Config, head: int, n_ctx: int) -> Rope:
    parameters = _parameters(config, "full_attention")
    n = int(head * (config.get("partial_rotary_factor") or 1.0))
    plain = _frequencies(parameters["rope_theta"], n)
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind == "linear":
        return Rope(plain / parameters["factor"])
    if kind == "llama3":
        return Rope(_llama3(plain, parameters))
    if kind == "yarn":
        return _yarn(plain, parameters, n)
    if kind in ("longrope", "su"):
        return _longrope(plain, config, parameters, n_ctx)
    return Rope(plain)


def _llama3(plain: Array, parameters: Config) -> Array:
    """Long waves are stretched, short ones kept, those between mixed."""
    old = parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    turns = old * plain / (2 * np.pi)
    kept = np.clip((turns - low) / (high - low), 0, 1)
    out: Array = kept * plain + (1 - kept) * plain / parameters["factor"]
    return out


def _yarn(plain: Array, parameters: Config, n: int) -> Rope:
    """Waves that turn often enough in the old context are kept, slow ones stretched, by a ramp between."""
    old, base, factor = parameters["original_max_position_embeddings"], parameters["rope_theta"], parameters["factor"]

    def pair_of(turns: float) -> float:
        return n * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(pair_of(parameters.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair_of(parameters.get("beta_slow", 1))), n - 1)
    kept = 1 - np.clip((np.arange(n // 2) - low) / max(high - low, 0.001), 0, 1)
    return Rope(kept * plain + (1 - kept) * plain / factor, 0.1 * math.log(factor) + 1)


def _longrope(plain: Array, config: Config, parameters: Config, n_ctx: int) -> Rope:
    """Each frequency has factors of its own, one set for short and one for long contexts."""
    old = config.get("original_max_position_embeddings") or parameters["original_max_position_embeddings"]
    stretch = config["max_position_embeddings"] / old
    factor = math.sqrt(1 + math.log(stretch) / math.log(old)) if stretch > 1 else 1.0
    return Rope(plain / np.asarray(parameters["long_factor" if n_ctx > old else "short_factor"]), factor)
