"""Files that stay where they lie: by hard link or reference, verified before use."""

import errno
import os
from pathlib import Path

import pytest

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store import intake
from lcrt.store.digest import digest_of
from lcrt.store.intake import Taken
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.models import blob_names

CONTENT = b"weights of somebody"
DIGEST = digest_of(CONTENT)
WAYS = ["hard link", "reference"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "m.gguf"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture(params=WAYS)
def taken(request: pytest.FixtureRequest, store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The file taken in, each way."""
    monkeypatch.setattr(intake, "_clone", lambda source, writer: False)
    if request.param == "reference":
        monkeypatch.setattr(Path, "hardlink_to", refuse(errno.EXDEV))
    taken = store.take_in(file, lambda _: None, link=True)
    monkeypatch.undo()
    assert taken == Taken(DIGEST, len(CONTENT), request.param)
    return taken


def refuse(number: int) -> object:
    def refusal(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    return refusal


def test_a_linked_file_is_a_blob_that_takes_no_room(store: Store, file: Path, taken: Taken) -> None:
    assert store.blobs.read(taken.digest) == CONTENT
    assert store.blobs.path(taken.digest).samefile(file)
    assert len(blob_names(store)) == 1
    assert store.links.changed([taken.digest]) == []


def test_a_file_that_was_cut_gives_way_to_a_copy_and_stays_as_it_is(store: Store, file: Path, taken: Taken) -> None:
    file.write_bytes(b"cut")
    came = store.directory / "came"
    came.write_bytes(CONTENT)
    assert store.place(came, taken.digest)
    assert (store.blobs.read(taken.digest), file.read_bytes()) == (CONTENT, b"cut")
    assert store.links.records() == {}


def test_nothing_about_the_persons_file_changes(store: Store, file: Path, taken: Taken) -> None:
    store.blobs.touch(taken.digest)
    store.take_in(file, lambda _: None, link=True)
    assert (file.stat().st_mtime, file.read_bytes()) == (1000, CONTENT)
    store.close()
    store.collect(Ages(-1, -1))
    assert blob_names(store) == set()
    assert file.read_bytes() == CONTENT
    assert list((store.directory / ".lcrt" / "links").iterdir()) == []


def test_a_file_that_was_only_touched_is_hashed_once_and_good(store: Store, file: Path, taken: Taken) -> None:
    os.utime(file, (2000, 2000))
    assert store.links.changed([taken.digest]) == [taken.digest]
    store.links.verify(taken.digest)
    assert store.links.changed([taken.digest]) == []
    assert Store(store.directory).links.changed([taken.digest]) == []


def test_a_file_that_was_written_to_is_no_longer_the_blob(store: Store, file: Path, taken: Taken) -> None:
    file.write_bytes(CONTENT[:-1] + b"!")
    os.utime(file, (2000, 2000))
    assert store.links.changed([taken.digest]) == [taken.digest]
    with pytest.raises(StoreError, match="is not what it was") as refused:
        store.links.verify(taken.digest)
    assert str(file) in refused.value.message
    assert "make the model again" in (refused.value.hint or "")


def test_a_reference_to_a_file_that_is_gone_says_so(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_clone", lambda source, writer: False)
    monkeypatch.setattr(Path, "hardlink_to", refuse(errno.EPERM))
    digest = store.take_in(file, lambda _: None, link=True).digest
    file.unlink()
    assert not store.blobs.has(digest)
    assert store.links.changed([digest]) == [digest]
    with pytest.raises(StoreError, match="is gone"):
        store.links.verify(digest)


def test_a_blob_that_is_there_is_not_replaced_by_a_link(store: Store, file: Path) -> None:
    store.take_in(file, lambda _: None)
    assert store.take_in(file, lambda _: None, link=True).way == "there already"
    assert not store.blobs.path(DIGEST).samefile(file)
    assert store.links.records() == {}


def test_a_copy_takes_the_place_of_a_link(store: Store, file: Path, taken: Taken) -> None:
    other = file.with_name("other")
    other.write_bytes(CONTENT)
    assert store.take_in(other, lambda _: None, link=False).way in ("copied", "shared")
    file.write_bytes(b"something else entirely")
    other.unlink()
    assert (store.blobs.read(DIGEST), store.links.records()) == (CONTENT, {})
    assert not store.blobs.path(DIGEST).is_symlink()


def test_a_link_whose_record_was_lost_gets_one_again(store: Store, file: Path, taken: Taken) -> None:
    store.links.forget(taken.digest)
    assert store.take_in(file, lambda _: None, link=True).way == "there already"
    assert set(store.links.records()) == {taken.digest}


def test_a_record_that_cannot_be_written_leaves_nothing(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_clone", lambda source, writer: False)
    monkeypatch.setattr(os, "write", refuse(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"):
        store.take_in(file, lambda _: None, link=True)
    assert blob_names(store) == set()
    assert list((store.directory / ".lcrt" / "links").iterdir()) == []


def test_a_file_that_changes_while_it_is_read_is_refused(store: Store, file: Path) -> None:
    def meddle(_n_read: int) -> None:
        file.write_bytes(CONTENT + b"more")

    with pytest.raises(StoreError, match="changed while it was read"):
        store.take_in(file, meddle, link=True)
    assert blob_names(store) == set()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_cannot_be_read_is_the_callers_mistake(store: Store, tmp_path: Path, link: bool) -> None:
    with pytest.raises(InvalidRequest, match="could not read"):
        store.take_in(tmp_path / "none", lambda _: None, link=link)


def test_a_damaged_record_does_not_hide_the_others(store: Store, taken: Taken) -> None:
    (store.directory / ".lcrt" / "links" / f"sha256-{'0' * 64}").write_bytes(b"{")
    assert set(Store(store.directory).links.records()) == {taken.digest}
