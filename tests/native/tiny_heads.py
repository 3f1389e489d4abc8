"""Tiny models with a layer that guesses the token behind the next one (MTP): random ones, and ones that know.

In those that know, a token is an angle on each of sixteen circles and the next token is one step further, unless
``noise`` turns it elsewhere. The layer sees only what the trunk thought at the position before, so it is right where
that is the right thought and nowhere else.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf
from tests.native.tiny import N_EMBD, N_FF, TOKENS, metadata

N_EXPERT = 2
N_STATE, N_GROUP, N_CONV = 8, 2, 4
"""Of a recurrent layer: size of a head, heads, tokens of a convolution."""

_Shapes = dict[str, tuple[int, ...]]
_Weights = Callable[[str, tuple[int, ...]], NDArray[np.float32]]


def attention(
    path: Path,
    noise: float | None = None,
    doubt: float = 0.0,
    n_heads: int = 1,
    n_there: int = 1,
    weights: _Weights | None = None,
) -> Path:
    """A layer of attention and ``n_heads`` layers that guess, of which ``n_there`` are in the file; knowing or random.

    ``noise`` is what the trunk adds to what it knows, ``doubt`` what the layers that guess add: out of all that they
    have read. Other ``weights`` may be named instead.
    """
    shapes = _both_ends() | _attention(0) | _dense(0)
    for layer in range(1, 1 + n_there):
        shapes |= _attention(layer) | _experts(layer) | _ahead(layer)
    changes: dict[str, Plain] = {
        "glm4moe__block_count": 1 + n_heads,
        "glm4moe__nextn_predict_layers": n_heads,
        "glm4moe__leading_dense_block_count": 1,
        "glm4moe__expert_count": N_EXPERT,
        "glm4moe__expert_used_count": 1,
        "glm4moe__expert_shared_count": 1,
        "glm4moe__expert_feed_forward_length": N_FF,
    }
    return _write(path, metadata("glm4moe", **changes), shapes, weights or _weights(noise, {"blk.1.": doubt}))


def even(path: Path, doubt: float) -> NDArray[np.float64]:
    """The first one, where all that it doubts is the mean of what it has read.

    Returns what makes an addend of that out of each position: (N_EMBD, N_EMBD).
    """
    knowing, seen = _knowing({"blk.1.": doubt}), dict[str, NDArray[np.float32]]()

    def weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        silent = name in {"blk.1.attn_q", "blk.1.ffn_down_exps", "blk.1.ffn_down_shexp"}
        seen[name] = knowing(name, shape) * np.float32(not silent)
        return seen[name]

    attention(path, weights=weights)
    return (seen["blk.1.attn_output"] @ seen["blk.1.attn_v"]).astype(np.float64)


def hybrid(path: Path, noise: float | None = None, doubt: float = 0.0) -> Path:
    """The same with a recurrent layer in front, whose memory cannot go back far."""
    shapes = _both_ends() | _recurrent(0) | _gated_attention(1) | _gated_attention(2) | _ahead(2)
    for layer in range(3):
        shapes |= _dense(layer)
    changes: dict[str, Plain] = {
        "qwen35__block_count": 3,
        "qwen35__nextn_predict_layers": 1,
        "qwen35__full_attention_interval": 2,
        "qwen35__attention__key_length": N_STATE,
        "qwen35__attention__value_length": N_STATE,
        "qwen35__rope__dimension_count": N_STATE,
        "qwen35__rope__dimension_sections": Typed(ValueType.INT32, [2, 1, 1, 0]),
        "qwen35__ssm__conv_kernel": N_CONV,
        "qwen35__ssm__inner_size": N_STATE * N_GROUP,
        "qwen35__ssm__state_size": N_STATE,
        "qwen35__ssm__time_step_rank": N_GROUP,
        "qwen35__ssm__group_count": N_GROUP,
    }
    return _write(path, metadata("qwen35", **changes), shapes, _weights(noise, {"blk.2.": doubt}))


def _recurrent(layer: int) -> _Shapes:
    name, inner = f"blk.{layer}", N_STATE * N_GROUP
    return {
        f"{name}.attn_norm": (N_EMBD,),
        f"{name}.post_attention_norm": (N_EMBD,),
        f"{name}.attn_qkv": (N_EMBD, 3 * inner),
        f"{name}.attn_gate": (N_EMBD, inner),
        f"{name}.ssm_conv1d": (N_CONV, 3 * inner),
        f"{name}.ssm_dt.bias": (N_GROUP,),
        f"{name}.ssm_a": (N_GROUP,),
        f"{name}.ssm_beta": (N_EMBD, N_GROUP),
        f"{name}.ssm_alpha": (N_EMBD, N_GROUP),
        f"{name}.ssm_norm": (N_STATE,),
        f"{name}.ssm_out": (inner, N_EMBD),
    }


def _gated_attention(layer: int) -> _Shapes:
    name = f"blk.{layer}"
    out = _attention(layer) | {f"{name}.attn_q": (N_EMBD, 2 * N_EMBD)}
    return out | {f"{name}.attn_{part}_norm": (N_STATE,) for part in ("q", "k")}


def _both_ends() -> _Shapes:
    return {"token_embd": (N_EMBD, len(TOKENS)), "output_norm": (N_EMBD,), "output": (N_EMBD, len(TOKENS))}


def _attention(layer: int) -> _Shapes:
    out: _Shapes = {f"blk.{layer}.{name}_norm": (N_EMBD,) for name in ("attn", "post_attention")}
    return out | {f"blk.{layer}.attn_{name}": (N_EMBD, N_EMBD) for name in ("q", "k", "v", "output")}


def _dense(layer: int) -> _Shapes:
    name = f"blk.{layer}.ffn"
    return {f"{name}_gate": (N_EMBD, N_FF), f"{name}_up": (N_EMBD, N_FF), f"{name}_down": (N_FF, N_EMBD)}


def _experts(layer: int) -> _Shapes:
    name = f"blk.{layer}"
    out: _Shapes = {f"{name}.ffn_gate_inp": (N_EMBD, N_EXPERT), f"{name}.exp_probs_b.bias": (N_EXPERT,)}
    for part, shape in (("gate", (N_EMBD, N_FF)), ("up", (N_EMBD, N_FF)), ("down", (N_FF, N_EMBD))):
        out |= {f"{name}.ffn_{part}_exps": (*shape, N_EXPERT), f"{name}.ffn_{part}_shexp": shape}
    return out


def _ahead(layer: int) -> _Shapes:
    name = f"blk.{layer}.nextn"
    return {f"{name}.eh_proj": (2 * N_EMBD, N_EMBD), f"{name}.enorm": (N_EMBD,), f"{name}.hnorm": (N_EMBD,)}


def _write(path: Path, keys: dict[str, Plain], shapes: _Shapes, weights: _Weights) -> Path:
    tensors = []
    for name, shape in shapes.items():
        full = name if name.endswith((".bias", "ssm_a")) else f"{name}.weight"
        tensors.append(Tensor(full, "F32", shape, weights(name, shape).tobytes()))
    write_gguf(path, keys, tensors)
    return path


def _weights(noise: float | None, doubts: dict[str, float]) -> _Weights:
    return _random() if noise is None else _knowing({"blk.0.": noise} | doubts)


def _random() -> _Weights:
    rng = np.random.default_rng(11)

    def weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        values = rng.normal(1.0 if name.endswith("norm") else 0.0, 0.3, shape[::-1]).astype(np.float32)
        return -np.abs(values) if name.endswith("ssm_a") else values

    return weights


def _angles() -> NDArray[np.float64]:
    turns = np.random.default_rng(5).permutation(np.arange(1, len(TOKENS) // 2))[: N_EMBD // 2]
    return turns * (2 * np.pi / len(TOKENS))


def places() -> NDArray[np.float64]:
    """Where each token is on the circles: (tokens, N_EMBD)."""
    around = np.outer(np.arange(len(TOKENS)), _angles())
    return np.stack((np.cos(around), np.sin(around)), axis=2).reshape(len(TOKENS), N_EMBD)


def one_further() -> NDArray[np.float64]:
    """What turns the place of a token into that of the next one: (N_EMBD, N_EMBD)."""
    out = np.zeros((N_EMBD, N_EMBD))
    for i, angle in enumerate(_angles()):
        out[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = ((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle)))
    return out


def _knowing(noises: dict[str, float]) -> _Weights:
    rng = np.random.default_rng(11)
    known: dict[str, NDArray[np.float64]] = {
        "token_embd": places(),
        "output": np.roll(places(), 1, axis=0),
        "eh_proj": np.concatenate((np.zeros((N_EMBD, N_EMBD)), one_further()), axis=1),
    }

    def weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if (values := known.get(name.rpartition("nextn.")[2])) is not None:
            return values.astype(np.float32)
        if name.endswith("norm"):
            return np.ones(shape[::-1], np.float32)
        scale = 0.3
        if name.endswith(("attn_output", "ssm_out", "down", "down_exps", "down_shexp")):
            scale = noises.get(name[: len("blk.0.")], 0.0)
        drawn = rng.normal(0.0, scale, shape[::-1]).astype(np.float32)
        return -np.abs(drawn) if name.endswith("ssm_a") else drawn

    return weights
