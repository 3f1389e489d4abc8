"""A tiny model of the kind that speaks in channels: marks are tokens, every message has a header.

With another template, ``TAGGED``, it thinks between tags. Its weights are random but for what makes some tokens
likelier wherever they stand, so that it comes to an end of its thoughts and of its texts.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf
from tests.native.tiny import CONTROL, N_EMBD, NORMAL, USER_DEFINED, byte_letters, metadata, random_tensor

N_HEAD = 4
N_EXPERT = 4
N_CTX = 1024
MARKS = (
    *("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>"),
    *("<|message|>", "<|call|>"),
)
TAGS = ("<think>", "</think>")
WORDS = ("assistant", "analysis", "commentary", "final", "json", "user", '{"', '":', '"}')
LIKELY: Mapping[str, float] = {"<|end|>": 8.0, "final": 1.5, "</think>": 2.0, '"': 2.0, "}": 2.0, '"}': 2.0, ",": -1.0}
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>"
    "{% else %}<|start|>{{ m.role }}<|message|>{% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
TAGGED = (
    "{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n"
    "{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
)


def _words() -> Iterator[tuple[str, str]]:
    """The pairs that grow into the words, letter by letter."""
    for word in WORDS:
        yield from ((word[:i], word[i]) for i in range(1, len(word)))


def tokens() -> list[str]:
    """Bytes, the beginnings of the words, and the tags and marks behind them."""
    words = dict.fromkeys(left + right for left, right in _words())
    return [*byte_letters(), *words, *TAGS, *MARKS]


def keys(**changes: Plain) -> dict[str, Plain]:
    """The metadata of the model."""
    texts = tokens()
    kinds = [CONTROL if text in MARKS else USER_DEFINED if text in TAGS else NORMAL for text in texts]
    own: dict[str, Plain] = {
        "gpt-oss.context_length": N_CTX,
        "gpt-oss.attention.sliding_window": 128,
        "gpt-oss.expert_feed_forward_length": N_EMBD,
        "gpt-oss.expert_count": N_EXPERT,
        "gpt-oss.expert_used_count": 2,
        "gpt-oss.attention.key_length": N_EMBD // N_HEAD,
        "gpt-oss.attention.value_length": N_EMBD // N_HEAD,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.merges": list(dict.fromkeys(f"{left} {right}" for left, right in _words())),
        "tokenizer.ggml.token_type": Typed(ValueType.INT32, kinds),
        "tokenizer.ggml.bos_token_id": texts.index("<|startoftext|>"),
        "tokenizer.ggml.eos_token_id": texts.index("<|return|>"),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }
    plain = metadata("gpt-oss")
    del plain["tokenizer.ggml.scores"]
    return plain | own | {key.replace("__", "."): value for key, value in changes.items()}


def shapes() -> dict[str, tuple[int, ...]]:
    """One layer of attention with sinks, whose tokens go to two of four experts."""
    names: dict[str, tuple[int, ...]] = {
        "token_embd": (N_EMBD, len(tokens())),
        "output_norm": (N_EMBD,),
        "output": (N_EMBD, len(tokens())),
        "blk.0.attn_norm": (N_EMBD,),
        "blk.0.post_attention_norm": (N_EMBD,),
        "blk.0.attn_sinks": (N_HEAD,),
        "blk.0.ffn_gate_inp": (N_EMBD, N_EXPERT),
        "blk.0.ffn_gate_inp.bias": (N_EXPERT,),
    }
    names |= {f"blk.0.attn_{part}": (N_EMBD, N_EMBD) for part in ("q", "k", "v", "output")}
    names |= {f"blk.0.attn_{part}.bias": (N_EMBD,) for part in ("q", "k", "v", "output")}
    names |= {f"blk.0.ffn_{part}_exps": (N_EMBD, N_EMBD, N_EXPERT) for part in ("gate", "up", "down")}
    return names | {f"blk.0.ffn_{part}_exps.bias": (N_EMBD, N_EXPERT) for part in ("gate", "up", "down")}


def model(path: Path, **changes: Plain) -> Path:
    """Write the model. The first number of every state is the same one, by which ``LIKELY`` tokens are told."""
    rng = np.random.default_rng(7)
    tensors = [random_tensor(name, shape, rng) for name, shape in shapes().items()]
    write_gguf(path, keys(**changes), [_leaning(tensor) for tensor in tensors])
    return path


def _leaning(tensor: Tensor) -> Tensor:
    if tensor.name not in ("token_embd.weight", "output.weight"):
        return tensor
    values = np.frombuffer(tensor.data, np.float32).reshape(tensor.shape[::-1]).copy()
    values[:, 0] = 4.0 if tensor.name == "token_embd.weight" else [LIKELY.get(text, 0.0) / 4 for text in tokens()]
    return Tensor(tensor.name, tensor.type, tensor.shape, values.tobytes())
