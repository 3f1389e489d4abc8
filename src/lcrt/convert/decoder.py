"""What decoders of text have in common: sizes, the usual keys, the usual tensors."""

from collections.abc import Mapping

import msgspec

from lcrt.convert.config import Config
from lcrt.convert.family import KEEP, Metadata, Reshape, Target
from lcrt.errors import UnsupportedModel

EMBEDDINGS = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


class Sizes(msgspec.Struct, frozen=True):
    """Sizes that shapes of tensors follow from."""

    width: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    feed_forward: int
    n_vocab: int
    n_layers: int


def sizes(config: Config, defaults: Mapping[str, int] | None = None) -> Sizes:
    """Read the sizes; ``defaults`` by the names of the config."""
    known = defaults or {}
    width = config.size("hidden_size", known.get("hidden_size"))
    n_heads = config.size("num_attention_heads", known.get("num_attention_heads"))
    head_dim = config.size("head_dim", known.get("head_dim", width // n_heads))
    if head_dim % 2:
        raise config.wrong(f"heads of {head_dim} numbers cannot be turned in pairs")
    n_kv_heads = config.size("num_key_value_heads", known.get("num_key_value_heads", n_heads))
    if n_heads % n_kv_heads:
        raise config.wrong(f"{n_heads} heads cannot share {n_kv_heads} keys")
    return Sizes(
        width,
        n_heads,
        n_kv_heads,
        head_dim,
        config.size("intermediate_size", known.get("intermediate_size")),
        config.size("vocab_size", known.get("vocab_size")),
        config.n_layers,
    )


def usual_keys(prefix: str, config: Config, of: Sizes, context: int | None = None) -> Metadata:
    """Make the keys that every decoder has."""
    return {
        f"{prefix}.vocab_size": of.n_vocab,
        f"{prefix}.context_length": config.size("max_position_embeddings", context),
        f"{prefix}.embedding_length": of.width,
        f"{prefix}.block_count": of.n_layers,
        f"{prefix}.feed_forward_length": of.feed_forward,
        f"{prefix}.attention.head_count": of.n_heads,
        f"{prefix}.attention.head_count_kv": of.n_kv_heads,
        f"{prefix}.attention.key_length": of.head_dim,
        f"{prefix}.attention.value_length": of.head_dim,
        f"{prefix}.attention.layer_norm_rms_epsilon": config.positive("rms_norm_eps", 1e-6),
    }


def check_activation(config: Config, allowed: tuple[str, ...]) -> None:
    """Refuse a model whose feed-forward part computes something else than the engine does."""
    name = "hidden_activation" if config.has("hidden_activation") else "hidden_act"
    told = config.text(name, allowed[0])
    if told not in allowed:
        raise UnsupportedModel(f"the activation `{told}` is not supported for this architecture")


def unseen_window(config: Config, window: int, context: int) -> list[str]:
    """Warn of layers that look back ``window`` tokens only, 0 for all: the engine has no such for this architecture."""
    kinds = config.texts("layer_types", ("sliding_attention",))
    if not 0 < window < context or "sliding_attention" not in kinds:
        return []
    return [f"warning: the window of {window} tokens that this model looks back is not kept here: set num_ctx to that"]


def ends(config: Config, of: Sizes, *, tied: bool, norm: Reshape = KEEP) -> dict[str, Target]:
    """Embeddings, the last norm, and the output matrix unless it is the embeddings again."""
    matrix = (of.n_vocab, of.width)
    found = {
        EMBEDDINGS: Target("token_embd.weight", matrix),
        "model.norm.weight": Target("output_norm.weight", (of.width,), norm),
    }
    if not config.flag("tie_word_embeddings", tied):
        found[HEAD] = Target("output.weight", matrix)
    return found


def attention(source: str, target: str, of: Sizes, *, q: Reshape = KEEP, k: Reshape = KEEP) -> dict[str, Target]:
    """The four matrices of attention and the biases that they may have."""
    q_rows, kv_rows = of.n_heads * of.head_dim, of.n_kv_heads * of.head_dim
    found: dict[str, Target] = {}
    for name, gguf, n_rows, n_columns, reshape in (
        ("q_proj", "attn_q", q_rows, of.width, q),
        ("k_proj", "attn_k", kv_rows, of.width, k),
        ("v_proj", "attn_v", kv_rows, of.width, KEEP),
        ("o_proj", "attn_output", of.width, q_rows, KEEP),
    ):
        found |= _linear(f"{source}.{name}", f"{target}.{gguf}", (n_rows, n_columns), reshape)
    return found


def feed_forward(source: str, target: str, of: Sizes) -> dict[str, Target]:
    """The three matrices of a gated feed-forward part and the biases that they may have."""
    wide, narrow = (of.feed_forward, of.width), (of.width, of.feed_forward)
    return {
        **_linear(f"{source}.gate_proj", f"{target}.ffn_gate", wide),
        **_linear(f"{source}.up_proj", f"{target}.ffn_up", wide),
        **_linear(f"{source}.down_proj", f"{target}.ffn_down", narrow),
    }


def without_biases(targets: Mapping[str, Target], *, but: tuple[str, ...] = ()) -> dict[str, Target]:
    """Leave out biases, for which the engine has no place, but those of the matrices named."""
    return {
        name: target
        for name, target in targets.items()
        if not name.endswith(".bias") or name.removesuffix(".bias").endswith(but)
    }


def _linear(source: str, target: str, shape: tuple[int, int], reshape: Reshape = KEEP) -> dict[str, Target]:
    return {
        f"{source}.weight": Target(f"{target}.weight", shape, reshape),
        f"{source}.bias": Target(f"{target}.bias", shape[:1], reshape, optional=True),
    }
