"""Qwen 2, 2.5 and 3, the dense ones."""

from collections.abc import Mapping
from functools import partial

from lcrt.convert import rope
from lcrt.convert.config import Config
from lcrt.convert.decoder import (
    Sizes,
    attention,
    check_activation,
    ends,
    feed_forward,
    sizes,
    unseen_window,
    usual_keys,
    without_biases,
)
from lcrt.convert.family import Family, Metadata, Target
from lcrt.convert.vocab.text import of_text

_OLD = "qwen2"
_NEW = "qwen3"
_BIASED = ("q_proj", "k_proj", "v_proj")
_CONTEXT = 32768
_WINDOW = 4096
_PREFIXES = (("", ""), ("", "model."))


def _sizes(name: str, config: Config) -> Sizes:
    return sizes(config, {"head_dim": 128} if name == _NEW else None)


def _metadata(name: str, config: Config) -> Metadata:
    check_activation(config, ("silu", "swish"))
    rope.check_full(config)
    return {**usual_keys(name, config, _sizes(name, config), _CONTEXT), **rope.keys(name, config)}


def _tensors(name: str, config: Config) -> Mapping[str, Target]:
    of = _sizes(name, config)
    found = ends(config, of, tied=False)
    for layer in range(of.n_layers):
        source, target = f"model.layers.{layer}", f"blk.{layer}"
        found |= {
            f"{source}.input_layernorm.weight": Target(f"{target}.attn_norm.weight", (of.width,)),
            **without_biases(attention(f"{source}.self_attn", target, of), but=_BIASED),
            f"{source}.post_attention_layernorm.weight": Target(f"{target}.ffn_norm.weight", (of.width,)),
            **without_biases(feed_forward(f"{source}.mlp", target, of)),
        }
        if name == _NEW:
            found |= {
                f"{source}.self_attn.q_norm.weight": Target(f"{target}.attn_q_norm.weight", (of.head_dim,)),
                f"{source}.self_attn.k_norm.weight": Target(f"{target}.attn_k_norm.weight", (of.head_dim,)),
            }
    return found


def _warnings(config: Config) -> list[str]:
    if not config.flag("use_sliding_window", default=False) or config.is_off("sliding_window"):
        return []
    window = config.count("sliding_window", _WINDOW)
    return unseen_window(config, window, config.size("max_position_embeddings", _CONTEXT))


def _family(name: str, sources: tuple[str, ...]) -> Family:
    return Family(
        architecture=name,
        sources=sources,
        metadata=partial(_metadata, name),
        tensors=partial(_tensors, name),
        vocabulary=of_text,
        warnings=_warnings,
        prefixes=_PREFIXES,
    )


QWEN2 = _family(_OLD, ("Qwen2ForCausalLM", "Qwen2Model"))
QWEN3 = _family(_NEW, ("Qwen3ForCausalLM", "Qwen3Model"))
