"""Models of a few kilobytes with random weights, for everything that needs no sense in the answers."""

from pathlib import Path

import numpy as np

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf

N_EMBD = 32
N_FF = 64
N_CTX = 512
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'critic' %}{{ raise_exception('no critics here') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *LETTERS]
KINDS = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * (1 + len(LETTERS))]

VOCAB: dict[str, Plain] = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.scores": Typed(ValueType.FLOAT32, [0.0] * len(TOKENS)),
    "tokenizer.ggml.token_type": Typed(ValueType.INT32, KINDS),
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.add_space_prefix": False,
    "tokenizer.chat_template": TEMPLATE,
}
HYPERPARAMETERS: dict[str, Plain] = {
    "context_length": N_CTX,
    "embedding_length": N_EMBD,
    "block_count": 1,
    "feed_forward_length": N_FF,
    "attention.head_count": 4,
    "attention.head_count_kv": 4,
    "attention.layer_norm_rms_epsilon": 1e-5,
}
LLAMA_SHAPES: dict[str, tuple[int, ...]] = {
    "token_embd": (N_EMBD, len(TOKENS)),
    "output_norm": (N_EMBD,),
    "output": (N_EMBD, len(TOKENS)),
    "blk.0.attn_norm": (N_EMBD,),
    "blk.0.attn_q": (N_EMBD, N_EMBD),
    "blk.0.attn_k": (N_EMBD, N_EMBD),
    "blk.0.attn_v": (N_EMBD, N_EMBD),
    "blk.0.attn_output": (N_EMBD, N_EMBD),
    "blk.0.ffn_norm": (N_EMBD,),
    "blk.0.ffn_gate": (N_EMBD, N_FF),
    "blk.0.ffn_up": (N_EMBD, N_FF),
    "blk.0.ffn_down": (N_FF, N_EMBD),
}


def metadata(arch: str, **changes: Plain) -> dict[str, Plain]:
    """The keys of a whole model of that architecture; dots in a change's name are written ``__``."""
    out: dict[str, Plain] = {"general.architecture": arch, "general.name": f"tiny {arch}"}
    out |= {f"{arch}.{key}": value for key, value in HYPERPARAMETERS.items()}
    return out | VOCAB | {key.replace("__", "."): value for key, value in changes.items()}


def random_tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Random weights; norms are near one, and what a state decays by is negative, or it would grow for ever."""
    values = rng.normal(1.0 if name.endswith("_norm") else 0.0, 0.3, shape[::-1]).astype(np.float32)
    values = -np.abs(values) if name.endswith("ssm_a") else values
    suffix = "" if name.endswith(("ssm_a", "ssm_d")) else ".weight"
    return Tensor(name if name.endswith(".bias") else name + suffix, "F32", shape, values.tobytes())


def write(path: Path, keys: dict[str, Plain], shapes: dict[str, tuple[int, ...]]) -> Path:
    """A model file with those keys and random tensors of those shapes."""
    rng = np.random.default_rng(7)
    write_gguf(path, keys, [random_tensor(name, shape, rng) for name, shape in shapes.items()])
    return path


def llama(path: Path, **changes: Plain) -> Path:
    """A model with one layer of attention."""
    return write(path, metadata("llama", **changes), LLAMA_SHAPES)


def byte_letters() -> list[str]:
    """The character that stands for each byte in vocabularies of bytes: itself where it can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) for byte in seen] + [chr(256 + i) for i in range(len(others))]


def byte_pairs(path: Path, pre: str) -> Path:
    """A vocabulary of bytes and no weights, whose texts are cut into words as ``pre`` names it."""
    tokens = ["<unk>", "<s>", "</s>", *byte_letters()]
    changes: dict[str, Plain] = {
        "tokenizer__ggml__model": "gpt2",
        "tokenizer__ggml__pre": pre,
        "tokenizer__ggml__tokens": tokens,
        "tokenizer__ggml__merges": ["a b"],
        "tokenizer__ggml__scores": Typed(ValueType.FLOAT32, [0.0] * len(tokens)),
        "tokenizer__ggml__token_type": Typed(ValueType.INT32, [UNKNOWN, CONTROL, CONTROL, *[NORMAL] * 256]),
        "tokenizer__ggml__add_bos_token": True,
        "tokenizer__ggml__add_eos_token": True,
    }
    return write(path, metadata("llama", **changes), {})


def vocabulary(path: Path) -> Path:
    """A file with a vocabulary and no weights."""
    return write(path, metadata("llama"), {})


def mamba(path: Path) -> Path:
    """A recurrent model, which cannot go back."""
    inner, state, rank, kernel = 2 * N_EMBD, 8, 2, 4
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (N_EMBD, len(TOKENS)),
        "output_norm": (N_EMBD,),
        "blk.0.attn_norm": (N_EMBD,),
        "blk.0.ssm_in": (N_EMBD, 2 * inner),
        "blk.0.ssm_conv1d": (kernel, inner),
        "blk.0.ssm_conv1d.bias": (inner,),
        "blk.0.ssm_x": (inner, rank + 2 * state),
        "blk.0.ssm_dt": (rank, inner),
        "blk.0.ssm_dt.bias": (inner,),
        "blk.0.ssm_a": (state, inner),
        "blk.0.ssm_d": (inner,),
        "blk.0.ssm_out": (inner, N_EMBD),
    }
    changes: dict[str, Plain] = {
        "mamba__ssm__conv_kernel": kernel,
        "mamba__ssm__inner_size": inner,
        "mamba__ssm__state_size": state,
        "mamba__ssm__time_step_rank": rank,
    }
    return write(path, metadata("mamba", **changes), shapes)


def windowed(path: Path) -> Path:
    """Two layers of attention, of which the first sees only the last 32 positions."""
    shapes: dict[str, tuple[int, ...]] = {name: LLAMA_SHAPES[name] for name in ("token_embd", "output_norm")}
    for layer in range(2):
        for name, shape in LLAMA_SHAPES.items():
            if name.startswith("blk.0."):
                shapes[name.replace("blk.0", f"blk.{layer}")] = shape
        shapes[f"blk.{layer}.post_attention_norm"] = (N_EMBD,)
        shapes[f"blk.{layer}.post_ffw_norm"] = (N_EMBD,)
    return write(path, metadata("gemma2", gemma2__block_count=2, gemma2__attention__sliding_window=32), shapes)
