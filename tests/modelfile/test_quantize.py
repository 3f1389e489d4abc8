"""Quantizing while a model is made: what comes of it, what is said, and what remains when it is given up."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError, StoreError
from lcrt.gguf import keys
from lcrt.gguf.reader import read_header
from lcrt.gguf.types import FILE_TYPES
from lcrt.modelfile import quantize
from lcrt.modelfile.create import Progress, create
from lcrt.modelfile.importance import read_importance
from lcrt.modelfile.quantize import least_size, needs_importance, target_type
from lcrt.native.runtime import init
from lcrt.store import layers, room
from lcrt.store.layers import parse_config
from lcrt.store.store import Store
from tests.modelfile import wide
from tests.modelfile.models import make, named, run, upload

ONLY_WITH_IMPORTANCE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S")
TYPES = [name for name in FILE_TYPES.values() if name not in ("Q4_1_F16", "NVFP4")]


@pytest.fixture(scope="session")
def weights() -> bytes:
    init()
    return wide.model()


@pytest.fixture
def source(store: Store, weights: bytes) -> str:
    return upload(store, weights)


def made(store: Store, name: str = "m") -> Path:
    (layer,) = store.get(named(name)).of_type(layers.MODEL)
    return store.blobs.path(layer.digest)


def leftovers(store: Store) -> list[str]:
    """Files in the store that are no blobs."""
    return [path.name for path in store.blobs.directory.iterdir() if path.name.startswith(".")]


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_weights_get_the_type_that_was_asked_for(store: Store, source: str) -> None:
    progress = run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_k_m"))
    types = wide.types(made(store))
    assert (types["blk.0.ffn_gate.weight"], types["blk.0.attn_norm.weight"]) == ("Q4_K", "F32")
    config = store.get(named("m")).config
    assert config is not None
    assert parse_config(store.blobs.read(config.digest)).file_type == "Q4_K_M"
    digest = f"sha256:{made(store).name.removeprefix('sha256-')}"
    assert wide.digest(made(store).read_bytes()) == digest
    assert list(dict.fromkeys(step.status for step in progress)) == [
        "parsing GGUF",
        "quantizing F32 model to Q4_K_M",
        "hashing model",
        "verifying conversion",
        f"creating new layer {digest}",
        "writing manifest",
        "success",
    ]
    assert leftovers(store) == []


def test_the_progress_counts_bytes_up_to_all_of_them(store: Store, source: str) -> None:
    progress = run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q8_0"))
    told = [step for step in progress if step.status.startswith("quantizing") and step.total]
    counts = [step.completed for step in told]
    assert counts == sorted(counts)
    assert {(step.digest, step.total) for step in told} == {("0" * 19, told[-1].completed)}
    assert counts[0] < counts[len(counts) // 2] < counts[-1]


@pytest.mark.parametrize("name", [name for name in TYPES if name not in ONLY_WITH_IMPORTANCE])
def test_every_type_of_llama_cpp_can_be_asked_for(store: Store, source: str, name: str) -> None:
    run(store, CreateRequest("m", files={"m.gguf": source}, quantize=name.lower()))
    header = read_header(made(store))
    assert keys.quantization(header) == name
    assert header.file_size >= least_size(header, name)


@pytest.mark.parametrize("name", ONLY_WITH_IMPORTANCE)
def test_types_of_few_bits_want_an_importance_matrix(store: Store, source: str, name: str) -> None:
    with pytest.raises(StoreError, match="this type of weights needs an importance matrix") as refused:
        run(store, CreateRequest("m", files={"m.gguf": source}, quantize=name))
    assert "--imatrix" in (refused.value.hint or "")
    assert (store.find(named("m")), leftovers(store)) == (None, [])


def test_which_types_want_one_is_known_before_anything_is_made() -> None:
    assert {name for name in TYPES if needs_importance(name)} == set(ONLY_WITH_IMPORTANCE)


@pytest.mark.parametrize("name", ["IQ3_XXS", "Q2_K_S"])
def test_with_a_matrix_they_are_made(store: Store, source: str, tmp_path: Path, name: str) -> None:
    matrix = upload(store, wide.importance(tmp_path / "imatrix.gguf"))
    run(store, CreateRequest("m", files={"m.gguf": source}, quantize=name, imatrix=matrix))
    assert keys.quantization(read_header(made(store))) == name


def test_an_importance_matrix_changes_the_weights(store: Store, source: str, tmp_path: Path) -> None:
    run(store, CreateRequest("plain", files={"m.gguf": source}, quantize="q4_k_m"))
    matrix = upload(store, wide.importance(tmp_path / "imatrix.gguf"))
    run(store, CreateRequest("better", files={"m.gguf": source}, quantize="q4_k_m", imatrix=matrix))
    assert wide.types(made(store, "plain")) == wide.types(made(store, "better"))
    assert made(store, "plain").name != made(store, "better").name


def test_a_matrix_of_another_model_is_refused(store: Store, source: str, tmp_path: Path) -> None:
    matrix = upload(store, wide.importance(tmp_path / "imatrix.gguf", but="blk.0.ffn_up.weight"))
    with pytest.raises(StoreError, match=r"does not fit the model: .*ffn_up"):
        run(store, CreateRequest("m", files={"m.gguf": source}, quantize="iq2_xxs", imatrix=matrix))


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"hello", "the importance matrix is not in GGUF format"), (wide.model(32), "given as importance matrix is none")],
)
def test_what_is_no_matrix_is_refused(store: Store, source: str, data: bytes, words: str) -> None:
    with pytest.raises(LcrtError, match=words) as refused:
        run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_0", imatrix=upload(store, data)))
    assert refused.value.hint == "make one with llama-imatrix"
    assert store.find(named("m")) is None


def test_a_matrix_is_the_mean_of_its_sums(tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    wide.importance(path)
    found = read_importance(path)["blk.0.ffn_up.weight"]
    assert np.array_equal(found, np.linspace(1, 9, wide.WIDTH, dtype=np.float32) / 4)


def test_rows_that_do_not_fit_the_blocks_are_warned_of(store: Store) -> None:
    narrow = upload(store, wide.model(96))
    progress = run(store, CreateRequest("m", files={"m.gguf": narrow}, quantize="q4_k_m"))
    (warning,) = (step.status for step in progress if step.status.startswith("warning"))
    told = re.match(r"warning: (\d+) of (\d+) tensors are stored larger", warning)
    assert told is not None
    types = [kind for name, kind in wide.types(made(store)).items() if name != "output.weight"]
    assert (int(told[1]), int(told[2])) == (sum(kind not in ("F32", "Q4_K", "Q6_K") for kind in types), 12)


def test_a_model_of_the_store_is_quantized_and_stays_what_it_was(store: Store, source: str) -> None:
    run(store, CreateRequest("base", files={"m.gguf": source}, system="be kind"))
    progress = run(store, CreateRequest("m", from_="base", quantize="q8_0"))
    assert "quantizing F32 model to Q8_0" in [step.status for step in progress]
    assert made(store, "base").name.removeprefix("sha256-") == source.removeprefix("sha256:")
    manifest = store.get(named("m"))
    assert [layer.media_type for layer in manifest.layers] == [layers.MODEL, layers.SYSTEM]
    assert [layer.from_ for layer in manifest.layers] == [None, "base:latest"]
    assert keys.quantization(read_header(made(store))) == "Q8_0"


def test_weights_that_have_the_type_already_stay(store: Store) -> None:
    digest = make(store, "base")
    progress = run(store, CreateRequest("m", from_="base", quantize="f16"))
    assert next(step.status for step in progress) == f"using existing layer {digest}"


def test_a_second_run_finds_the_same_weights(store: Store, source: str) -> None:
    run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q5_0"))
    progress = run(store, CreateRequest("n", files={"m.gguf": source}, quantize="q5_0"))
    assert f"using existing layer sha256:{made(store).name[7:]}" in [step.status for step in progress]


def types_of(store: Store, name: str, media_type: str) -> list[str]:
    """The types of weights of some layers."""
    found = store.get(named(name)).of_type(media_type)
    return [keys.quantization(read_header(store.blobs.path(layer.digest))) for layer in found]


@pytest.mark.parametrize(("target", "types"), [("", ["F32"]), ("q4_0", ["Q4_0"])])
def test_a_model_and_a_draft_of_the_same_file_change_each_for_itself(
    store: Store, source: str, target: str, types: list[str]
) -> None:
    files = {"m.gguf": source}
    run(store, CreateRequest("m", files=files, draft_files=files, quantize=target, draft_quantize="q8_0"))
    assert (types_of(store, "m", layers.MODEL), types_of(store, "m", layers.DRAFT)) == (types, ["Q8_0"])


def test_one_that_is_given_up_leaves_nothing(store: Store, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = create(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_k_m"))
    while next(steps).status != "quantizing F32 model to Q4_K_M":
        pass
    assert len(leftovers(store)) == 1
    steps.close()
    assert leftovers(store) == []
    assert store.find(named("m")) is None


def test_a_daemon_that_is_killed_takes_its_child_along_and_the_next_start_is_clean(store: Store, source: str) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom lcrt.core.request import CreateRequest\n"
        "from lcrt.modelfile.create import create\nfrom lcrt.store.store import Store\n"
        "request = CreateRequest('m', files={'m.gguf': sys.argv[2]}, quantize='iq3_s')\n"
        "for step in create(Store(Path(sys.argv[1])), request): print(step.status, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(store.directory), source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        while not daemon.stdout.readline().startswith("quantizing"):
            pass
        (child,) = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        daemon.kill()
    while is_running(child):
        pass
    assert len(leftovers(store)) == 1
    store.prune()
    assert (leftovers(store), store.find(named("m"))) == ([], None)
    run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_0"))


def test_a_child_that_dies_is_told_of(store: Store, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "_MODULE", "lcrt.nowhere")
    with pytest.raises(LcrtError, match="quantizing failed: its process ended with status 1"):
        run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_0"))
    assert leftovers(store) == []


def test_what_the_disk_cannot_hold_is_not_begun(store: Store, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MARGIN", 2**62)
    with pytest.raises(StoreError, match=r"not enough space: .* are needed"):
        run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_0"))


def test_a_disk_that_gets_full_is_told_of(store: Store, source: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError, match="quantizing failed: File too large") as refused:
            run(store, CreateRequest("m", files={"m.gguf": source}, quantize="q4_0"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit -f" in (refused.value.hint or "")
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("", ""), ("q4_k", "Q4_K_M"), ("Q5_K", "Q5_K_M"), ("f16", "F16"), ("mxfp4_moe", "MXFP4"), ("iq2_xxs", "IQ2_XXS")],
)
def test_names_of_types_are_read_in_any_case(wanted: str, name: str) -> None:
    assert target_type(wanted) == name


@pytest.mark.parametrize("wanted", ["q99", "nvfp4", "unknown", "Q4_1_F16"])
def test_other_names_are_refused(wanted: str) -> None:
    with pytest.raises(StoreError, match=f"unsupported quantization type {wanted.upper()} - supported types are"):
        target_type(wanted)


def test_a_quantized_source_is_refused_before_it_is_joined_or_read(store: Store) -> None:
    make(store, "quant", {"general.file_type": 3})
    with pytest.raises(StoreError, match="quantization is only supported for F16, BF16 and F32 models"):
        run(store, CreateRequest("m", from_="quant", quantize="q4_K_M"))


def _told(progress: list[Progress]) -> list[str]:
    return [step.status for step in progress]


def test_shards_become_one_file_that_is_the_whole(store: Store, weights: bytes) -> None:
    files = {name: upload(store, data) for name, data in wide.shards(3).items()}
    progress = run(store, CreateRequest("m", files=files))
    assert made(store).read_bytes() == weights
    assert list(dict.fromkeys(_told(progress)))[:3] == ["parsing GGUF", "joining shards", "verifying conversion"]
    joined = [step for step in progress if step.status == "joining shards"]
    assert joined[-1].completed > 0
    assert joined[-1].completed <= joined[-1].total


def test_shards_are_joined_and_quantized(store: Store) -> None:
    files = {f"q4/{name}": upload(store, data) for name, data in wide.shards(2).items()}
    run(store, CreateRequest("m", files=files, quantize="q8_0"))
    assert keys.quantization(read_header(made(store))) == "Q8_0"
    assert leftovers(store) == []


def test_a_shard_that_is_missing_is_told_of(store: Store) -> None:
    files = {name: upload(store, data) for name, data in wide.shards(3).items() if "00002" not in name}
    with pytest.raises(LcrtError, match="split GGUF has 2 shards, expected 3"):
        run(store, CreateRequest("m", files=files))
    assert leftovers(store) == []


def test_joining_that_is_given_up_leaves_nothing(store: Store) -> None:
    files = {name: upload(store, data) for name, data in wide.shards(2).items()}
    steps = create(store, CreateRequest("m", files=files))
    while next(steps).status != "joining shards":
        pass
    steps.close()
    assert leftovers(store) == []


def test_blobs_that_are_being_joined_are_not_collected(store: Store) -> None:
    files = {name: upload(store, data) for name, data in wide.shards(2).items()}
    store.close()  # whoever uploaded them wants them no longer
    steps = create(store, CreateRequest("m", files=files))
    while next(steps).status != "joining shards":
        pass
    for path in store.blobs.directory.iterdir():
        os.utime(path, (0, 0))
    store.prune()
    assert [step.status for step in steps][-1] == "success"
