from pathlib import Path

from lcrt.store.digest import digest_of
from lcrt.store.layers import ADAPTER
from lcrt.store.prune import Ages
from lcrt.store.states import States, folder_name
from lcrt.store.store import Store
from tests.store.models import make, manifest_path, named, put


def blob(data: bytes) -> str:
    return "/somewhere/blobs/" + digest_of(data).replace(":", "-")


def folder_of(directory: Path, weights: str, *adapters: str) -> Path:
    folder = directory / folder_name(weights, [(path, 1.0) for path in adapters])
    folder.mkdir(parents=True)
    (folder / "a.state").write_bytes(b"x")
    return folder


def test_a_blob_has_one_name_wherever_it_lies() -> None:
    name = folder_name(blob(b"weights"))
    assert name == folder_name(blob(b"weights").replace("somewhere", "elsewhere"))
    assert name.isalnum()
    assert len({name, folder_name(blob(b"others")), folder_name(blob(b"weights"), [(blob(b"adapter"), 1.0)])}) == 3


def test_the_order_of_adapters_counts_and_their_scales() -> None:
    one, two = (blob(b"one"), 1.0), (blob(b"two"), 1.0)
    assert folder_name(blob(b"w"), [one, two]) != folder_name(blob(b"w"), [two, one])
    assert folder_name(blob(b"w"), [one]) != folder_name(blob(b"w"), [(blob(b"one"), 0.5)])


def test_another_file_is_told_by_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    before = folder_name(str(path))
    assert folder_name(str(path)) == before
    path.write_bytes(b"longer")
    assert folder_name(str(path)) != before
    assert folder_name(str(tmp_path / "missing.gguf"))


def test_forgetting_takes_all_folders_of_the_weights_and_no_others(tmp_path: Path) -> None:
    gone = [folder_of(tmp_path, blob(b"w")), folder_of(tmp_path, blob(b"w"), blob(b"adapter"))]
    stays = folder_of(tmp_path, blob(b"others"))
    States(tmp_path).forget(digest_of(b"w"))
    assert not any(folder.exists() for folder in gone)
    assert stays.exists()
    States(tmp_path / "missing").forget(digest_of(b"w"))


def test_deleting_a_model_deletes_its_states(tmp_path: Path) -> None:
    store = Store(tmp_path / "models", States(tmp_path / "cache"))
    make(store, "one", b"weights")
    make(store, "two", b"weights")
    folder = folder_of(tmp_path / "cache", blob(b"weights"))
    store.delete(named("one"))
    assert folder.exists()
    store.delete(named("two"))
    assert not folder.exists()


def test_a_model_with_an_adapter_takes_what_was_computed_with_it_along(tmp_path: Path) -> None:
    store = Store(tmp_path / "models", States(tmp_path / "cache"))
    (base,) = make(store, "base", b"weights")
    adapter = put(store, b"adapter", ADAPTER)
    for name in ("one", "two"):
        store.publish(named(name), b"{}", (base, adapter))
    plain = folder_of(tmp_path / "cache", blob(b"weights"))
    adapted = folder_of(tmp_path / "cache", blob(b"weights"), blob(b"adapter"))
    store.delete(named("one"))
    assert adapted.exists()
    store.publish(named("two"), b"{}", (base,))
    assert not adapted.exists()
    store.delete(named("base"))
    assert plain.exists(), "the other model has the same weights"


def test_blobs_that_are_collected_take_their_states_along(tmp_path: Path) -> None:
    store = Store(tmp_path / "models", States(tmp_path / "cache"))
    make(store, "m", b"weights")
    folder, stays = (folder_of(tmp_path / "cache", blob(data)) for data in (b"weights", b"others"))
    manifest_path(store, "m").unlink()
    store.close()
    store.collect(Ages(blob=-1))
    assert not folder.exists()
    assert stays.exists()
