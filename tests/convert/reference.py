"""Forward passes of decoders in double precision with nothing but numpy, from the definitions of the models.

What a family does differently is read from its configuration into ``Plan``; the pass is one for all.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tests.convert.folders import Weights

Array = NDArray[np.floating[Any]]


class Rope(msgspec.Struct, frozen=True):
    """How positions turn pairs of numbers: one frequency for each pair, and a factor on what comes out."""

    frequencies: Array
    factor: float = 1.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the pass has to know. ``window(layer)``: how many positions a token sees, itself included; 0: all."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    head: int
    epsilon: float
    scale: float
    rope: Callable[[int], Rope]
    window: Callable[[int], int] = lambda _layer: 0
    activation: Callable[[Array], Array]
    one_plus: bool = False
    sandwich: bool = False
    qk_norm: bool = False
    fused: bool = False
    embedding_scale: float = 1.0
    attention_cap: float = 0.0
    final_cap: float = 0.0


def logits(plan: Plan, weights: Weights, tokens: list[int]) -> Array:
    """The logits behind every token, one row each."""
    x: Array = weights["model.embed_tokens.weight"][tokens].astype(np.float64) * plan.embedding_scale
    for layer in range(plan.n_layers):
        x = _layer(plan, _View(weights, f"model.layers.{layer}."), layer, x)
    x = _norm(plan, x, weights["model.norm.weight"])
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return capped(x @ head.T.astype(np.float64), plan.final_cap)


class _View:
    """The tensors of one layer by the rest of their names."""

    def __init__(self, weights: Weights, at: str) -> None:
        self._weights, self._at = weights, at

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._weights[self._at + name]

    def linear(self, name: str, x: Array) -> Array:
        """A matrix, and the bias where there is one."""
        out: Array = x @ self[name + ".weight"].T.astype(np.float64)
        bias = self._weights.get(self._at + name + ".bias")
        return out if bias is None else out + bias


def _layer(plan: Plan, w: _View, layer: int, x: Array) -> Array:
    mixed = _attention(plan, w, layer, _norm(plan, x, w["input_layernorm.weight"]))
    if not plan.sandwich:
        x = x + mixed
        return x + _feed_forward(plan, w, _norm(plan, x, w["post_attention_layernorm.weight"]))
    x = x + _norm(plan, mixed, w["post_attention_layernorm.weight"])
    inner = _feed_forward(plan, w, _norm(plan, x, w["pre_feedforward_layernorm.weight"]))
    return x + _norm(plan, inner, w["post_feedforward_layernorm.weight"])


def _attention(plan: Plan, w: _View, layer: int, x: Array) -> Array:
    q, k, v = _projections(plan, w, x)
    if plan.qk_norm:
        q, k = _norm(plan, q, w["self_attn.q_norm.weight"]), _norm(plan, k, w["self_attn.k_norm.weight"])
    rope = plan.rope(layer)
    q, k = turned(q, rope), turned(k, rope)
    group = plan.n_heads // plan.n_kv_heads
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = capped(np.einsum("qhd,khd->hqk", q, k) * plan.scale, plan.attention_cap)
    scores = np.where(_visible(len(x), plan.window(layer)), scores, -np.inf)
    mixed = np.einsum("hqk,khd->qhd", softmax(scores), v)
    return w.linear("self_attn.o_proj", mixed.reshape(len(x), plan.n_heads * plan.head))


def _projections(plan: Plan, w: _View, x: Array) -> tuple[Array, Array, Array]:
    n_q, n_kv = plan.n_heads * plan.head, plan.n_kv_heads * plan.head
    if plan.fused:
        q, k, v = np.split(w.linear("self_attn.qkv_proj", x), [n_q, n_q + n_kv], axis=1)
    else:
        q, k, v = (w.linear(f"self_attn.{part}_proj", x) for part in "qkv")
    return q.reshape(len(x), -1, plan.head), k.reshape(len(x), -1, plan.head), v.reshape(len(x), -1, plan.head)


def _feed_forward(plan: Plan, w: _View, x: Array) -> Array:
    if plan.fused:
        gate, up = np.split(w.linear("mlp.gate_up_proj", x), 2, axis=1)
    else:
        gate, up = w.linear("mlp.gate_proj", x), w.linear("mlp.up_proj", x)
    return w.linear("mlp.down_proj", plan.activation(gate) * up)


def _norm(plan: Plan, x: Array, weight: NDArray[np.float32]) -> Array:
    out: Array = x / np.sqrt((x**2).mean(-1, keepdims=True) + plan.epsilon) * (weight + float(plan.one_plus))
    return out


def _visible(n: int, window: int) -> NDArray[np.bool_]:
    """What each position (rows) may see: nothing behind it, nothing that its window has left."""
    back = np.arange(n)[:, None] - np.arange(n)[None, :]
    seen: NDArray[np.bool_] = (back >= 0) & ((back < window) if window else True)
    return seen


def turned(x: Array, rope: Rope) -> Array:
    """Turn pairs that lie half a head apart; what the frequencies do not reach stays as it is."""
    n = len(rope.frequencies)
    angles = np.arange(len(x))[:, None, None] * rope.frequencies
    cos, sin = np.cos(angles) * rope.factor, np.sin(angles) * rope.factor
    first, second, rest = x[..., :n], x[..., n : 2 * n], x[..., 2 * n :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin, rest], axis=-1)


def softmax(scores: Array) -> Array:
    """Shares that add up to one, along the last axis."""
    out = np.exp(scores - scores.max(-1, keepdims=True))
    shares: Array = out / out.sum(-1, keepdims=True)
    return shares


def capped(x: Array, cap: float) -> Array:
    """Bend numbers softly so that none is beyond the cap; 0: none."""
    return cap * np.tanh(x / cap) if cap else x


def silu(x: Array) -> Array:
    """The number times its logistic function."""
    out: Array = x / (1 + np.exp(-x))
    return out


def gelu_tanh(x: Array) -> Array:
    """The usual approximation of the number times the normal distribution's function."""
    out: Array = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return out
