"""What is in the small folders: a configuration as each family writes it, and the shapes of its tensors."""

from pathlib import Path
from typing import Any

from tests.convert import folders_tokenizers as tokenizers
from tests.convert.folders import Config, Weights, random_weights, stored, write_json, write_weights

Shapes = dict[str, tuple[int, ...]]

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "bert": "BertModel",
    "nomic_bert": "NomicBertModel",
}
DECODER: Config = {
    "hidden_size": 128,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float32",
}
LLAMA3_SCALING: Config = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, Config] = {
    "llama": {"rope_scaling": LLAMA3_SCALING, "attention_bias": False, "mlp_bias": False},
    "mistral": {"hidden_size": 96, "sliding_window": None},
    "qwen2": {"head_dim": None, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "use_sliding_window": False},
    "qwen3": {"hidden_size": 96, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "attention_bias": False},
    "gemma2": {
        "tie_word_embeddings": True,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 32,
        "sliding_window": 24,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
        "rms_norm_eps": 1e-6,
    },
    "gemma3_text": {
        "tie_word_embeddings": True,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 32,
        "num_hidden_layers": 4,
        "sliding_window": 24,
        "sliding_window_pattern": 3,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 1000.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "rms_norm_eps": 1e-6,
    },
    "phi3": {"head_dim": None, "original_max_position_embeddings": 512, "rope_scaling": None, "sliding_window": 511},
}
BERT: Config = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
}
NOMIC: Config = {
    "n_embd": 64,
    "n_inner": 96,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 8192,
    "max_trained_positions": 2048,
    "type_vocab_size": 2,
    "layer_norm_epsilon": 1e-12,
    "activation_function": "swiglu",
    "causal": False,
    "prenorm": False,
    "use_rms_norm": False,
    "parallel_block": False,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
}


def config(family: str, **changes: Any) -> Config:
    """The configuration of a family; a change to None leaves that key out."""
    out: Config = {"architectures": [ARCHITECTURES[family]], "model_type": family}
    if family == "bert":
        out |= BERT
    elif family == "nomic_bert":
        out |= NOMIC
    else:
        out |= DECODER | FAMILIES[family]
    out |= {"vocab_size": tokenizers.SIZES[tokenizers.KINDS[family]]} | changes
    return {key: value for key, value in out.items() if value is not None}


def shapes(of: Config) -> Shapes:
    """Names and shapes of all tensors."""
    if of["model_type"] == "bert":
        return _bert(of)
    return _nomic(of) if of["model_type"] == "nomic_bert" else _decoder(of)


def weights(of: Config, seed: int = 3) -> Weights:
    """Random weights; Gemma's norms are what is added to one."""
    out = random_weights(shapes(of), seed)
    if not of["model_type"].startswith("gemma"):
        return out
    return {name: values - 1 if values.ndim == 1 else values for name, values in out.items()}


def write(folder: Path, of: Config, *, dtype: str = "F32", n_shards: int = 1) -> Weights:
    """A whole folder; returns the weights that are in it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = weights(of)
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    write_json(folder / "config.json", of | {"torch_dtype": names[dtype]})
    tokenizers.write(folder, of["model_type"])
    write_weights(folder, made, dtype=dtype, n_shards=n_shards)
    return stored(made, dtype)


def _decoder(of: Config) -> Shapes:
    width, vocab = of["hidden_size"], of["vocab_size"]
    out: Shapes = {"model.embed_tokens.weight": (vocab, width), "model.norm.weight": (width,)}
    if not of["tie_word_embeddings"]:
        out["lm_head.weight"] = (vocab, width)
    for layer in range(of["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        out |= {at + name: shape for name, shape in (_attention(of) | _feed_forward(of) | _norms(of)).items()}
    return out


def _attention(of: Config) -> Shapes:
    width, n_heads, n_kv = of["hidden_size"], of["num_attention_heads"], of["num_key_value_heads"]
    head = of.get("head_dim", width // n_heads)
    out: Shapes = {"self_attn.o_proj.weight": (width, n_heads * head)}
    if of["model_type"] == "phi3":
        return out | {"self_attn.qkv_proj.weight": ((n_heads + 2 * n_kv) * head, width)}
    for part, n in (("q", n_heads), ("k", n_kv), ("v", n_kv)):
        out[f"self_attn.{part}_proj.weight"] = (n * head, width)
        if of["model_type"] == "qwen2" or of.get("attention_bias"):
            out[f"self_attn.{part}_proj.bias"] = (n * head,)
        if part != "v" and of["model_type"] in ("qwen3", "gemma3_text"):
            out[f"self_attn.{part}_norm.weight"] = (head,)
    return out


def _feed_forward(of: Config) -> Shapes:
    width, inner = of["hidden_size"], of["intermediate_size"]
    out: Shapes = {"mlp.down_proj.weight": (width, inner)}
    if of["model_type"] == "phi3":
        return out | {"mlp.gate_up_proj.weight": (2 * inner, width)}
    return out | {"mlp.gate_proj.weight": (inner, width), "mlp.up_proj.weight": (inner, width)}


def _norms(of: Config) -> Shapes:
    names = ["input_layernorm", "post_attention_layernorm"]
    if of["model_type"].startswith("gemma"):
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    return {f"{name}.weight": (of["hidden_size"],) for name in names}


def _both(name: str, shape: tuple[int, ...]) -> Shapes:
    return {name + ".weight": shape, name + ".bias": shape[:1]}


def _bert(of: Config) -> Shapes:
    width, inner = of["hidden_size"], of["intermediate_size"]
    out: Shapes = {
        "embeddings.word_embeddings.weight": (of["vocab_size"], width),
        "embeddings.position_embeddings.weight": (of["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": (of["type_vocab_size"], width),
        **_both("embeddings.LayerNorm", (width,)),
        **_both("pooler.dense", (width, width)),
    }
    for layer in range(of["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            out |= _both(at + part, (width, width))
        out |= _both(at + "intermediate.dense", (inner, width)) | _both(at + "output.dense", (width, inner))
        out |= _both(at + "attention.output.LayerNorm", (width,)) | _both(at + "output.LayerNorm", (width,))
    return out


def _nomic(of: Config) -> Shapes:
    width, inner = of["n_embd"], of["n_inner"]
    out: Shapes = {
        "embeddings.word_embeddings.weight": (of["vocab_size"], width),
        "embeddings.token_type_embeddings.weight": (of["type_vocab_size"], width),
        **_both("emb_ln", (width,)),
    }
    for layer in range(of["n_layer"]):
        at = f"encoder.layers.{layer}."
        out |= {
            at + "attn.Wqkv.weight": (3 * width, width),
            at + "attn.out_proj.weight": (width, width),
            at + "mlp.fc11.weight": (inner, width),
            at + "mlp.fc12.weight": (inner, width),
            at + "mlp.fc2.weight": (width, inner),
            **_both(at + "norm1", (width,)),
            **_both(at + "norm2", (width,)),
        }
    return out
