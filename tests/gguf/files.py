"""GGUF files for tests."""

from pathlib import Path

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf

METADATA: dict[str, Plain] = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "general.file_type": 1,
    "general.quantized": True,
    "llama.context_length": 512,
    "llama.embedding_length": 32,
    "llama.block_count": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.big": 2**40,
    "llama.below": -3,
    "tokenizer.ggml.tokens": ["<s>", "a", "é"],
    "tokenizer.ggml.scores": [0.1, -1.0, 2.5],
    "tokenizer.ggml.flags": [True, False],
    "tokenizer.ggml.none": Typed(ValueType.INT32, ()),
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS = (
    Tensor("token_embd.weight", "F16", (32, 3), bytes(range(192))),
    Tensor("blk.0.attn_q.weight", "Q4_0", (32, 2), bytes(36)),
    Tensor("output_norm.weight", "F32", (32,), bytes(128)),
)


def tiny(path: Path) -> Path:
    """A file with a value of every usual type, three tensors, 192 + 36 + 128 bytes of data."""
    write_gguf(path, METADATA, TENSORS)
    return path
