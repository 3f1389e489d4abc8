"""A folder becomes the file that its config and weights say; what does not fit is told in words."""

import re
from pathlib import Path

import numpy as np
import pytest

from lcrt.convert import plan
from lcrt.convert.families import supported
from lcrt.convert.jsonfile import read_object
from lcrt.convert.write import write_model
from lcrt.errors import InvalidRequest, LcrtError, StoreError, UnsupportedModel
from lcrt.gguf.check import check_header
from lcrt.gguf.reader import Header, read_header
from lcrt.store import room
from tests.convert import folders_models as models
from tests.convert.folders import Weights, write_json, write_weights

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3")


def converted(folder: Path, file_type: str | None = None) -> Header:
    output = folder.with_suffix(".gguf")
    write_model(folder, output, file_type=file_type, name="some model", tell=lambda *_: None)
    header = read_header(output)
    check_header(header)
    return header


def data(header: Header, name: str) -> bytes:
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        return file.read(tensor.size)


def edit(folder: Path, **changes: object) -> None:
    write_json(folder / "config.json", read_object(folder / "config.json") | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.write(tmp_path / "model", models.config("llama"))
    return tmp_path / "model"


@pytest.mark.parametrize(("dtype", "wanted"), [("BF16", "BF16"), ("F16", "F16"), ("F32", "F16")])
def test_the_type_follows_the_weights(dtype: str, wanted: str, tmp_path: Path) -> None:
    models.write(tmp_path / "model", models.config("llama"), dtype=dtype)
    header = converted(tmp_path / "model")
    assert header.metadata["general.file_type"] == {"F16": 1, "BF16": 32}[wanted]
    kinds = {tensor.name: tensor.type.name for tensor in header.tensors}
    assert kinds["token_embd.weight"] == kinds["blk.0.attn_q.weight"] == wanted
    assert kinds["blk.0.attn_norm.weight"] == kinds["rope_freqs.weight"] == "F32"


def test_the_file_says_whose_it_is(folder: Path) -> None:
    found = converted(folder).metadata
    assert found["general.architecture"] == "llama"
    assert found["general.name"] == "some model"
    assert found["llama.block_count"] == models.config("llama")["num_hidden_layers"]
    assert found["llama.rope.freq_base"] == 10000.0


@pytest.mark.parametrize("family", FAMILIES)
def test_large_tensors_come_out_the_same_in_small_blocks(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.write(tmp_path / "model", models.config(family))
    converted(tmp_path / "model", "F32")
    whole = (tmp_path / "model.gguf").read_bytes()
    monkeypatch.setattr(plan, "_BLOCK", 700)
    converted(tmp_path / "model", "F32")
    assert (tmp_path / "model.gguf").read_bytes() == whole


def test_what_is_not_changed_is_copied_to_the_bit(tmp_path: Path) -> None:
    weights = models.write(tmp_path / "model", models.config("llama"))
    header = converted(tmp_path / "model", "F32")
    assert data(header, "blk.1.ffn_up.weight") == weights["model.layers.1.mlp.up_proj.weight"].tobytes()


def test_norms_of_gemma_are_stored_as_they_are_used(tmp_path: Path) -> None:
    weights = models.write(tmp_path / "model", models.config("gemma2"))
    found = np.frombuffer(data(converted(tmp_path / "model"), "output_norm.weight"), np.float32)
    np.testing.assert_array_equal(found, weights["model.norm.weight"] + 1)


def test_an_unknown_architecture_is_refused_with_the_list_of_known_ones(folder: Path) -> None:
    edit(folder, architectures=["FooForCausalLM"])
    with pytest.raises(UnsupportedModel, match='unsupported architecture "FooForCausalLM"') as caught:
        converted(folder)
    assert all(name in str(caught.value) for name in supported())
    edit(folder, architectures=None)
    with pytest.raises(UnsupportedModel, match="unknown architecture"):
        converted(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": "wide"}, "hidden_size must be a number"),
        ({"hidden_size": 0}, "hidden_size must be more than 0"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be a number from 0 to 1024"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 keys"),
        ({"head_dim": 31}, "cannot be turned in pairs"),
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps must be a number"),
        ({"hidden_act": "relu"}, "activation `relu` is not supported"),
        ({"rope_scaling": {"type": "spiral", "factor": 2.0}}, "rope scaling of kind `spiral`"),
        ({"rope_scaling": {"rope_type": "linear"}}, "factor is missing"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "rope scaling of kind `longrope`"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 8}}, "other betas"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is not supported"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized weights cannot be converted"),
        ({"vocab_size": 77}, "not 77 x 128 as `config.json` says"),
        ({"intermediate_size": 8}, r"gate_proj\.weight is 160 x 128, not 8 x 128"),
        ({"num_hidden_layers": 1}, "no place for"),
        ({"num_hidden_layers": 3}, r"the weights lack model\.layers\.2\.input_layernorm\.weight"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(changes: dict[str, object], reason: str, folder: Path) -> None:
    edit(folder, **changes)
    with pytest.raises(LcrtError, match=reason):
        converted(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"a":' * 3000])
def test_a_config_that_is_no_json_is_refused(content: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"`config\.json`"):
        converted(folder)


def test_files_that_are_missing_are_named(folder: Path) -> None:
    (folder / "config.json").rename(folder / "other.json")
    with pytest.raises(InvalidRequest, match=r"no `config\.json` in the folder"):
        converted(folder)
    (folder / "other.json").rename(folder / "config.json")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidRequest, match=r"neither `tokenizer\.json` nor `tokenizer\.model`"):
        converted(folder)


def test_an_output_matrix_that_is_missing_is_told_unless_it_is_tied(tmp_path: Path) -> None:
    weights: Weights = models.write(tmp_path / "model", models.config("llama"))
    del weights["lm_head.weight"]
    write_weights(tmp_path / "model", weights)
    with pytest.raises(InvalidRequest, match=r"the weights lack lm_head\.weight"):
        converted(tmp_path / "model")
    edit(tmp_path / "model", tie_word_embeddings=True)
    assert "output.weight" not in {tensor.name for tensor in converted(tmp_path / "model").tensors}


def test_an_output_matrix_that_is_the_embeddings_again_is_left_out(folder: Path) -> None:
    edit(folder, tie_word_embeddings=True)
    assert "output.weight" not in {tensor.name for tensor in converted(folder).tensors}


def test_names_without_their_usual_beginning_are_understood(tmp_path: Path) -> None:
    config = models.config("qwen3", tie_word_embeddings=True)
    weights = models.write(tmp_path / "model", config)
    converted(tmp_path / "model", "F32")
    usual = (tmp_path / "model.gguf").read_bytes()
    write_weights(tmp_path / "model", {name.removeprefix("model."): values for name, values in weights.items()})
    converted(tmp_path / "model", "F32")
    assert (tmp_path / "model.gguf").read_bytes() == usual


@pytest.mark.parametrize("beginning", ["language_model.model.", "model.language_model."])
def test_the_text_part_of_a_model_that_sees_is_taken(beginning: str, tmp_path: Path) -> None:
    text = models.config("gemma3_text")
    weights = models.write(tmp_path / "model", text)
    converted(tmp_path / "model", "F32")
    alone = (tmp_path / "model.gguf").read_bytes()
    whole = {name.replace("model.", beginning, 1): values for name, values in weights.items()}
    whole["vision_tower.vision_model.head.weight"] = np.zeros((2, 2), np.float32)
    write_weights(tmp_path / "model", whole)
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": text | {"architectures": None}}
    write_json(tmp_path / "model" / "config.json", config)
    converted(tmp_path / "model", "F32")
    assert (tmp_path / "model.gguf").read_bytes() == alone


def test_a_disk_without_room_is_noticed_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MARGIN", 2**62)
    with pytest.raises(StoreError, match=r"not enough space: .* are needed"):
        converted(folder)
    assert not folder.with_suffix(".gguf").exists()


def test_a_window_that_is_not_the_usual_one_is_told(tmp_path: Path) -> None:
    models.write(tmp_path / "model", models.config("gemma3_text"))
    edit(tmp_path / "model", layer_types=["full_attention", *["sliding_attention"] * 3], sliding_window_pattern=None)
    header = converted(tmp_path / "model")
    assert header.array("gemma3.attention.sliding_window_pattern") == [False, True, True, True]


WINDOWED = [
    ("mistral", {"sliding_window": 300}, 300),
    ("mistral", {"sliding_window": 512}, 0),
    ("mistral", {"sliding_window": None}, 0),
    ("mistral", {"sliding_window": ..., "max_position_embeddings": 8192}, 4096),
    ("mistral", {"sliding_window": 300, "architectures": ["LlamaForCausalLM"]}, 0),
    ("phi3", {"sliding_window": 511}, 511),
    ("phi3", {"sliding_window": None}, 0),
    ("qwen2", {"sliding_window": 100, "use_sliding_window": False}, 0),
    ("qwen2", {"sliding_window": 100, "use_sliding_window": True}, 100),
    ("qwen3", {"sliding_window": None, "use_sliding_window": True}, 0),
    ("qwen3", {"sliding_window": 9, "use_sliding_window": True, "layer_types": ["full_attention"] * 2}, 0),
    ("gemma2", {"sliding_window": 24}, 0),
]


@pytest.mark.parametrize(("family", "changes", "window"), WINDOWED)
def test_a_window_that_the_engine_does_not_keep_is_warned_of(
    family: str, changes: dict[str, object], window: int, tmp_path: Path
) -> None:
    config = models.config(family)
    models.write(tmp_path / "model", config)
    found = {name: value for name, value in (config | changes).items() if value is not ...}
    write_json(tmp_path / "model" / "config.json", found)
    told: list[str] = []
    write_model(tmp_path / "model", tmp_path / "model.gguf", tell=lambda *_: None, warn=told.append)
    assert [re.findall(r"\d+", text) for text in told] == ([[str(window)]] if window else [])


def test_a_scale_of_attention_that_the_engine_does_not_use_is_refused(tmp_path: Path) -> None:
    models.write(tmp_path / "model", models.config("gemma2"))
    edit(tmp_path / "model", query_pre_attn_scalar=77)
    with pytest.raises(UnsupportedModel, match="query_pre_attn_scalar of 77"):
        converted(tmp_path / "model")
