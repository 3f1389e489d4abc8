"""Folders of safetensors become models, and adapters, through the converter."""

import errno
import tempfile
from pathlib import Path

import msgspec
import pytest

from lcrt.convert.run import convert
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import read_header
from lcrt.modelfile.create import create
from lcrt.modelfile.parse import parse_modelfile
from lcrt.modelfile.request import plan
from lcrt.store import layers
from lcrt.store.store import Store
from tests.convert import folders_adapters as adapters
from tests.convert import folders_models as models
from tests.convert.folders import write_json
from tests.convert.folders_fp8 import Checkpoint
from tests.modelfile.models import config, make, named, outcome, run, statuses, upload


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder."""
    models.write(tmp_path / "model", models.config("llama"), n_shards=2)
    return tmp_path / "model"


def asked(store: Store, modelfile: str, folder: Path, **changes: str) -> CreateRequest:
    """The request that a command line sends once all files are uploaded."""
    wanted = plan(parse_modelfile(modelfile), folder.parent, "m")
    request = wanted.with_digests({path: upload(store, path.read_bytes()) for path in wanted.paths})
    return msgspec.structs.replace(request, **changes)


def remains(store: Store) -> list[str]:
    """What should be gone after a creation, however it ended."""
    hidden = [path.name for path in store.blobs.directory.iterdir() if path.name.startswith(".")]
    return hidden + [path.name for path in (store.directory / ".lcrt" / "scratch").glob("*")]


def test_a_folder_becomes_a_model(store: Store, folder: Path) -> None:
    list(convert(folder, folder.with_suffix(".gguf")))
    progress = run(store, asked(store, "FROM ./model\nSYSTEM be kind", folder))
    (layer,) = store.get(named("m")).of_type(layers.MODEL)
    assert store.blobs.path(layer.digest).read_bytes() == folder.with_suffix(".gguf").read_bytes()
    assert list(dict.fromkeys(statuses(progress)))[:3] == ["converting model", "hashing model", "verifying conversion"]
    assert (config(store, "m")["model_family"], config(store, "m")["file_type"]) == ("llama", "F16")
    assert remains(store) == []


def test_a_store_on_a_file_system_without_links_will_do(
    store: Store, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(store, "FROM ./model", folder)
    link, other = Path.symlink_to, tmp_path / "tmp"
    other.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(other))

    def symlink_to(path: Path, target: Path) -> None:
        if not path.is_relative_to(other):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        link(path, target)

    monkeypatch.setattr(Path, "symlink_to", symlink_to)
    run(store, request)
    assert (remains(store), list(other.iterdir())) == ([], [])


def test_it_is_quantized_on_the_way_and_nothing_between_stays(store: Store, folder: Path) -> None:
    request = asked(store, "FROM ./model", folder, quantize="q8_0")
    before = {path.name for path in store.blobs.directory.iterdir()}
    progress = run(store, request)
    manifest = store.get(named("m"))
    (layer,) = manifest.of_type(layers.MODEL)
    assert keys.quantization(read_header(store.blobs.path(layer.digest))) == "Q8_0"
    assert list(dict.fromkeys(statuses(progress)))[:4] == [
        "converting model",
        "quantizing F16 model to Q8_0",
        "hashing model",
        "verifying conversion",
    ]
    assert remains(store) == []
    after = {path.name for path in store.blobs.directory.iterdir()}
    assert after - before == {digest.replace(":", "-") for digest in manifest.digests}


@pytest.mark.parametrize("wanted", ["F32", "BF16"])
def test_a_type_of_floats_is_converted_to_at_once(store: Store, folder: Path, wanted: str) -> None:
    progress = run(store, asked(store, "FROM ./model", folder, quantize=wanted))
    assert not any(status.startswith("quantizing") for status in statuses(progress))
    (layer,) = store.get(named("m")).of_type(layers.MODEL)
    assert keys.quantization(read_header(store.blobs.path(layer.digest))) == wanted
    assert config(store, "m")["file_type"] == wanted


@pytest.mark.parametrize(("wanted", "kind"), [("", "Q8_0"), ("bf16", "BF16"), ("q4_0", "Q4_0")])
def test_eight_bits_stay_eight_bits_unless_something_else_is_asked_for(
    store: Store, tmp_path: Path, wanted: str, kind: str
) -> None:
    Checkpoint(tmp_path / "model", "weight_scale", "tensor")
    run(store, asked(store, "FROM ./model", tmp_path / "model", quantize=wanted))
    (layer,) = store.get(named("m")).of_type(layers.MODEL)
    assert keys.quantization(read_header(store.blobs.path(layer.digest))) == kind
    assert config(store, "m")["file_type"] == kind
    assert remains(store) == []


def test_one_that_cannot_be_converted_is_told_of_with_what_can(store: Store, folder: Path) -> None:
    write_json(folder / "config.json", {"architectures": ["FooModel"]})
    progress, error = outcome(store, asked(store, "FROM ./model", folder))
    assert progress == ["converting model"]
    assert type(error) is UnsupportedModel
    assert "FooModel" in error.message
    assert remains(store) == []


def test_a_conversion_that_is_given_up_leaves_nothing(store: Store, folder: Path) -> None:
    steps = create(store, asked(store, "FROM ./model", folder))
    next(steps)
    next(steps)
    assert remains(store) != []
    steps.close()
    assert remains(store) == []


def test_what_is_converted_to_be_quantized_is_no_blob_and_goes_when_it_is_given_up(store: Store, folder: Path) -> None:
    steps = create(store, asked(store, "FROM ./model", folder, quantize="q8_0"))
    before = {path.name for path in store.blobs.directory.iterdir()}
    while not next(steps).status.startswith("quantizing"):
        pass
    between = {path.name for path in store.blobs.directory.iterdir()} - before
    assert [name[:5] for name in sorted(between)] == [".new-", ".new-"]
    steps.close()
    assert {path.name for path in store.blobs.directory.iterdir()} == before
    assert remains(store) == []


def test_an_adapter_is_converted_for_its_base(store: Store, folder: Path) -> None:
    base = models.weights(models.config("llama"))
    adapters.write(folder.parent / "adapter", adapters.pairs(base, ("q_proj", "v_proj")))
    progress = run(store, asked(store, "FROM ./model\nADAPTER ./adapter", folder))
    assert "converting adapter" in statuses(progress)
    (layer,) = store.get(named("m")).of_type(layers.ADAPTER)
    assert keys.kind(read_header(store.blobs.path(layer.digest))) is FileKind.ADAPTER
    assert remains(store) == []


def test_an_adapter_of_another_model_is_refused(store: Store, folder: Path) -> None:
    make(store, "base")
    base = models.weights(models.config("llama"))
    adapters.write(folder.parent / "adapter", adapters.pairs(base, ("q_proj",)))
    _, error = outcome(store, asked(store, "FROM base\nADAPTER ./adapter", folder))
    assert error is not None
    assert (store.find(named("m")), remains(store)) == (None, [])


def test_two_adapters_are_one_too_many(store: Store) -> None:
    make(store, "base")
    _, error = outcome(store, CreateRequest("m", from_="base", adapters={"a.safetensors": "x", "b.safetensors": "y"}))
    assert type(error) is InvalidRequest
    assert error.message == "only one adapter is currently supported"


def test_a_draft_may_be_a_folder_too(store: Store, folder: Path) -> None:
    run(store, asked(store, "FROM ./model", folder))
    run(store, asked(store, "FROM m\nDRAFT ./model", folder, draft_quantize="q8_0"))
    (layer,) = store.get(named("m")).of_type(layers.DRAFT)
    assert keys.quantization(read_header(store.blobs.path(layer.digest))) == "Q8_0"
