"""The forward pass of nomic-bert in double precision: BERT's order of norms, turned positions, gated layers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.convert.folders import Config, Weights
from tests.convert.reference import Array, Rope, silu, softmax, turned


def states(config: Config, w: Weights, tokens: list[int]) -> Array:
    """The last hidden states, one row for each token."""
    epsilon = config["layer_norm_epsilon"]
    x: Array = w["embeddings.word_embeddings.weight"][tokens].astype(np.float64)
    x = _norm(x + w["embeddings.token_type_embeddings.weight"][0], w, "emb_ln", epsilon)
    for layer in range(config["n_layer"]):
        at = f"encoder.layers.{layer}."
        x = _norm(x + _attention(config, w, at, x), w, at + "norm1", epsilon)
        inner = x @ w[at + "mlp.fc11.weight"].T * silu(x @ w[at + "mlp.fc12.weight"].T.astype(np.float64))
        x = _norm(x + inner @ w[at + "mlp.fc2.weight"].T, w, at + "norm2", epsilon)
    return x


def _attention(config: Config, w: Weights, at: str, x: Array) -> Array:
    n, width = x.shape
    n_heads = config["n_head"]
    q, k, v = (x @ w[at + "attn.Wqkv.weight"].T.astype(np.float64)).reshape(n, 3, n_heads, -1).transpose(1, 0, 2, 3)
    head = width // n_heads
    rope = Rope(float(config["rotary_emb_base"]) ** (-np.arange(0, head, 2) / head))
    scores = np.einsum("qhd,khd->hqk", turned(q, rope), turned(k, rope)) / np.sqrt(head)
    mixed = np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, width)
    out: NDArray[np.floating[Any]] = mixed @ w[at + "attn.out_proj.weight"].T
    return out


def _norm(x: Array, w: Weights, name: str, epsilon: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    out: Array = centred / spread * w[name + ".weight"] + w[name + ".bias"]
    return out
