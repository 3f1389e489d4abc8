"""Tiny models with a layer that guesses the token behind the next one (MTP): random ones, and ones that know.

In those that know, a token is an angle on each of sixteen circles and the next token is one step further, unless
``noise`` turns it elsewhere. The layer sees only what the trunk thought at the position before, so it is right where
that is the right thought and nowhere else.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcrt.gguf.writer import Plain, Tensor, write_gguf
from tests.native.tiny import N_EMBD, N_FF, TOKENS, metadata

N_HEAD = 4
N_EXPERT = 2

_Shapes = dict[str, tuple[int, ...]]
_Weights = Callable[[str, tuple[int, ...]], NDArray[np.float32]]


def attention(path: Path, noise: float | None = None, n_heads: int = 1) -> Path:
    """A layer of attention and ``n_heads`` layers that guess; knowing, up to ``noise``, or random."""
    shapes = _both_ends() | _attention(0) | _dense(0)
    for layer in range(1, 1 + n_heads):
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
    return _write(path, metadata("glm4moe", **changes), shapes, noise)


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


def _write(path: Path, keys: dict[str, Plain], shapes: _Shapes, noise: float | None) -> Path:
    weights = _random() if noise is None else _knowing(noise)
    tensors = []
    for name, shape in shapes.items():
        full = name if name.endswith(".bias") else f"{name}.weight"
        tensors.append(Tensor(full, "F32", shape, weights(name, shape).tobytes()))
    write_gguf(path, keys, tensors)
    return path


def _random() -> _Weights:
    rng = np.random.default_rng(11)

    def weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return rng.normal(1.0 if name.endswith("norm") else 0.0, 0.3, shape[::-1]).astype(np.float32)

    return weights


def _angles() -> NDArray[np.float64]:
    turns = np.random.default_rng(5).permutation(np.arange(1, len(TOKENS) // 2))[: N_EMBD // 2]
    return turns * (2 * np.pi / len(TOKENS))


def _places() -> NDArray[np.float64]:
    """Where each token is on the circles: (tokens, N_EMBD)."""
    around = np.outer(np.arange(len(TOKENS)), _angles())
    return np.stack((np.cos(around), np.sin(around)), axis=2).reshape(len(TOKENS), N_EMBD)


def _one_further() -> NDArray[np.float64]:
    """What turns the place of a token into that of the next one: (N_EMBD, N_EMBD)."""
    out = np.zeros((N_EMBD, N_EMBD))
    for i, angle in enumerate(_angles()):
        out[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = ((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle)))
    return out


def _knowing(noise: float) -> _Weights:
    rng = np.random.default_rng(11)
    known: dict[str, NDArray[np.float64]] = {
        "token_embd": _places(),
        "output": np.roll(_places(), 1, axis=0),
        "eh_proj": np.concatenate((np.zeros((N_EMBD, N_EMBD)), _one_further()), axis=1),
    }

    def weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if (values := known.get(name.rpartition("nextn.")[2])) is not None:
            return values.astype(np.float32)
        if name.endswith("norm"):
            return np.ones(shape[::-1], np.float32)
        scale = 0.3
        if name.endswith(("attn_output", "down", "down_exps", "down_shexp")):
            scale = noise if name.startswith("blk.0.") else 0.0
        return rng.normal(0.0, scale, shape[::-1]).astype(np.float32)

    return weights
