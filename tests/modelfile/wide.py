"""A model whose rows are as wide as the largest blocks of any type, and its parts."""

import hashlib
from pathlib import Path

import numpy as np

from lcrt.gguf.reader import read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, encode_gguf, write_gguf
from tests.native.tiny import TOKENS, metadata, random_tensor

WIDTH = 256


def tensors(width: int = WIDTH) -> list[Tensor]:
    """Random weights of one layer, F32."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (width, len(TOKENS)),
        "output_norm": (width,),
        "output": (width, len(TOKENS)),
        "blk.0.attn_norm": (width,),
        "blk.0.ffn_norm": (width,),
        **{f"blk.0.{name}": (width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")},
        **{f"blk.0.{name}": (width, width) for name in ("ffn_gate", "ffn_up", "ffn_down")},
    }
    rng = np.random.default_rng(3)
    return [random_tensor(name, shape, rng) for name, shape in shapes.items()]


def keys(width: int = WIDTH) -> dict[str, Plain]:
    """The metadata that goes with them."""
    return metadata("llama", llama__embedding_length=width, llama__feed_forward_length=width)


def model(width: int = WIDTH) -> bytes:
    """The whole file."""
    return b"".join(encode_gguf(keys(width), tensors(width)))


def shards(count: int) -> dict[str, bytes]:
    """The same file in parts, by file name."""
    all_tensors = tensors()
    said: dict[str, Plain] = {
        "split.count": Typed(ValueType.UINT16, count),
        "split.tensors.count": Typed(ValueType.INT32, len(all_tensors)),
    }
    files: dict[str, bytes] = {}
    for i in range(count):
        part = all_tensors[i * len(all_tensors) // count : (i + 1) * len(all_tensors) // count]
        head = (keys() if i == 0 else {}) | said | {"split.no": Typed(ValueType.UINT16, i)}
        files[f"m-{i + 1:05}-of-{count:05}.gguf"] = b"".join(encode_gguf(head, part))
    return files


def importance(path: Path, but: str = "") -> bytes:
    """A matrix as llama-imatrix writes it, with an entry for each tensor of weights but one."""
    found = [tensor for tensor in tensors() if len(tensor.shape) == 2 and tensor.name != but]
    written = []
    for tensor in found:
        sums = np.linspace(1, 9, tensor.shape[0], dtype=np.float32)
        written.append(Tensor(tensor.name + ".in_sum2", "F32", (tensor.shape[0], 1), sums.tobytes()))
        written.append(Tensor(tensor.name + ".counts", "F32", (1, 1), np.float32(4).tobytes()))
    write_gguf(path, {"general.type": "imatrix", "imatrix.chunk_count": 1, "imatrix.chunk_size": 512}, written)
    return path.read_bytes()


def types(path: Path) -> dict[str, str]:
    """The type of each tensor in a file."""
    return {tensor.name: tensor.type.name for tensor in read_header(path).tensors}


def digest(data: bytes) -> str:
    """What the store calls those bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
