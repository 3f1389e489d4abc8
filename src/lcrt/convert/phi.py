"""Phi 3, 3.5, 4 and 4-mini: one matrix for queries, keys and values, one for gate and up."""

import math
from collections.abc import Mapping

from lcrt.convert import rope
from lcrt.convert.config import Config
from lcrt.convert.decoder import Sizes, check_activation, ends, sizes, unseen_window, usual_keys
from lcrt.convert.family import Family, Metadata, Target
from lcrt.convert.vocab.text import of_text
from lcrt.gguf.writer import Tensor

_NAME = "phi3"
_LONG = ("longrope", "su")
_CONTEXT = 4096


def _turned(config: Config, of: Sizes) -> int:
    """How many numbers of each head are turned."""
    told = rope.parameters(config)
    part = told if told.has("partial_rotary_factor") else config
    turned = int(part.number("partial_rotary_factor", 1.0) * of.head_dim)
    if not 0 < turned <= of.head_dim or turned % 2:
        raise config.wrong(f"{turned} of {of.head_dim} numbers of a head cannot be turned in pairs")
    return turned


def _trained_context(config: Config) -> int:
    told = rope.parameters(config)
    part = told if told.has("original_max_position_embeddings") else config
    return part.size("original_max_position_embeddings", config.size("max_position_embeddings", _CONTEXT))


def _metadata(config: Config) -> Metadata:
    check_activation(config, ("silu", "swish"))
    of = sizes(config)
    scaling = f"{_NAME}.rope.scaling"
    found: Metadata = {
        **usual_keys(_NAME, config, of, _CONTEXT),
        **rope.keys(_NAME, config, _LONG),
        f"{_NAME}.rope.dimension_count": _turned(config, of),
        f"{scaling}.original_context_length": _trained_context(config),
        f"{_NAME}.attention.sliding_window": config.count("sliding_window", 0),
    }
    if rope.kind(config) in _LONG:
        found |= {f"{scaling}.type": "longrope", f"{scaling}.attn_factor": _attention_factor(config)}
    return found


def _attention_factor(config: Config) -> float:
    told = rope.parameters(config)
    trained = _trained_context(config)
    default = 1.0
    scale = told.number("factor", config.size("max_position_embeddings", _CONTEXT) / trained)
    if scale > 1 and trained > 1:
        default = math.sqrt(1 + math.log(scale) / math.log(trained))
    return told.number("attention_factor", default)


def _computed(config: Config) -> list[Tensor]:
    """The factors of the frequencies within the context trained first, and beyond it."""
    if rope.kind(config) not in _LONG:
        return []
    told = rope.parameters(config)
    wanted = _turned(config, sizes(config)) // 2
    found = []
    for name in ("long", "short"):
        factors = told.numbers(f"{name}_factor")
        if len(factors) != wanted:
            raise config.wrong(f"{name}_factor has {len(factors)} numbers, not {wanted}")
        found.append(rope.factor_tensor(f"rope_factors_{name}.weight", factors))
    return found


def _tensors(config: Config) -> Mapping[str, Target]:
    of = sizes(config)
    found = ends(config, of, tied=False)
    q_rows = of.n_heads * of.head_dim
    for layer in range(of.n_layers):
        source, target = f"model.layers.{layer}", f"blk.{layer}"
        shapes = {
            "input_layernorm": ("attn_norm", (of.width,)),
            "self_attn.qkv_proj": ("attn_qkv", (q_rows + 2 * of.n_kv_heads * of.head_dim, of.width)),
            "self_attn.o_proj": ("attn_output", (of.width, q_rows)),
            "post_attention_layernorm": ("ffn_norm", (of.width,)),
            "mlp.gate_up_proj": ("ffn_up", (2 * of.feed_forward, of.width)),
            "mlp.down_proj": ("ffn_down", (of.width, of.feed_forward)),
        }
        for from_, (to, shape) in shapes.items():
            found[f"{source}.{from_}.weight"] = Target(f"{target}.{to}.weight", shape)
    return found


def _warnings(config: Config) -> list[str]:
    context = config.size("max_position_embeddings", _CONTEXT)
    return unseen_window(config, config.count("sliding_window", 0), context)


PHI3 = Family(
    architecture=_NAME,
    sources=("Phi3ForCausalLM",),
    metadata=_metadata,
    tensors=_tensors,
    vocabulary=of_text,
    computed=_computed,
    warnings=_warnings,
)
