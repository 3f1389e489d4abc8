import errno
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from lcrt.store.store import Store
from tests.cli.conftest import Lcrt
from tests.store.models import make


class _Full(io.RawIOBase):
    """A disk without room."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "models"))
    store = Store(tmp_path / "models")
    make(store, "m", b"weights")
    return store


def test_a_model_is_written_to_a_file(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    result = lcrt("export", "M", str(tmp_path / "m.tar"))
    assert (result.code, result.out) == (0, "")
    assert "exported 'M' to" in result.err
    with tarfile.open(tmp_path / "m.tar") as tar:
        assert "index.json" in tar.getnames()


def test_an_archive_can_be_sent_on(lcrt: Lcrt, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink, write_through=True))
    assert lcrt("export", "m", "-").code == 0
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        assert tar.getnames()[:2] == ["oci-layout", "index.json"]


def test_what_cannot_be_exported_is_said(lcrt: Lcrt, store: Store, tmp_path: Path) -> None:
    assert "model 'none:latest' not found" in lcrt("export", "none", str(tmp_path / "x")).err
    assert "invalid model name" in lcrt("export", "a b", str(tmp_path / "x")).err
    missing = lcrt("export", "m", str(tmp_path / "none" / "x")).err
    assert f"cannot write {tmp_path}/none/x: No such file or directory\nis there a folder {tmp_path}/none?" in missing
    assert not (tmp_path / "x").exists()
    assert "it is a folder\nname a file in it" in lcrt("export", "m", str(tmp_path)).err


def test_a_stream_that_cannot_be_written_is_said_with_advice(
    lcrt: Lcrt, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(_Full(), write_through=True))  # type: ignore[type-var]
    result = lcrt("export", "m", "-")
    assert result.code == 1
    assert "Error: cannot write to stdout: No space left on device\nmake room there" in result.err
