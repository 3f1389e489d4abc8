"""A hybrid model with random weights: layers of convolution, which cannot go back, between layers of attention.

Made on the spot, with SmolLM2's vocabulary and template, for measuring what a conversation costs; it makes no sense.
"""

from pathlib import Path

import numpy as np

from bench.peers import MODELS, SMOL
from lcrt.gguf.reader import ArrayRef, Header, read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf

N_EMBD, N_FF, N_LAYER, N_HEAD, N_CONV, N_CTX = 576, 1536, 16, 9, 3, 8192


def hybrid() -> Path:
    """Where it is; made when it is not there."""
    out = MODELS / "hybrid-random.f16.gguf"
    if not out.exists():
        part = out.with_suffix(".part")
        _write(part)
        part.rename(out)
    return out


def _write(path: Path) -> None:
    source = read_header(SMOL)
    vocab = {key: _value(source, key) for key in source.metadata if key.startswith("tokenizer.")}
    n_vocab = len(source.array("tokenizer.ggml.tokens"))
    rng = np.random.default_rng(7)
    tensors = [_tensor(name, shape, rng) for name, shape in _shapes(n_vocab).items()]
    write_gguf(path, _metadata() | vocab, tensors)


def _value(source: Header, key: str) -> Plain:
    value = source.metadata[key]
    return Typed(value.type, source.array(key)) if isinstance(value, ArrayRef) else value


def _metadata() -> dict[str, Plain]:
    heads = [0 if layer % 4 else N_HEAD for layer in range(N_LAYER)]
    return {
        "general.architecture": "lfm2",
        "general.name": "hybrid random",
        "lfm2.context_length": N_CTX,
        "lfm2.embedding_length": N_EMBD,
        "lfm2.block_count": N_LAYER,
        "lfm2.feed_forward_length": N_FF,
        "lfm2.attention.head_count": N_HEAD,
        "lfm2.attention.head_count_kv": Typed(ValueType.INT32, heads),
        "lfm2.attention.layer_norm_rms_epsilon": 1e-5,
        "lfm2.rope.freq_base": 10000.0,
        "lfm2.shortconv.l_cache": N_CONV,
    }


def _shapes(n_vocab: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (N_EMBD, n_vocab), "token_embd_norm": (N_EMBD,)}
    for layer in range(N_LAYER):
        name = f"blk.{layer}."
        shapes |= {name + "attn_norm": (N_EMBD,), name + "ffn_norm": (N_EMBD,)}
        shapes |= {
            name + "ffn_gate": (N_EMBD, N_FF),
            name + "ffn_up": (N_EMBD, N_FF),
            name + "ffn_down": (N_FF, N_EMBD),
        }
        if layer % 4:
            shapes[name + "shortconv.conv"] = (N_CONV, N_EMBD)
            shapes[name + "shortconv.in_proj"] = (N_EMBD, 3 * N_EMBD)
            shapes[name + "shortconv.out_proj"] = (N_EMBD, N_EMBD)
        else:
            shapes |= {f"{name}attn_{part}": (N_EMBD, N_EMBD) for part in ("q", "k", "v", "output")}
            shapes |= {f"{name}attn_{part}_norm": (N_EMBD // N_HEAD,) for part in ("q", "k")}
    return shapes


def _tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Norms are one; convolutions and norms are stored in full."""
    if name.endswith("norm"):
        values = np.ones(shape[::-1], np.float32)
    else:
        values = rng.normal(0.0, shape[0] ** -0.5, shape[::-1]).astype(np.float32)
    full = len(shape) == 1 or name.endswith("conv")
    return Tensor(
        f"{name}.weight", "F32" if full else "F16", shape, (values if full else values.astype(np.float16)).tobytes()
    )
