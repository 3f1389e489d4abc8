"""LoRA files with random numbers, and weights into which they were merged."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcrt.gguf.reader import read_header
from lcrt.gguf.writer import Tensor, write_gguf

Shapes = Mapping[str, tuple[int, ...]]


def factors(shapes: Shapes, seed: int, rank: int, size: float) -> dict[str, tuple[NDArray[np.float32], ...]]:
    """For each matrix (in, out) of a GGUF its two factors, as rows."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, size, shape).astype(np.float32)

    return {name: (normal(rank, n_in), normal(n_out, rank)) for name, (n_in, n_out) in shapes.items()}


def write_lora(path: Path, shapes: Shapes, *, seed: int, rank: int = 8, size: float = 0.5, arch: str = "llama") -> Path:
    """A file whose scale is 1 as it is: alpha is the rank."""
    tensors = [
        Tensor(f"{name}.weight.lora_{kind}", "F32", values.shape[::-1], values.tobytes())
        for name, pair in factors(shapes, seed, rank, size).items()
        for kind, values in zip("ab", pair, strict=True)
    ]
    keys = {"general.architecture": arch, "general.type": "adapter", "adapter.type": "lora"}
    write_gguf(path, keys | {"adapter.lora.alpha": float(rank)}, tensors)
    return path


def smol_shapes(n_layers: int = 30) -> dict[str, tuple[int, ...]]:
    """Queries and values of SmolLM2 135M."""
    return {
        f"blk.{layer}.attn_{kind}": (576, 576 if kind == "q" else 192) for layer in range(n_layers) for kind in "qv"
    }


def merge(path: Path, out: Path, changes: Mapping[str, tuple[NDArray[np.float32], ...]], scale: float) -> Path:
    """A copy of a model in single precision with its matrices changed."""
    header = read_header(path)
    data = bytearray(path.read_bytes())
    for tensor in header.tensors:
        name = tensor.name.removesuffix(".weight")
        if name in changes:
            a, b = changes[name]
            start = header.data_offset + tensor.offset
            values = np.frombuffer(data, np.float32, tensor.n_elements, start).reshape(tensor.shape[::-1])
            data[start : start + tensor.size] = (values + scale * (b @ a)).astype(np.float32).tobytes()
    out.write_bytes(data)
    return out
