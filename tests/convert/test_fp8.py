"""Checkpoints in FP8: their numbers times their scales are what is converted."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lcrt.convert import plan
from lcrt.convert.write import write_model
from lcrt.errors import InvalidRequest, LcrtError, UnsupportedModel
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


@pytest.mark.parametrize(
    ("end", "kind"), [("weight_scale_inv", "block"), ("weight_scale", "row"), ("weight_scale", "tensor")]
)
def test_numbers_are_multiplied_by_their_scales(
    end: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_BLOCK", 700)  # a few rows at a time
    checkpoint = Checkpoint(tmp_path / "model", end, kind)
    found = checkpoint.converted("blk.1.ffn_up.weight", "F32")
    wanted = checkpoint.wanted["model.layers.1.mlp.up_proj.weight"].ravel()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_rows_are_moved_after_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_BLOCK", 5000)
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale_inv", "block")
    found = checkpoint.converted("blk.0.attn_q.weight", "F32")
    heads = checkpoint.wanted["model.layers.0.self_attn.q_proj.weight"].reshape(4, 2, 16, -1)
    np.testing.assert_allclose(found, heads.swapaxes(1, 2).ravel(), rtol=1e-6)


def test_they_become_bf16_unless_something_else_is_asked_for(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale_inv", "block")
    found = checkpoint.converted("blk.0.ffn_down.weight")
    np.testing.assert_allclose(found, checkpoint.wanted["model.layers.0.mlp.down_proj.weight"].ravel(), rtol=2**-8)


NAME = "model.layers.0.mlp.up_proj."


@pytest.mark.parametrize(
    ("change", "settings", "kind", "reason"),
    [
        ({NAME + "weight_scale": None}, SETTINGS, InvalidRequest, "no matrix with one scale"),
        ({NAME + "weight_scale_inv": ("F32", (), bytes(4))}, SETTINGS, InvalidRequest, "no matrix with one scale"),
        ({NAME + "weight_scale": ("F32", (3,), bytes(12))}, SETTINGS, InvalidRequest, "has a shape that does not fit"),
        ({NAME + "weight_scale": ("I32", (), bytes(4))}, SETTINGS, UnsupportedModel, "weight_scale holds I32"),
        ({}, SETTINGS | {"weight_block_size": [0, 1]}, InvalidRequest, "weight_block_size must be two"),
        ({}, SETTINGS | {"quant_method": "awq"}, UnsupportedModel, "their kind is awq"),
        ({}, {"bits": 4}, UnsupportedModel, "their kind is not told"),
        ({}, None, UnsupportedModel, "no place for"),
        ({NAME + "weight": ("I8", (160, 128), bytes(160 * 128))}, SETTINGS, UnsupportedModel, "holds I8 numbers"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused(
    change: dict[str, Any], settings: dict[str, Any] | None, kind: type[LcrtError], reason: str, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale", "tensor")
    changed = checkpoint.tensors | change
    checkpoint.tensors = {name: tensor for name, tensor in changed.items() if tensor is not None}
    checkpoint.save(settings)
    with pytest.raises(kind, match=reason):
        checkpoint.converted("token_embd.weight")


def test_a_large_block_takes_no_memory(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", "weight_scale", "row")
    for name in [name for name in checkpoint.tensors if name.endswith("weight_scale")]:
        checkpoint.tensors[name] = ("F32", (1, 1), np.float32(1).tobytes())
    checkpoint.save(SETTINGS | {"weight_block_size": [2**30, 2**30]})
    assert checkpoint.converted("blk.0.ffn_down.weight").size == 128 * 160
