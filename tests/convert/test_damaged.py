"""Whatever is wrong with a folder: an error of ours, no file left, no more memory than the weights' blocks take."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lcrt.convert.lora import write_adapter
from lcrt.convert.run import convert
from lcrt.convert.write import write_model
from lcrt.errors import InvalidRequest, LcrtError
from lcrt.gguf.check import check_header
from lcrt.gguf.reader import read_header
from tests.convert import damage
from tests.convert import folders_adapters as adapters
from tests.convert import folders_models as models
from tests.convert.folders import INDEX, WHOLE, write_json

FAMILIES = ("llama", "mistral", "qwen3", "gemma3_text", "phi3", "bert", "nomic_bert")
SMALL = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
MEGABYTE = 1 << 20
any_damage = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good folder for each family, and an adapter."""
    root = tmp_path_factory.mktemp("good")
    for family in FAMILIES:
        config = models.config(family, **({} if family == "nomic_bert" else SMALL))
        weights = models.write(root / family, config, n_shards=2 if family == "llama" else 1)
        if family == "llama":
            adapters.write(root / "lora", adapters.pairs(weights, ("q_proj", "down_proj")))
            write_model(root / family, root / "llama.gguf", tell=lambda *_: None)
    return root


def copied(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to


def told_or_whole(write: Callable[[], None], output: Path) -> None:
    """Nothing but an error of ours may come of it, or a file that passes the checks of files from elsewhere."""
    try:
        write()
    except LcrtError as error:
        event(type(error).__name__)
        return
    event("written")
    check_header(read_header(output))


@pytest.mark.parametrize("family", FAMILIES)
@any_damage
@given(draw=st.data())
def test_any_damage_to_any_file_is_told_or_does_no_harm(
    family: str, folders: Path, tmp_path: Path, draw: st.DataObject
) -> None:
    folder, output = copied(folders / family, tmp_path / "model"), tmp_path / "model.gguf"
    files = sorted(file.name for file in folder.iterdir() if file.suffix in (".json", ".safetensors"))
    damage.spoil(folder / draw.draw(st.sampled_from(files), label="file"), draw)
    told_or_whole(lambda: write_model(folder, output, file_type="F32", tell=lambda *_: None), output)


@any_damage
@given(draw=st.data())
def test_any_damage_to_an_adapter_is_told_or_does_no_harm(folders: Path, tmp_path: Path, draw: st.DataObject) -> None:
    folder, output = copied(folders / "lora", tmp_path / "lora"), tmp_path / "lora.gguf"
    name = draw.draw(st.sampled_from(["adapter_config.json", "adapter_model.safetensors"]), label="file")
    damage.spoil(folder / name, draw)
    told_or_whole(lambda: write_adapter(folder, folders / "llama.gguf", output, tell=lambda *_: None), output)


@pytest.mark.parametrize("family", ["mistral", "phi3", "gemma3_text"])
@any_damage
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_any_damage_to_pieces_is_told_or_does_no_harm(
    family: str, folders: Path, tmp_path: Path, at: int, byte: int, cut: bool
) -> None:
    folder, output = copied(folders / family, tmp_path / "model"), tmp_path / "model.gguf"
    data = bytearray((folder / "tokenizer.model").read_bytes())
    data[at % len(data)] = byte
    (folder / "tokenizer.model").write_bytes(data[: at % len(data)] if cut else data)
    told_or_whole(lambda: write_model(folder, output, file_type="F32", tell=lambda *_: None), output)


def cut_last_shard(folder: Path) -> None:
    last = max(folder.glob("*.safetensors"))
    last.write_bytes(last.read_bytes()[:-100])


def lie_of_length(folder: Path) -> None:
    with min(folder.glob("*.safetensors")).open("r+b") as file:
        file.write((1 << 60).to_bytes(8, "little"))


def name_outside(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    write_json(folder / INDEX, {"weight_map": dict.fromkeys(index["weight_map"], "../llama/" + WHOLE)})


def one_name_twice(folder: Path) -> None:
    path = min(folder.glob("*.safetensors"))
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    first, second = (name for name in json.loads(data[8 : 8 + n_header]) if name.endswith("layernorm.weight"))
    header = data[8 : 8 + n_header].replace(f'"{second}"'.encode(), f'"{first}"'.encode())
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + n_header :])


def much_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b"[" * (300 * MEGABYTE))


BIG_DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": cut_last_shard,
    "length": lie_of_length,
    "outside": name_outside,
    "twice": one_name_twice,
    "json": much_json,
}


@pytest.mark.parametrize("spoil", BIG_DAMAGES.values(), ids=BIG_DAMAGES.keys())
def test_a_damaged_folder_leaves_nothing_behind(spoil: Callable[[Path], None], folders: Path, tmp_path: Path) -> None:
    folder = copied(folders / "llama", tmp_path / "model")
    spoil(folder)
    with pytest.raises(InvalidRequest) as caught:
        list(convert(folder, tmp_path / "model.gguf"))
    assert caught.value.hint or "json" in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_memory_does_not_grow_with_the_weights(tmp_path: Path) -> None:
    """Two matrices of 61 MB each; blocks of 8 MB, a copy or two of one, and the vocabulary's texts."""
    config = models.config("llama", vocab_size=120_000, num_hidden_layers=1)
    models.write(tmp_path / "model", config)
    tracemalloc.start()
    try:
        write_model(tmp_path / "model", tmp_path / "model.gguf", file_type="F16", tell=lambda *_: None)
        assert tracemalloc.get_traced_memory()[1] < 70 * MEGABYTE
    finally:
        tracemalloc.stop()
