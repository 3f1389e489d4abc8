from pathlib import Path

import pytest

from lcrt.store.store import Store
from tests.cli.conftest import Lcrt
from tests.store.models import make, manifest_path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "models"))
    store = Store(tmp_path / "models")
    make(store, "m", b"weights")
    return store


def test_a_good_store_is_said_to_be_well(lcrt: Lcrt, store: Store) -> None:
    result = lcrt("store", "check")
    assert (result.code, result.out) == (0, "1 models, 2 blobs, 24 B: all is well\n")


def test_a_damaged_blob_is_named_with_the_models_to_pull_again(lcrt: Lcrt, store: Store) -> None:
    digest = store.get(next(model.name for model in store.models())).layers[0].digest
    store.blobs.path(digest).write_bytes(b"weighty")
    result = lcrt("store", "check")
    assert result.code == 1
    assert f"blob {digest} has other bytes than its name says" in result.out
    assert "pull or create again: m:latest\n" in result.out
    assert lcrt("store", "check", "--repair").out.count("set aside:") == 1
    assert not store.blobs.has(digest)
    assert f"needs blob {digest}, which is missing" in lcrt("store", "check").out


def test_collection_says_what_went_and_why_it_may_not(lcrt: Lcrt, store: Store) -> None:
    stray = store.blobs.directory / "stray"
    stray.write_bytes(b"1234")
    assert lcrt("store", "gc").out == "removed 0 files, 0 B\n"
    assert lcrt("store", "gc", "--all").out == "removed 1 files, 4 B\n"
    manifest_path(store, "m").write_bytes(b"{")
    result = lcrt("store", "gc")
    assert result.code == 1
    assert "nothing is removed while a manifest cannot be read" in result.err
    assert "--repair" in result.err


def test_space_is_shown_by_model_and_in_all(lcrt: Lcrt, store: Store) -> None:
    make(store, "n", b"weights")
    lines = lcrt("store", "du").out.splitlines()
    assert lines[0].split("    ")[0] == "NAME"
    assert lines[1].split() == ["m:latest", "24", "B", "17", "B", "0", "B"]
    assert ["on", "disk", "41", "B"] in [line.split() for line in lines]


def test_flags_of_another_action_are_a_usage_error(lcrt: Lcrt, store: Store) -> None:
    assert lcrt("store", "du", "--repair").code == 2
    assert lcrt("store", "check", "--all").code == 2
    assert lcrt("store", "burn").code == 2


def test_a_store_that_is_not_there_is_told_with_advice(lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCRT_MODELS", "/nowhere/at/all")
    result = lcrt("store", "check")
    assert result.code == 1
    assert "there is no model store at /nowhere/at/all" in result.err
    assert "LCRT_MODELS" in result.err
