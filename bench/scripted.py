"""A model whose answer is known before: every token is followed by the next one of a fixed order.

It is SmolLM2 with its own layers, so that a pass costs what it costs there, but nothing of what they compute
is kept: the last matrix of attention and of feed-forward is zero. Embeddings are random signs, and the output
matrix has for each token the embedding of the one before it. The order has every token once, so no text of it
comes twice, and drafts can only come from a prompt that holds the text or one like it.
"""

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.peers import MODELS, SMOL
from lcrt.gguf.reader import TensorInfo, read_header
from lcrt.gguf.writer import Plain, Raw, Tensor, write_gguf

N_SPECIAL = 20
"""Tokens at the beginning of SmolLM2's vocabulary that are no text."""

_BLOCK = 32


def order(n_vocab: int) -> list[int]:
    """The text that the model knows, without an end: its first token follows its last."""
    tokens = list(range(N_SPECIAL, n_vocab))
    random.Random(1).shuffle(tokens)
    return tokens


def scripted() -> Path:
    """Where it is; made when it is not there."""
    out = MODELS / f"{SMOL.stem}.scripted.gguf"
    if not out.exists():
        part = out.with_suffix(".part")
        _write(part)
        part.rename(out)
    return out


def edited(text: list[int], n_between: int, rng: random.Random) -> list[int]:
    """A text with a small change about every ``n_between`` tokens: one replaced, one or two more, or less."""
    out: list[int] = []
    next_change = rng.randint(n_between // 2, n_between)
    at = 0
    while at < len(text):
        if len(out) < next_change:
            out.append(text[at])
            at += 1
            continue
        kind = rng.randrange(3)
        out += rng.choices(text, k=0 if kind == 0 else rng.randint(1, 2))
        at += 0 if kind == 1 else rng.randint(1, 2)
        next_change = len(out) + rng.randint(n_between // 2, n_between * 3 // 2)
    return out


def _write(path: Path) -> None:
    source = read_header(SMOL)
    n_vocab = len(source.array("tokenizer.ggml.tokens"))
    metadata: dict[str, Plain] = {key: Raw(source.raw(key)) for key in source.metadata}
    weights = np.memmap(source.path, np.uint8, "r", source.data_offset)
    (n_embd,) = source.tensors[-1].shape
    embeddings = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (n_vocab, n_embd))
    tokens = np.array(order(n_vocab))
    rows = np.zeros_like(embeddings)
    rows[np.roll(tokens, -1)] = embeddings[tokens]
    written = [_changed(tensor, weights, embeddings) for tensor in source.tensors]
    output = Tensor("output.weight", "Q8_0", (n_embd, n_vocab), _whole_numbers(rows))
    write_gguf(path, metadata, [*written, output])


def _changed(tensor: TensorInfo, weights: NDArray[np.uint8], embeddings: NDArray[np.int8]) -> Tensor:
    data = weights[tensor.offset : tensor.offset + tensor.size].tobytes()
    kind = tensor.type.name
    if tensor.name == "token_embd.weight":
        kind, data = "Q8_0", _whole_numbers(embeddings)
    elif tensor.name.endswith(("attn_output.weight", "ffn_down.weight")):
        data = bytes(len(data))
    elif tensor.name == "output_norm.weight":
        data = np.ones(tensor.shape, np.float32).tobytes()
    return Tensor(tensor.name, kind, tensor.shape, data)


def _whole_numbers(values: NDArray[np.int8]) -> bytes:
    """Spell whole numbers as Q8_0, exactly: blocks with a factor of one."""
    blocks = np.empty((values.size // _BLOCK, 2 + _BLOCK), np.uint8)
    blocks[:, :2] = np.ones(1, np.float16).view(np.uint8)
    blocks[:, 2:] = values.reshape(-1, _BLOCK).view(np.uint8)
    return blocks.tobytes()
