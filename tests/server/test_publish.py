"""Models made of what a hub has, by the daemon's own maker: converted, joined, quantized; or why they are not."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec
import pytest

from lcrt.convert.run import convert
from lcrt.core.name import ModelName
from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError
from lcrt.gguf import keys
from lcrt.gguf.reader import read_header
from lcrt.gguf.writer import write_gguf
from lcrt.modelfile.create import create
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress
from lcrt.registry.service import Registries
from lcrt.server.publish import HubModels
from lcrt.store import layers
from lcrt.store.store import Store
from tests.children import children
from tests.convert import folders_models as models
from tests.gguf.files import METADATA, TENSORS
from tests.modelfile import wide
from tests.registry.conftest import OPTIONS
from tests.registry.hub import Hub
from tests.registry.server import Registry

NAME = ModelName.parse("hf.co/org/repo")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint in two files; temporary folders are made in one that is empty."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    models.write(tmp_path / "repo", models.config("llama"), dtype="BF16", n_shards=2)
    return tmp_path / "repo"


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Registry() as storage, Hub(storage) as made:
        monkeypatch.setenv("HF_ENDPOINT", f"http://{made.host}")
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://{made.host}")
        made.files["org/repo"] = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def registries(store: Store) -> Iterator[Registries]:
    with contextlib.closing(Registries(store, OPTIONS, maker=HubModels(store))) as made:
        yield made


def pull(registries: Registries, name: str = "hf.co/org/repo") -> list[Progress]:
    return list(registries.pull(ModelName.parse(name), PullRequest()))


def blobs(store: Store) -> set[str]:
    return {path.name.replace("-", ":", 1) for path in store.blobs.directory.iterdir()}


def weights(store: Store, name: str = "hf.co/org/repo") -> Path:
    (layer,) = store.get(ModelName.parse(name)).of_type(layers.MODEL)
    return store.blobs.path(layer.digest)


@pytest.mark.parametrize("host", ["hf.co", "modelscope.cn"])
def test_a_checkpoint_becomes_the_model_that_its_folder_would(
    hub: Hub, store: Store, registries: Registries, folder: Path, host: str
) -> None:
    list(convert(folder, folder.with_suffix(".gguf")))
    said = pull(registries, f"{host}/org/repo")
    assert weights(store, f"{host}/org/repo").read_bytes() == folder.with_suffix(".gguf").read_bytes()
    told = list(dict.fromkeys(each.status for each in said if not each.status.startswith("pulling ")))
    assert told == ["verifying sha256 digest", "converting model", "hashing model", "writing manifest", "success"]
    assert blobs(store) == store.get(ModelName.parse(f"{host}/org/repo")).digests
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


@pytest.mark.parametrize("family", ["mistral", "qwen3", "gemma3_text", "phi3", "bert", "nomic_bert"])
def test_every_kind_of_tokenizer_comes_along(
    hub: Hub, store: Store, registries: Registries, tmp_path: Path, family: str
) -> None:
    models.write(tmp_path / family, models.config(family))
    hub.files["org/repo"] = {
        path.relative_to(tmp_path / family).as_posix(): path.read_bytes()
        for path in (tmp_path / family).rglob("*")
        if path.is_file()
    }
    list(convert(tmp_path / family, tmp_path / "direct.gguf"))
    pull(registries)
    assert weights(store).read_bytes() == (tmp_path / "direct.gguf").read_bytes()


def test_texts_of_the_repository_are_the_models(hub: Hub, store: Store, registries: Registries) -> None:
    hub.files["org/repo"] |= {"system": b"be kind", "params": b'{"temperature": 0.5}'}
    pull(registries)
    manifest = store.get(NAME)
    assert [store.blobs.read(layer.digest) for layer in manifest.of_type(layers.SYSTEM)] == [b"be kind"]
    assert [store.blobs.read(layer.digest) for layer in manifest.of_type(layers.PARAMS)] == [b'{"temperature":0.5}\n']


@pytest.mark.parametrize(
    ("tag", "type_", "between"), [("F32", "F32", "converting"), ("q8_0", "Q8_0", "quantizing BF16 model to Q8_0")]
)
def test_a_tag_is_the_type_of_the_weights(
    hub: Hub, store: Store, registries: Registries, tag: str, type_: str, between: str
) -> None:
    said = pull(registries, f"hf.co/org/repo:{tag}")
    path = weights(store, f"hf.co/org/repo:{tag}")
    assert keys.quantization(read_header(path)) == type_
    assert any(each.status.startswith(between) for each in said)
    assert blobs(store) == store.get(ModelName.parse(f"hf.co/org/repo:{tag}")).digests
    del hub


def _other_architecture(files: dict[str, bytes]) -> None:
    files["config.json"] = b'{"architectures": ["FooForCausalLM"]}'


def _with_config(files: dict[str, bytes], quantization: object) -> None:
    config = msgspec.json.decode(files["config.json"]) | {"quantization_config": quantization}
    files["config.json"] = msgspec.json.encode(config)


def _quantized(files: dict[str, bytes]) -> None:
    _with_config(files, {"quant_method": "gptq"})


def _int4(files: dict[str, bytes]) -> None:
    groups = {"group_0": {"targets": ["Linear"], "weights": {"type": "int", "num_bits": 4}}}
    _with_config(files, {"quant_method": "compressed-tensors", "config_groups": groups})


def _no_tokenizer(files: dict[str, bytes]) -> None:
    del files["tokenizer.json"]


def _no_json(files: dict[str, bytes]) -> None:
    files["config.json"] = b"<html>"


@pytest.mark.parametrize(
    ("change", "tag", "text", "hint"),
    [
        (_other_architecture, "latest", 'unsupported architecture "FooForCausalLM"', "supported are"),
        (_quantized, "latest", "quantized weights cannot be converted", "look for a GGUF"),
        (_no_tokenizer, "latest", "there is neither `tokenizer.json` nor `tokenizer.model`", "look for a GGUF"),
        (_no_json, "latest", "`config.json` is no JSON", "look for a GGUF"),
        (_int4, "latest", "compressed-tensors of the type int in 4 bits", "look for a GGUF"),
        (dict.copy, "iq2_xxs", "needs an importance matrix", "choose a type of more bits"),
        (dict.copy, "q9_x", "unsupported quantization type Q9_X", "without a tag"),
    ],
)
def test_what_cannot_be_converted_is_told_before_the_weights_come(
    hub: Hub, store: Store, registries: Registries, change: object, tag: str, text: str, hint: str
) -> None:
    assert callable(change)
    change(hub.files["org/repo"])
    with pytest.raises(LcrtError) as caught:
        pull(registries, f"hf.co/org/repo:{tag}")
    assert caught.value.message.startswith(
        f"hf.co/org/repo:{tag} has no GGUF, and its checkpoint cannot be converted: "
    )
    assert text in caught.value.message
    assert hint in str(caught.value)
    assert not any("safetensors" in asked.path for asked in hub.of("GET", "/resolve/") if ".json" not in asked.path)
    assert store.models() == []
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_client_that_leaves_while_the_files_are_looked_at_is_noticed(
    hub: Hub, store: Store, registries: Registries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_look.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("lcrt.convert.look._MODULE", "slow_look")
    before = children()
    steps = registries.pull(NAME, PullRequest())
    assert isinstance(steps, Generator)
    next(step for step in steps if children() - before)
    assert next(steps) == Progress("pulling manifest")
    steps.close()
    assert children() == before
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert hub.of("GET", "/resolve/main/config.json")
    assert not hub.storage.asked


def test_a_conversion_that_is_given_up_leaves_the_files_for_the_next(
    hub: Hub, store: Store, registries: Registries
) -> None:
    steps = registries.pull(NAME, PullRequest())
    next(step for step in steps if step.status == "converting model")
    assert isinstance(steps, Generator)
    steps.close()
    assert store.models() == []
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert not any(name.startswith(".") for name in blobs(store))
    hub.storage.asked.clear()
    pull(registries)
    assert hub.storage.asked == []
    assert weights(store).is_file()


@pytest.mark.parametrize(
    "change", [{"m.gguf": b"GGUF" + bytes(100)}, {"m.gguf": b"no GGUF"}, {"params": b"[1]"}, {"template": b"\xff"}]
)
def test_what_is_no_model_is_told_with_what_to_do_next(
    hub: Hub, store: Store, registries: Registries, tmp_path: Path, change: dict[str, bytes]
) -> None:
    write_gguf(tmp_path / "m.gguf", METADATA, TENSORS)
    hub.files["org/repo"] = {"m.gguf": (tmp_path / "m.gguf").read_bytes()} | change
    with pytest.raises(LcrtError) as caught:
        pull(registries)
    assert caught.value.hint
    assert store.models() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for the checkpoint and not for the model."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "lcrt-test", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_while_converting_costs_no_second_download(
    hub: Hub, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.write(tmp_path / "large", models.config("llama", intermediate_size=4096), dtype="F16")
    hub.files["org/repo"] = {path.name: path.read_bytes() for path in (tmp_path / "large").iterdir()}
    monkeypatch.setattr("lcrt.registry.pull.check_space", lambda blobs, missing, to_come: None)
    monkeypatch.setattr("lcrt.modelfile.weights.check_room", lambda folder, size: None)
    store = Store(small_disk / "models")
    with contextlib.closing(Registries(store, OPTIONS, maker=HubModels(store))) as registries:
        with pytest.raises(LcrtError) as caught:
            pull(registries)
        assert "space" in caught.value.message
        assert caught.value.hint
        assert store.models() == []
        assert not any(name.startswith(".") for name in blobs(store))
        subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
        hub.storage.asked.clear()
        assert pull(registries)[-1].status == "success"
        assert hub.storage.asked == []


def test_weights_that_are_damaged_are_told_and_no_model_is_made(hub: Hub, store: Store, registries: Registries) -> None:
    name = "model-00001-of-00002.safetensors"
    hub.files["org/repo"][name] = hub.files["org/repo"][name][:-100]
    with pytest.raises(LcrtError, match="is damaged"):
        pull(registries)
    assert store.models() == []
    assert blobs(store) == set(), "what no model can be made of does not stay"


def test_a_checkpoint_on_a_hub_can_be_a_models_base(hub: Hub, store: Store, registries: Registries) -> None:
    request = CreateRequest("mine", from_="hf.co/org/repo", system="be kind")
    said = [each.status for each in create(store, request, lambda name: registries.pull(name, PullRequest()))]
    assert "converting model" in said
    assert said.count("success") == 1
    assert weights(store, "mine") == weights(store)
    del hub


def test_shards_of_a_gguf_are_joined_and_not_fetched_again(hub: Hub, store: Store, registries: Registries) -> None:
    hub.files["org/repo"] = {f"q/{name}": data for name, data in wide.shards(3).items()}
    said = pull(registries)
    assert weights(store).read_bytes() == wide.model()
    assert "joining shards" in [each.status for each in said]
    assert blobs(store) == store.get(NAME).digests
    hub.storage.asked.clear()
    assert pull(registries)[-1].status == "success"
    assert hub.storage.asked == []


def test_a_projector_comes_along(hub: Hub, store: Store, registries: Registries, tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", METADATA, TENSORS)
    write_gguf(tmp_path / "p.gguf", {"general.architecture": "clip", "general.type": "mmproj"}, TENSORS)
    hub.files["org/repo"] = {
        "m-Q8_0.gguf": (tmp_path / "m.gguf").read_bytes(),
        "mmproj-F16.gguf": (tmp_path / "p.gguf").read_bytes(),
    }
    pull(registries)
    assert [layer.media_type for layer in store.get(NAME).layers[:2]] == [layers.MODEL, layers.PROJECTOR]
