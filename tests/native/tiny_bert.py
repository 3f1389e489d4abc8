"""An encoder of a few kilobytes with random weights, and the same as a reranker."""

from pathlib import Path

import numpy as np

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf

N_EMBD, N_FF, N_CTX, N_LAYER = 32, 64, 512, 2
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *("\u2581" + letter for letter in LETTERS), *LETTERS]
CLS, SEP = 2, 3
MEAN, FIRST, LAST, RANK = 1, 2, 3, 4


def metadata(pooling: int) -> dict[str, Plain]:
    """All keys; letters are words and continuations of words."""
    return {
        "general.architecture": "bert",
        "bert.context_length": N_CTX,
        "bert.embedding_length": N_EMBD,
        "bert.block_count": N_LAYER,
        "bert.feed_forward_length": N_FF,
        "bert.attention.head_count": 4,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": pooling,
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": Typed(ValueType.INT32, [3] * 4 + [1] * (len(TOKENS) - 4)),
        "tokenizer.ggml.bos_token_id": CLS,
        "tokenizer.ggml.eos_token_id": SEP,
        "tokenizer.ggml.seperator_token_id": SEP,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
    }


def shapes(pooling: int) -> dict[str, tuple[int, ...]]:
    """All tensors, the fastest dimension first."""
    out: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (N_EMBD, len(TOKENS)),
        "position_embd.weight": (N_EMBD, N_CTX),
        "token_types.weight": (N_EMBD, 2),
        "token_embd_norm.weight": (N_EMBD,),
        "token_embd_norm.bias": (N_EMBD,),
    }
    square = {"attn_q": N_EMBD, "attn_k": N_EMBD, "attn_v": N_EMBD, "attn_output": N_EMBD, "ffn_up": N_FF}
    for layer in range(N_LAYER):
        for name, n_out in square.items():
            out |= {f"blk.{layer}.{name}.weight": (N_EMBD, n_out), f"blk.{layer}.{name}.bias": (n_out,)}
        out |= {f"blk.{layer}.ffn_down.weight": (N_FF, N_EMBD), f"blk.{layer}.ffn_down.bias": (N_EMBD,)}
        for name in ("attn_output_norm", "layer_output_norm"):
            out |= {f"blk.{layer}.{name}.weight": (N_EMBD,), f"blk.{layer}.{name}.bias": (N_EMBD,)}
    if pooling == RANK:
        out |= {"cls.weight": (N_EMBD, N_EMBD), "cls.bias": (N_EMBD,)}
        out |= {"cls.output.weight": (N_EMBD, 1), "cls.output.bias": (1,)}
    return out


def bert(path: Path, pooling: int = MEAN) -> Path:
    """Write the model."""
    rng = np.random.default_rng(7)
    keys = metadata(pooling)
    if pooling == RANK:
        keys["bert.classifier.output_labels"] = ["score"]
    tensors = []
    for name, shape in shapes(pooling).items():
        values = rng.normal(1.0 if name.endswith("norm.weight") else 0.0, 0.3, shape[::-1]).astype(np.float32)
        tensors.append(Tensor(name, "F32", shape, values.tobytes()))
    write_gguf(path, keys, tensors)
    return path
