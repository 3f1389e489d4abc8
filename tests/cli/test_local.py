"""A command beside a daemon on the same machine puts files into the daemon's store itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.client.api import Api
from lcrt.config.address import Address
from lcrt.errors import LcrtError
from lcrt.gguf.writer import write_gguf
from lcrt.store.store import Store
from tests.cli.conftest import Lcrt
from tests.modelfile.models import LLAMA, TENSOR, named

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("LCRT_MODELS", str(folder))
    return Store(folder)


@pytest.fixture
def daemon(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A daemon on that store, whose models are made up."""
    command = [sys.executable, "-m", "tests.store.crash.daemon", "--serve", str(store.directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        monkeypatch.setenv("LCRT_HOST", f"127.0.0.1:{port}")
        yield Api(Address(port=port))
        process.terminate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    write_gguf(path, LLAMA, (TENSOR,))
    return path


def weights(store: Store) -> Path:
    return store.blobs.path(store.get(named("m")).layers[0].digest)


def names(store: Store) -> set[str]:
    return {path.name for path in store.blobs.directory.iterdir()}


def test_a_file_is_copied_once_and_not_sent(lcrt: Lcrt, daemon: Api, store: Store, file: Path) -> None:
    result = lcrt("create", "m", "--from", str(file))
    assert result.code == 0
    assert "m.gguf: copied" in result.err or "m.gguf: shared" in result.err
    assert not weights(store).samefile(file)
    assert names(store) == {path.replace(":", "-") for path in store.get(named("m")).digests}


def test_a_linked_file_is_used_until_it_changes(lcrt: Lcrt, daemon: Api, store: Store, file: Path) -> None:
    result = lcrt("create", "m", "--from", str(file), "--link")
    assert result.code == 0
    if "hard link" not in result.err:
        pytest.skip("this file system shares bytes: nothing is linked")
    ask: dict[str, object] = {"model": "m", "prompt": "hi"}
    with daemon.generate(ask) as chunks:
        assert list(chunks)
    os.utime(file, (1, 1))
    with daemon.generate(ask) as chunks:
        assert list(chunks)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(LcrtError, match="is not what it was"), daemon.generate(ask) as chunks:
        list(chunks)


def test_without_a_store_that_both_see_files_are_sent(
    lcrt: Lcrt, daemon: Api, store: Store, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("LCRT_MODELS", str(tmp_path / "other"))
    refused = lcrt("create", "m", "--from", str(file), "--link")
    assert refused.code == 1
    assert "set LCRT_MODELS to that folder" in refused.err
    assert lcrt("create", "m", "--from", str(file)).code == 0
    assert weights(store).read_bytes() == file.read_bytes()
    assert list((tmp_path / "other").rglob("sha256-*")) == []


def test_a_modelfile_and_from_exclude_each_other(lcrt: Lcrt) -> None:
    assert lcrt("create", "m", "--from", "x", "-f", "y").code == 2
