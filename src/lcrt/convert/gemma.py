"""Gemma 2, and the text part of Gemma 3."""

import math
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
    usual_keys,
    without_biases,
)
from lcrt.convert.family import Family, Metadata, Reshape, Target
from lcrt.convert.vocab.text import of_text
from lcrt.errors import UnsupportedModel
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed

_SECOND = "gemma2"
_THIRD = "gemma3"
_DEFAULTS = {
    _SECOND: {"head_dim": 256},
    _THIRD: {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208},
}
_PATTERNS = {_SECOND: 2, _THIRD: 6}
"""In each row of so many layers the last sees everything, the others a window."""
_WINDOWS = {_SECOND: 4096, _THIRD: 4096}
_CONTEXTS = {_SECOND: 8192, _THIRD: 131072}
_WIDEST = {_SECOND: 46, _THIRD: 62}
"""Layers of the size whose attention the engine scales by the width, all others by the head."""
_SCALAR = 256.0
_NO_CAP = 65536.0
"""Stands for no soft cap, which the engine always applies: so far off, it changes nothing that a float32 would show."""
_NORM = Reshape(change=lambda rows: rows + 1)
"""The source multiplies by one more than it stores."""


def _sizes(name: str, config: Config) -> Sizes:
    return sizes(config, _DEFAULTS[name])


def _metadata(name: str, config: Config) -> Metadata:
    check_activation(config, ("gelu_pytorch_tanh", "gelu"))
    rope.check_full(config)
    of = _sizes(name, config)
    _check_scale(name, config, of)
    found = {
        **usual_keys(name, config, of, _CONTEXTS[name]),
        **rope.keys(name, config, ("linear",) if name == _THIRD else ()),
        **_window(name, config, of),
    }
    return found | (_second_keys(config) if name == _SECOND else _third_keys(config))


def _second_keys(config: Config) -> Metadata:
    return {
        f"{_SECOND}.attn_logit_softcapping": _cap(config, "attn_logit_softcapping", 50.0),
        f"{_SECOND}.final_logit_softcapping": _cap(config, "final_logit_softcapping", 30.0),
    }


def _cap(config: Config, name: str, usual: float) -> float:
    return _NO_CAP if config.is_off(name) else config.positive(name, usual)


def _third_keys(config: Config) -> Metadata:
    if config.has("attn_logit_softcapping"):
        raise UnsupportedModel("attn_logit_softcapping is not supported for this architecture")
    found: Metadata = {
        f"{_THIRD}.rope.freq_base": rope.base(config, 1_000_000.0),
        f"{_THIRD}.rope.freq_base_swa": rope.sliding_base(config, 10_000.0),
    }
    if config.has("final_logit_softcapping"):
        found[f"{_THIRD}.final_logit_softcapping"] = config.positive("final_logit_softcapping")
    return found


def _check_scale(name: str, config: Config, of: Sizes) -> None:
    """The engine knows how attention is scaled by the model's size; the source may say something else."""
    told = config.number("query_pre_attn_scalar", _SCALAR)
    assumed = of.width // of.n_heads if of.n_layers == _WIDEST[name] else of.head_dim
    if not math.isclose(told, assumed):
        raise UnsupportedModel(f"query_pre_attn_scalar of {told:g} is not supported, only {assumed}")


def _window(name: str, config: Config, of: Sizes) -> Metadata:
    """Which layers see a window only, told where it is not what the engine assumes."""
    found: Metadata = {f"{name}.attention.sliding_window": config.size("sliding_window", _WINDOWS[name])}
    usual = [(layer + 1) % _PATTERNS[name] != 0 for layer in range(of.n_layers)]
    if config.has("layer_types"):
        told = [kind == "sliding_attention" for kind in config.texts("layer_types")]
    else:
        every = config.size("sliding_window_pattern", config.size("_sliding_window_pattern", _PATTERNS[name]))
        told = [(layer + 1) % every != 0 for layer in range(of.n_layers)]
    if len(told) != of.n_layers:
        raise config.wrong(f"layer_types are {len(told)}, layers {of.n_layers}")
    if told != usual:
        found[f"{name}.attention.sliding_window_pattern"] = Typed(ValueType.BOOL, told)
    return found


def _tensors(name: str, config: Config) -> Mapping[str, Target]:
    of = _sizes(name, config)
    found = ends(config, of, tied=True, norm=_NORM)
    for layer in range(of.n_layers):
        source, target = f"model.layers.{layer}", f"blk.{layer}"
        norms = {
            "input_layernorm": "attn_norm",
            "post_attention_layernorm": "post_attention_norm",
            "pre_feedforward_layernorm": "ffn_norm",
            "post_feedforward_layernorm": "post_ffw_norm",
        }
        found |= without_biases(
            {
                **attention(f"{source}.self_attn", target, of),
                **feed_forward(f"{source}.mlp", target, of),
            }
        )
        for from_, to in norms.items():
            found[f"{source}.{from_}.weight"] = Target(f"{target}.{to}.weight", (of.width,), _NORM)
        if name == _THIRD:
            for letter in "qk":
                to = f"{target}.attn_{letter}_norm.weight"
                found[f"{source}.self_attn.{letter}_norm.weight"] = Target(to, (of.head_dim,), _NORM)
    return found


GEMMA2 = Family(
    architecture=_SECOND,
    sources=("Gemma2ForCausalLM",),
    metadata=partial(_metadata, _SECOND),
    tensors=partial(_tensors, _SECOND),
    vocabulary=of_text,
)
GEMMA3 = Family(
    architecture=_THIRD,
    sources=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    metadata=partial(_metadata, _THIRD),
    tensors=partial(_tensors, _THIRD),
    vocabulary=of_text,
    prefixes=(("", ""), ("language_model.", ""), ("model.language_model.", "model."), ("", "model.")),
    skipped=("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."),
)
