"""Folders on the way: they go with the block, or with the process that made them."""

import subprocess
import sys
from pathlib import Path

import pytest

from lcrt.store.scratch import Scratch
from lcrt.store.store import Store


@pytest.fixture
def directory(store: Store) -> Path:
    return store.directory / ".lcrt" / "scratch"


def test_a_folder_goes_with_its_block_whatever_is_in_it(store: Store, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"x")
    with store.scratch.folder() as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").symlink_to(tmp_path / "kept")
    assert list(directory.iterdir()) == []
    assert (tmp_path / "kept").read_bytes() == b"x"


def test_what_somebody_works_in_is_not_collected(store: Store) -> None:
    with store.scratch.folder() as folder:
        store.prune()
        assert folder.is_dir()


@pytest.mark.parametrize("end", ["os._exit(1)", "Path(str(folder) + '.lock').unlink(); os._exit(1)"])
def test_the_next_start_removes_what_a_dead_process_left(store: Store, directory: Path, end: str) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom lcrt.store.scratch import Scratch\n"
        f"with Scratch(Path(sys.argv[1])).folder() as folder:\n (folder / 'a').touch()\n {end}"
    )
    subprocess.run([sys.executable, "-c", code, str(directory)], check=False)
    assert list(directory.iterdir()) != []
    store.prune()
    assert list(directory.iterdir()) == []


def test_two_folders_are_two(directory: Path) -> None:
    scratch = Scratch(directory)
    with scratch.folder() as one, scratch.folder() as other:
        assert one != other
