"""Small checkpoints in FP8, and what their numbers are, by the words of the format."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcrt.convert.write import write_model
from lcrt.gguf.reader import read_header
from tests.convert import folders_models as models
from tests.convert.folders import Weights, encoded, write_json

Matrix = NDArray[np.float64]
BLOCK = (24, 40)
"""Rows and columns that share a scale; neither divides the sizes of the model."""
SETTINGS: dict[str, Any] = {"quant_method": "fp8", "weight_block_size": list(BLOCK)}


def value(bits: int) -> float:
    """What eight bits say, by the words of the format: bias 7, subnormals, one pattern for what is no number."""
    sign = -1.0 if bits & 0x80 else 1.0
    exponent, digits = (bits >> 3) & 0xF, bits & 7
    if exponent == 15 and digits == 7:
        return math.nan
    return sign * (digits * 2.0**-9 if exponent == 0 else (8 + digits) * 2.0 ** (exponent - 10))


def write(path: Path, tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """One file of tensors of any types."""
    header: dict[str, object] = {}
    end = 0
    for name, (dtype, shape, data) in tensors.items():
        begin, end = end, end + len(data)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values()))


class Checkpoint:
    """A folder of a small model whose matrices are random bits with scales."""

    def __init__(self, folder: Path, end: str, kind: str) -> None:
        self.folder = folder
        self.weights: Weights = models.write(folder, models.config("llama", tie_word_embeddings=False), dtype="BF16")
        self.wanted: dict[str, Matrix] = {}
        self.tensors = {name: ("BF16", each.shape, encoded(each, "BF16")) for name, each in self.weights.items()}
        rng = np.random.default_rng(7)
        for name, each in self.weights.items():
            if "_proj" in name:
                bits = rng.integers(0, 0x7F, each.shape) | rng.integers(0, 2, each.shape) << 7
                shape = {"block": tuple(-(-n // b) for n, b in zip(each.shape, BLOCK, strict=True))}.get(
                    kind, {"row": (each.shape[0], 1), "tensor": ()}.get(kind, ())
                )
                scales = rng.uniform(0.5, 2, shape).astype(np.float32)
                self.tensors[name] = ("F8_E4M3", each.shape, bits.astype(np.uint8).tobytes())
                self.tensors[name.removesuffix("weight") + end] = ("F32", shape, scales.tobytes())
                self.tensors[name.removesuffix("weight") + "input_scale"] = ("F32", (), bytes(4))
                self.wanted[name] = self._times(bits, scales, kind)
        self.save(SETTINGS)

    def _times(self, bits: NDArray[np.int64], scales: NDArray[np.float32], kind: str) -> Matrix:
        """Multiply one by one."""
        found = np.empty(bits.shape)
        for row, column in np.ndindex(*bits.shape):
            at = {"block": (row // BLOCK[0], column // BLOCK[1]), "row": (row, 0), "tensor": ()}[kind]
            found[row, column] = value(int(bits[row, column])) * float(scales[at])
        return found

    def save(self, settings: dict[str, Any] | None) -> None:
        config = models.config("llama", tie_word_embeddings=False)
        write_json(self.folder / "config.json", config | ({"quantization_config": settings} if settings else {}))
        write(self.folder / "model.safetensors", self.tensors)

    def converted(self, name: str, file_type: str | None = None) -> Matrix:
        """Convert and read one tensor, which is F32, or BF16 by default."""
        output = self.folder.with_suffix(".gguf")
        write_model(self.folder, output, file_type=file_type, tell=lambda *_: None)
        header = read_header(output)
        tensor = next(tensor for tensor in header.tensors if tensor.name == name)
        with output.open("rb") as file:
            file.seek(header.data_offset + tensor.offset)
            data = file.read(tensor.size)
        if tensor.type.name == "BF16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        return np.frombuffer(data, "<f4").astype(np.float64)
