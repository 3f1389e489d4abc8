"""Tiny models for what ``tiny`` has not: memories of two kinds at once, and experts."""

from pathlib import Path

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Typed
from tests.native.tiny import LLAMA_SHAPES, N_EMBD, N_FF, TOKENS, metadata, write

N_HEAD = 4
N_CONV = 3
N_EXPERT = 4


def hybrid(path: Path) -> Path:
    """Layers of convolution, which cannot go back, between layers of attention."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (N_EMBD, len(TOKENS)), "token_embd_norm": (N_EMBD,)}
    for layer in range(4):
        name = f"blk.{layer}"
        shapes |= {
            f"{name}.attn_norm": (N_EMBD,),
            f"{name}.ffn_norm": (N_EMBD,),
            f"{name}.ffn_gate": (N_EMBD, N_FF),
            f"{name}.ffn_up": (N_EMBD, N_FF),
            f"{name}.ffn_down": (N_FF, N_EMBD),
        }
        if layer % 2 == 0:
            shapes |= {
                f"{name}.shortconv.conv": (N_CONV, N_EMBD),
                f"{name}.shortconv.in_proj": (N_EMBD, 3 * N_EMBD),
                f"{name}.shortconv.out_proj": (N_EMBD, N_EMBD),
            }
        else:
            shapes |= {f"{name}.attn_{part}": (N_EMBD, N_EMBD) for part in ("q", "k", "v", "output")}
            shapes |= {f"{name}.attn_{part}_norm": (N_EMBD // N_HEAD,) for part in ("q", "k")}
    changes: dict[str, Plain] = {
        "lfm2__block_count": 4,
        "lfm2__attention__head_count_kv": Typed(ValueType.INT32, [0, N_HEAD, 0, N_HEAD]),
        "lfm2__shortconv__l_cache": N_CONV,
    }
    return write(path, metadata("lfm2", **changes), shapes)


def experts(path: Path) -> Path:
    """One layer whose tokens go to two of four experts."""
    shapes = {name: shape for name, shape in LLAMA_SHAPES.items() if ".ffn_" not in name or name.endswith("norm")}
    shapes |= {
        "blk.0.ffn_gate_inp": (N_EMBD, N_EXPERT),
        "blk.0.ffn_gate_exps": (N_EMBD, N_FF, N_EXPERT),
        "blk.0.ffn_up_exps": (N_EMBD, N_FF, N_EXPERT),
        "blk.0.ffn_down_exps": (N_FF, N_EMBD, N_EXPERT),
    }
    return write(path, metadata("llama", llama__expert_count=N_EXPERT, llama__expert_used_count=2), shapes)
