"""The reference: what the original weights of all-MiniLM say, computed with nothing but numpy."""

import json
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

N_HEADS = 12
N_LAYERS = 6
EPSILON = 1e-12

APART = 1e-4 if "avx2" in Path("/proc/cpuinfo").read_text() else 3e-4
"""How far elements of normalised vectors may be apart that were computed in other company, with weights in halves.

Without AVX2 ggml multiplies, which rounds activations to halves: in a pass of another size others are rounded up.
"""


def weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a safetensors file in single precision."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    out: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            out[name] = np.frombuffer(data[start + begin : start + end], np.float32).reshape(entry["shape"])
    return out


def vector(w: dict[str, NDArray[np.float32]], tokens: list[int]) -> Array:
    """The mean of the last hidden states, of length one."""
    mean: Array = states(w, tokens).mean(0)
    return mean / np.linalg.norm(mean)


def states(
    w: dict[str, NDArray[np.float32]], tokens: list[int], n_layers: int = N_LAYERS, n_heads: int = N_HEADS
) -> Array:
    """The last hidden states, one row for each token."""
    n = len(tokens)
    x: Array = w["embeddings.word_embeddings.weight"][tokens].astype(np.float64)
    x = x + w["embeddings.position_embeddings.weight"][:n] + w["embeddings.token_type_embeddings.weight"][0]
    x = _norm(x, w, "embeddings.LayerNorm")
    for layer in range(n_layers):
        at = f"encoder.layer.{layer}."
        x = _norm(x + _attention(x, w, at, n_heads), w, at + "attention.output.LayerNorm")
        h = _linear(x, w, at + "intermediate.dense")
        h = h * 0.5 * (1 + np.vectorize(erf)(h / np.sqrt(2)))
        x = _norm(x + _linear(h, w, at + "output.dense"), w, at + "output.LayerNorm")
    return x


def _attention(x: Array, w: dict[str, NDArray[np.float32]], at: str, n_heads: int) -> Array:
    n, width = x.shape
    split = (n, n_heads, width // n_heads)
    q, k, v = (
        _linear(x, w, f"{at}attention.self.{name}").reshape(split).transpose(1, 0, 2)
        for name in ("query", "key", "value")
    )
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(width // n_heads)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return _linear(mixed.transpose(1, 0, 2).reshape(n, width), w, at + "attention.output.dense")


def _linear(x: Array, w: dict[str, NDArray[np.float32]], name: str) -> Array:
    out: Array = x @ w[name + ".weight"].T.astype(np.float64) + w[name + ".bias"]
    return out


def _norm(x: Array, w: dict[str, NDArray[np.float32]], name: str) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    out: Array = centred / spread * w[name + ".weight"] + w[name + ".bias"]
    return out
