"""BERT and the encoders that are built like it."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from lcrt.convert.config import Config
from lcrt.convert.decoder import check_activation
from lcrt.convert.encoder import vector_keys
from lcrt.convert.family import Family, Metadata, Target
from lcrt.convert.vocab.wordpiece import of_words
from lcrt.errors import UnsupportedModel

_NAME = "bert"


class _Sizes(msgspec.Struct, frozen=True):
    width: int
    inner: int
    n_positions: int
    n_types: int
    n_vocab: int


def _sizes(config: Config) -> _Sizes:
    return _Sizes(
        config.size("hidden_size"),
        config.size("intermediate_size"),
        config.size("max_position_embeddings"),
        config.size("type_vocab_size", 2),
        config.size("vocab_size"),
    )


def _metadata(config: Config) -> Metadata:
    check_activation(config, ("gelu", "gelu_new", "gelu_pytorch_tanh"))
    if config.text("position_embedding_type", "absolute") != "absolute":
        raise UnsupportedModel("BERT with relative positions is not supported")
    of = _sizes(config)
    return {
        f"{_NAME}.context_length": of.n_positions,
        f"{_NAME}.embedding_length": of.width,
        f"{_NAME}.block_count": config.n_layers,
        f"{_NAME}.feed_forward_length": of.inner,
        f"{_NAME}.attention.head_count": config.size("num_attention_heads"),
        f"{_NAME}.attention.layer_norm_epsilon": config.positive("layer_norm_eps", 1e-12),
    }


def _from_files(folder: Path, config: Config) -> Metadata:
    """The tokenizer's keys, and those of the vectors."""
    return {**of_words(folder, config), **vector_keys(_NAME, folder)}


def both(source: str, target: str, shape: tuple[int, ...]) -> dict[str, Target]:
    """A weight and its bias."""
    return {
        f"{source}.weight": Target(f"{target}.weight", shape),
        f"{source}.bias": Target(f"{target}.bias", shape[:1]),
    }


def _tensors(config: Config) -> Mapping[str, Target]:
    of = _sizes(config)
    found = {
        "embeddings.word_embeddings.weight": Target("token_embd.weight", (of.n_vocab, of.width)),
        "embeddings.position_embeddings.weight": Target("position_embd.weight", (of.n_positions, of.width), full=True),
        "embeddings.token_type_embeddings.weight": Target("token_types.weight", (of.n_types, of.width), full=True),
        **both("embeddings.LayerNorm", "token_embd_norm", (of.width,)),
    }
    for layer in range(config.n_layers):
        found |= _layer(f"encoder.layer.{layer}", f"blk.{layer}", of)
    return found


def _layer(source: str, target: str, of: _Sizes) -> dict[str, Target]:
    square = (of.width, of.width)
    return {
        **both(f"{source}.attention.self.query", f"{target}.attn_q", square),
        **both(f"{source}.attention.self.key", f"{target}.attn_k", square),
        **both(f"{source}.attention.self.value", f"{target}.attn_v", square),
        **both(f"{source}.attention.output.dense", f"{target}.attn_output", square),
        **both(f"{source}.attention.output.LayerNorm", f"{target}.attn_output_norm", (of.width,)),
        **both(f"{source}.intermediate.dense", f"{target}.ffn_up", (of.inner, of.width)),
        **both(f"{source}.output.dense", f"{target}.ffn_down", (of.width, of.inner)),
        **both(f"{source}.output.LayerNorm", f"{target}.layer_output_norm", (of.width,)),
    }


BERT = Family(
    architecture=_NAME,
    sources=("BertModel", "BertForMaskedLM"),
    metadata=_metadata,
    tensors=_tensors,
    vocabulary=_from_files,
    prefixes=(("", ""), ("bert.", "")),
    skipped=("pooler.", "bert.pooler.", "cls.", "embeddings.position_ids"),
)
