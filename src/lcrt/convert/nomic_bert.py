"""Nomic's encoders: BERT's order of norms, with turned positions and gated feed-forward parts."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from lcrt.convert.bert import both
from lcrt.convert.config import Config
from lcrt.convert.encoder import vector_keys
from lcrt.convert.family import Family, Metadata, Target
from lcrt.convert.vocab.wordpiece import of_words
from lcrt.errors import UnsupportedModel

_NAME = "nomic-bert"
_TRAINED = 2048
"""Positions that the published models were trained for; they say 8192, and would have to scale."""
_MUST_BE_OFF = (
    "prenorm",
    "use_rms_norm",
    "parallel_block",
    "qkv_proj_bias",
    "mlp_fc1_bias",
    "mlp_fc2_bias",
    "rotary_emb_interleaved",
    "scale_attn_by_inverse_layer_idx",
)


class _Sizes(msgspec.Struct, frozen=True):
    width: int
    inner: int
    n_layers: int
    n_types: int
    n_vocab: int


def _sizes(config: Config) -> _Sizes:
    width = config.size("n_embd")
    return _Sizes(
        width,
        config.size("n_inner", 4 * width),
        config.size("n_layer"),
        config.size("type_vocab_size", 2),
        config.size("vocab_size"),
    )


def _metadata(config: Config) -> Metadata:
    _check(config)
    of = _sizes(config)
    return {
        f"{_NAME}.context_length": min(config.size("n_positions"), config.size("max_trained_positions", _TRAINED)),
        f"{_NAME}.embedding_length": of.width,
        f"{_NAME}.block_count": of.n_layers,
        f"{_NAME}.feed_forward_length": of.inner,
        f"{_NAME}.attention.head_count": config.size("n_head"),
        f"{_NAME}.attention.layer_norm_epsilon": config.positive("layer_norm_epsilon", 1e-5),
        f"{_NAME}.rope.freq_base": config.positive("rotary_emb_base", 10000.0),
    }


def _check(config: Config) -> None:
    """Refuse the variants that the engine computes otherwise."""
    on = [name for name in _MUST_BE_OFF if config.flag(name, default=False)]
    if on:
        raise UnsupportedModel(f"nomic-bert with {', '.join(on)} is not supported")
    if config.count("moe_every_n_layers", 0) or config.count("num_experts", 0):
        raise UnsupportedModel("nomic-bert with experts is not supported")
    if config.text("activation_function", "gelu") != "swiglu":
        raise UnsupportedModel("nomic-bert with another activation than swiglu is not supported")
    if config.number("rotary_emb_fraction", 0.0) != 1.0 or config.has("rotary_emb_scale_base"):
        raise UnsupportedModel("nomic-bert with other rotary positions is not supported")


def _from_files(folder: Path, config: Config) -> Metadata:
    """The tokenizer's keys, and those of the vectors."""
    return {**of_words(folder, config), **vector_keys(_NAME, folder)}


def _tensors(config: Config) -> Mapping[str, Target]:
    of = _sizes(config)
    found = {
        "embeddings.word_embeddings.weight": Target("token_embd.weight", (of.n_vocab, of.width)),
        "embeddings.token_type_embeddings.weight": Target("token_types.weight", (of.n_types, of.width), full=True),
        **both("emb_ln", "token_embd_norm", (of.width,)),
    }
    for layer in range(of.n_layers):
        found |= _layer(f"encoder.layers.{layer}", f"blk.{layer}", of)
    return found


def _layer(source: str, target: str, of: _Sizes) -> dict[str, Target]:
    wide, narrow = (of.inner, of.width), (of.width, of.inner)
    return {
        f"{source}.attn.Wqkv.weight": Target(f"{target}.attn_qkv.weight", (3 * of.width, of.width)),
        f"{source}.attn.out_proj.weight": Target(f"{target}.attn_output.weight", (of.width, of.width)),
        **both(f"{source}.norm1", f"{target}.attn_output_norm", (of.width,)),
        f"{source}.mlp.fc11.weight": Target(f"{target}.ffn_up.weight", wide),
        f"{source}.mlp.fc12.weight": Target(f"{target}.ffn_gate.weight", wide),
        f"{source}.mlp.fc2.weight": Target(f"{target}.ffn_down.weight", narrow),
        **both(f"{source}.norm2", f"{target}.layer_output_norm", (of.width,)),
    }


NOMIC_BERT = Family(
    architecture=_NAME,
    sources=("NomicBertModel",),
    metadata=_metadata,
    tensors=_tensors,
    vocabulary=_from_files,
    prefixes=(("", ""), ("bert.", "")),
    skipped=("pooler.", "bert.pooler.", "cls."),
)
