"""Llama, and Mistral, which is built the same way."""

from collections.abc import Mapping

from lcrt.convert import rope
from lcrt.convert.config import ARCHITECTURES, Config
from lcrt.convert.decoder import (
    Sizes,
    attention,
    check_activation,
    ends,
    feed_forward,
    sizes,
    unseen_window,
    usual_keys,
)
from lcrt.convert.family import Family, Metadata, Reshape, Target
from lcrt.convert.numbers import Array
from lcrt.convert.vocab.text import of_text
from lcrt.gguf.writer import Tensor

_NAME = "llama"
_CONTEXT = 2048
_MISTRAL = ("MistralForCausalLM", "MistralModel")
_MISTRAL_WINDOW = 4096
"""What Mistral looks back where nothing is said; ``null`` says that it looks back all the way."""


def interleaved(head_dim: int) -> Reshape:
    """Put the two halves of each head's rows in turn: the engine turns neighbours, the source halves."""

    def order(rows: Array) -> Array:
        heads = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
        return heads.swapaxes(1, 2).reshape(rows.shape)

    return Reshape(head_dim, order)


def _metadata(config: Config) -> Metadata:
    check_activation(config, ("silu", "swish"))
    rope.check_full(config)
    of = sizes(config)
    return {
        **usual_keys(_NAME, config, of, _CONTEXT),
        **rope.keys(_NAME, config, ("linear", "yarn", "llama3")),
        f"{_NAME}.rope.dimension_count": of.head_dim,
    }


def _tensors(config: Config) -> Mapping[str, Target]:
    of = sizes(config)
    found = ends(config, of, tied=False)
    for layer in range(of.n_layers):
        found |= _layer(f"model.layers.{layer}", f"blk.{layer}", of)
    return found


def _layer(source: str, target: str, of: Sizes) -> dict[str, Target]:
    turned = interleaved(of.head_dim)
    return {
        f"{source}.input_layernorm.weight": Target(f"{target}.attn_norm.weight", (of.width,)),
        **attention(f"{source}.self_attn", target, of, q=turned, k=turned),
        f"{source}.post_attention_layernorm.weight": Target(f"{target}.ffn_norm.weight", (of.width,)),
        **feed_forward(f"{source}.mlp", target, of),
    }


def _computed(config: Config) -> list[Tensor]:
    return rope.frequency_factors(config, sizes(config).head_dim)


def _warnings(config: Config) -> list[str]:
    if config.texts(ARCHITECTURES)[0] not in _MISTRAL or config.is_off("sliding_window"):
        return []
    window = config.count("sliding_window", _MISTRAL_WINDOW)
    return unseen_window(config, window, config.size("max_position_embeddings", _CONTEXT))


LLAMA = Family(
    architecture=_NAME,
    sources=("LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel", *_MISTRAL),
    metadata=_metadata,
    tensors=_tensors,
    vocabulary=of_text,
    computed=_computed,
    warnings=_warnings,
    prefixes=(("", ""), ("", "model.")),
)
