import errno
import fcntl
import os
from pathlib import Path

import pytest

from lcrt.errors import StoreError
from lcrt.store.digest import digest_of
from lcrt.store.intake import hash_file
from lcrt.store.store import Store
from tests.store.models import blob_names

CONTENT = os.urandom(9 << 20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(CONTENT)
    return path


def fail(number: int) -> object:
    def failure(*_args: object) -> int:
        raise OSError(number, os.strerror(number))

    return failure


def test_a_copy_is_hashed_whole_and_reported(store: Store, file: Path) -> None:
    seen: list[int] = []
    taken = store.take_in(file, seen.append)
    assert (taken.digest, taken.size) == (digest_of(CONTENT), len(CONTENT))
    assert store.blobs.read(taken.digest) == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert not store.blobs.path(taken.digest).samefile(file)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS])
def test_where_the_kernel_does_not_copy_the_process_does(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "copy_file_range", fail(number))
    assert store.take_in(file, lambda _: None).digest == digest_of(CONTENT)
    assert store.blobs.read(digest_of(CONTENT)) == CONTENT


@pytest.mark.parametrize("step", ["copy_file_range", "fsync"])
def test_a_full_disk_leaves_nothing_and_says_what_to_do(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(os, step, fail(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left on device") as refused:
        store.take_in(file, lambda _: None)
    assert "make room" in (refused.value.hint or "")
    assert blob_names(store) == set()


def test_a_reader_of_progress_that_fails_stops_the_copy(store: Store, file: Path) -> None:
    def stop(_n_read: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.take_in(file, stop)
    assert blob_names(store) == set()


def test_bytes_are_shared_where_the_file_system_can(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clone(target: int, _request: int, source: int) -> int:
        return os.sendfile(target, source, 0, len(CONTENT))

    monkeypatch.setattr(fcntl, "ioctl", clone)
    taken = store.take_in(file, lambda _: None, link=True)
    assert taken.way == "shared"
    assert store.blobs.read(taken.digest) == CONTENT
    assert store.links.records() == {}


def test_an_empty_file_has_a_digest(tmp_path: Path, store: Store) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert hash_file(tmp_path / "empty") == digest_of(b"")
    assert store.take_in(tmp_path / "empty", lambda _: None).size == 0
