"""Folders as the hub has them: a configuration, weights in safetensors, whole or in shards."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
Config = dict[str, Any]

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
BYTES = {"F32": 4, "F16": 2, "BF16": 2}


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 3) -> Weights:
    """Weights that let every tensor matter: attention is uneven, norms are no ones, biases are no zeros."""
    rng = np.random.default_rng(seed)
    out: Weights = {}
    for name, shape in shapes.items():
        spread = 0.3 if len(shape) == 1 else 1.6 / np.sqrt(shape[-1])
        centre = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
        out[name] = rng.normal(centre, spread, shape).astype(np.float32)
    return out


def encoded(values: NDArray[np.float32], dtype: str) -> bytes:
    """The bytes of a tensor; BF16 is the upper half of F32, rounded to even."""
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def stored(weights: Weights, dtype: str) -> Weights:
    """What is left of weights when they were written in that type."""
    return {name: _decoded(encoded(values, dtype), dtype).reshape(values.shape) for name, values in weights.items()}


def _decoded(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def safetensors(weights: Weights, dtype: str = "F32") -> bytes:
    """The bytes of one file."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    parts: list[bytes] = []
    begin = 0
    for name, values in weights.items():
        end = begin + values.size * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [begin, end]}
        parts.append(encoded(values, dtype))
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def write_weights(folder: Path, weights: Weights, *, dtype: str = "F32", n_shards: int = 1) -> None:
    """One file, or shards with an index."""
    if n_shards == 1:
        (folder / WHOLE).write_bytes(safetensors(weights, dtype))
        return
    names = list(weights)
    index: dict[str, str] = {}
    for number in range(n_shards):
        file = f"model-{number + 1:05}-of-{n_shards:05}.safetensors"
        mine = names[number::n_shards]
        (folder / file).write_bytes(safetensors({name: weights[name] for name in mine}, dtype))
        index |= dict.fromkeys(mine, file)
    total = sum(values.size for values in weights.values()) * BYTES[dtype]
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": index})


def write_json(path: Path, content: object) -> None:
    """A file of JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False))
