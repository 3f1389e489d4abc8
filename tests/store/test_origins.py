from pathlib import Path

import pytest

from lcrt.store.origins import Origins
from lcrt.store.store import Store
from tests.store.models import make, manifest_path, named

SUM = "ab" * 32


@pytest.fixture
def origins(tmp_path: Path) -> Origins:
    return Origins(tmp_path / "origins")


def test_what_a_model_was_made_of_is_known_of_that_model_alone(origins: Origins, tmp_path: Path) -> None:
    assert origins.get(b"manifest") == ""
    origins.put(b"manifest", SUM)
    assert Origins(tmp_path / "origins").get(b"manifest") == SUM
    assert origins.get(b"another") == ""


@pytest.mark.parametrize("content", [b"", SUM[:-1].encode(), SUM.encode(), b"\0" * 65, SUM.encode() + b"\n\n"])
def test_what_a_crash_left_is_not_believed(origins: Origins, tmp_path: Path, content: bytes) -> None:
    origins.put(b"manifest", SUM)
    [path] = (tmp_path / "origins").iterdir()
    path.write_bytes(content)
    assert origins.get(b"manifest") == ""


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    origins = Origins(tmp_path / "file")
    origins.put(b"manifest", SUM)
    assert origins.get(b"manifest") == ""


def test_of_models_that_went_nothing_is_kept(store: Store) -> None:
    for name in "ab":
        make(store, name, name.encode())
        store.origins.put(store.get(named(name)).raw, SUM)
    raw = {name: store.get(named(name)).raw for name in "ab"}
    store.delete(named("a"))
    store.collect()
    assert (store.origins.get(raw["a"]), store.origins.get(raw["b"])) == ("", SUM)
    assert manifest_path(store, "b").read_bytes() == raw["b"]
