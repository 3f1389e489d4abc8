from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.gguf.writer import write_gguf
from lcrt.store.store import Store
from tests.cli.conftest import Lcrt
from tests.modelfile.models import LLAMA, TENSOR, named


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Store(tmp_path / "models")


def gguf(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(path, LLAMA | {"general.name": path.name}, (TENSOR,))
    return path


def weights(store: Store, name: str) -> Path:
    return store.blobs.path(store.get(named(name)).layers[0].digest)


def test_a_file_becomes_a_model_without_being_copied(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    path = gguf(tmp_path / "some.gguf")
    result = lcrt("import", str(path), "mine")
    assert (result.code, result.out) == (0, "imported 'mine:latest'\n")
    assert weights(store, "mine").samefile(path) or "shared" in result.err
    assert lcrt("import", str(path)).out == "imported 'some:latest'\n"


def test_a_copy_does_not_depend_on_the_file(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    path = gguf(tmp_path / "some.gguf")
    lcrt("import", str(path), "mine", "--copy")
    assert not weights(store, "mine").samefile(path)
    assert store.links.records() == {}


def test_what_lm_studio_has_is_imported_and_what_cannot_be_is_named(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".lmstudio" / "models"
    gguf(folder / "org" / "repo" / "m-Q4_0.gguf")
    bad = folder / "org" / "bad" / "m-Q4_0.gguf"
    bad.parent.mkdir()
    bad.write_bytes(b"no weights")
    result = lcrt("import", "lmstudio")
    assert result.code == 1
    assert result.out == "imported 'org/repo:Q4_0'\n"
    assert "Error: org/bad:Q4_0: supplied file was not in GGUF format\ngive a GGUF file" in result.err
    assert [model.name.short for model in store.models()] == ["org/repo:Q4_0"]


@pytest.mark.parametrize("copy", [[], ["--copy"]], ids=["linked", "copied"])
@pytest.mark.parametrize("stopped", [False, True], ids=["bad", "stopped"])
def test_what_was_taken_in_for_a_model_that_is_not_made_goes(
    lcrt: Lcrt, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: list[str], stopped: bool
) -> None:
    path = gguf(tmp_path / "some.gguf")
    if stopped:
        monkeypatch.setattr("lcrt.cli.import_.create", _stop)
    else:
        path.write_bytes(b"GGUF and nothing")
    before = path.read_bytes()
    assert lcrt("import", str(path), *copy).code == (130 if stopped else 1)
    assert list(store.blobs.directory.iterdir()) == []
    assert store.links.records() == {}
    assert path.read_bytes() == before


def _stop(*_: object) -> Iterator[object]:
    raise KeyboardInterrupt
    yield


def test_the_hubs_cache_is_listed_before_anything_is_made(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    cache = tmp_path / "home" / ".cache" / "huggingface" / "hub"
    gguf(cache / "models--org--repo" / "snapshots" / "abc" / "m-Q8_0.gguf")
    result = lcrt("import", "huggingface", "--dry-run")
    assert "hf.co/org/repo:Q8_0" in result.out
    assert not store.directory.exists()
    assert lcrt("import", "huggingface", "other").code == 1
    assert lcrt("import", "huggingface", "org/").out == "imported 'hf.co/org/repo:Q8_0'\n"


def test_an_exported_model_is_imported_elsewhere(
    lcrt: Lcrt, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lcrt("import", str(gguf(tmp_path / "some.gguf")), "mine")
    archive = tmp_path / "mine.tar"
    assert lcrt("export", "mine", str(archive)).code == 0
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "other"))
    assert lcrt("import", str(archive)).out == "imported 'mine:latest'\n"
    assert Store(tmp_path / "other").get(named("mine")).raw == store.get(named("mine")).raw


@pytest.mark.parametrize(
    ("source", "text"),
    [("none", "no such file or folder"), ("empty", "no GGUF models in"), ("junk", "no archive of a model")],
)
def test_what_cannot_be_imported_is_told_with_advice(
    lcrt: Lcrt, store: Store, tmp_path: Path, source: str, text: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").write_bytes(b"junk" * 500)
    result = lcrt("import", str(tmp_path / source))
    assert result.code == 1
    assert text in result.err
