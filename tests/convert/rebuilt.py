"""The folder that a GGUF may have been made of: SmolLM2's, with its weights as they are after quantization."""

import json
from pathlib import Path

import numpy as np

from lcrt.convert.numbers import Array
from lcrt.gguf import keys
from lcrt.gguf.reader import Header, TensorInfo, read_header
from tests.convert.folders import encoded, write_json

CONTROL, USER_DEFINED = 3, 4
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
BLOCK = 32


def write_folder(folder: Path, path: Path, *, n_shards: int = 2) -> None:
    """Everything that makes a model of the file again, the weights in BF16."""
    folder.mkdir(parents=True)
    header = read_header(path)
    write_tokenizer(folder, header)
    write_json(folder / "config.json", config(header))
    index: dict[str, str] = {}
    for number in range(n_shards):
        file = f"model-{number + 1:05}-of-{n_shards:05}.safetensors"
        index |= dict.fromkeys(_write_shard(folder / file, header, header.tensors[number::n_shards]), file)
    write_json(folder / "model.safetensors.index.json", {"weight_map": index})


def config(header: Header) -> dict[str, object]:
    """Its configuration as the source has it."""
    told = {key.removeprefix("llama."): value for key, value in header.metadata.items()}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": told["embedding_length"],
        "intermediate_size": told["feed_forward_length"],
        "num_hidden_layers": told["block_count"],
        "num_attention_heads": told["attention.head_count"],
        "num_key_value_heads": told["attention.head_count_kv"],
        "max_position_embeddings": told["context_length"],
        "rms_norm_eps": told["attention.layer_norm_rms_epsilon"],
        "rope_theta": told["rope.freq_base"],
        "vocab_size": told["vocab_size"],
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "rope_interleaved": False,
        "torch_dtype": "bfloat16",
    }


def write_tokenizer(folder: Path, header: Header) -> None:
    """Its tokenizer as the source has it."""
    texts = [str(text) for text in header.array("tokenizer.ggml.tokens")]
    kinds = header.array("tokenizer.ggml.token_type")
    added = [
        {"id": i, "content": text, "special": kind == CONTROL, "normalized": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        for i, (text, kind) in enumerate(zip(texts, kinds, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    digits = {"type": "Digits", "individual_digits": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": {text: i for i, text in enumerate(texts)},
        "merges": header.array("tokenizer.ggml.merges"),
    }
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }
    write_json(folder / "tokenizer.json", tokenizer)
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    special = {f"{name}_token": texts[_id(header, key)] for name, key in names.items()}
    settings = {**special, "add_bos_token": False, "chat_template": header.metadata["tokenizer.chat_template"]}
    write_json(folder / "tokenizer_config.json", settings)


def _id(header: Header, key: str) -> int:
    value = header.metadata[f"tokenizer.ggml.{key}_token_id"]
    assert isinstance(value, int)
    return value


def _write_shard(path: Path, header: Header, tensors: tuple[TensorInfo, ...]) -> list[str]:
    entries: dict[str, object] = {}
    parts: list[bytes] = []
    end = 0
    for tensor in tensors:
        values = _restored(header, tensor)
        part = encoded(values, "BF16")
        begin, end = end, end + len(part)
        entries[_name(tensor.name)] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [begin, end]}
        parts.append(part)
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    return list(entries)


def _name(gguf: str) -> str:
    parts = gguf.removesuffix(".weight").split(".")
    layer = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
    return f"{layer}{NAMES[parts[-1]]}.weight"


def _restored(header: Header, tensor: TensorInfo) -> Array:
    """A tensor's numbers in the order of the source."""
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        values = _numbers(file.read(tensor.size), tensor.type.name).reshape(tensor.shape[::-1])
    for name, heads in (("attn_q", "head_count"), ("attn_k", "head_count_kv")):
        if tensor.name.endswith(f"{name}.weight"):
            n_heads = keys.arch_number(header, f"attention.{heads}")
            turned = values.reshape(n_heads, -1, 2, values.shape[1]).swapaxes(1, 2)
            return turned.reshape(values.shape)
    return values


def _numbers(data: bytes, kind: str) -> Array:
    """Undo the quantization."""
    if kind == "F32":
        return np.frombuffer(data, "<f4")
    blocks: Array
    if kind == "Q8_0":
        blocks = np.frombuffer(data, [("d", "<f2"), ("q", "i1", BLOCK)])
        restored: Array = blocks["d"].astype(np.float32)[:, None] * blocks["q"]
        return restored.ravel()
    assert kind == "Q4_1"
    blocks = np.frombuffer(data, [("d", "<f2"), ("m", "<f2"), ("q", "u1", BLOCK // 2)])
    digits = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
    restored = blocks["d"].astype(np.float32)[:, None] * digits + blocks["m"].astype(np.float32)[:, None]
    return restored.ravel()
