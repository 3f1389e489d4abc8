import os
from pathlib import Path

import pytest

from lcrt.errors import InvalidRequest, StoreError
from lcrt.store.blobs import Blobs, check_digest
from lcrt.store.digest import digest_of
from tests.store.models import record_steps

HELLO = digest_of(b"hello")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def write(blobs: Blobs, data: bytes) -> bool:
    with blobs.writer() as writer:
        writer.write(data)
        writer.finish()
        return writer.place()


def test_a_blob_lies_under_its_digest(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"hel")
        writer.write(memoryview(b"lo"))
        writer.finish()
        assert (writer.digest, writer.size) == (HELLO, 5)
        assert writer.place()
    path = blobs.directory / HELLO.replace(":", "-")
    assert path.read_bytes() == b"hello"
    assert path.stat().st_mode & 0o777 == 0o644 & ~_umask()
    assert [p.name for p in blobs.directory.iterdir()] == [path.name]


def test_the_name_is_there_only_when_the_blob_is_complete(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"hello")
        writer.finish()
        assert not blobs.has(HELLO)
        writer.place()
        assert blobs.has(HELLO)


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_answer(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = record_steps(monkeypatch)
    write(blobs, b"hello")
    assert steps == ["sync file", "rename", "sync directory"]


def test_a_second_copy_is_dropped_and_the_first_made_young(blobs: Blobs) -> None:
    assert write(blobs, b"hello")
    os.utime(blobs.path(HELLO), (0, 0))
    assert not write(blobs, b"hello")
    assert blobs.path(HELLO).stat().st_mtime > 0
    assert len(list(blobs.directory.iterdir())) == 1


@pytest.mark.parametrize("damaged", [b"", b"hell", b"hello!"])
def test_a_blob_that_has_lost_its_length_gives_way(blobs: Blobs, damaged: bytes) -> None:
    write(blobs, b"hello")
    blobs.path(HELLO).write_bytes(damaged)
    assert not blobs.has(HELLO, 5)
    assert write(blobs, b"hello")
    assert blobs.has(HELLO, 5)
    assert blobs.read(HELLO) == b"hello"


def test_a_write_that_fails_leaves_nothing(blobs: Blobs) -> None:
    def interrupted() -> None:
        with blobs.writer() as writer:
            writer.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert list(blobs.directory.iterdir()) == []


def test_what_is_missing_is_a_store_error(blobs: Blobs) -> None:
    assert not blobs.has(HELLO)
    for ask in (blobs.read, blobs.size):
        with pytest.raises(StoreError, match="is not in the store"):
            ask(HELLO)


def test_no_digest_leads_outside(blobs: Blobs) -> None:
    with pytest.raises(InvalidRequest):
        blobs.path("sha256:" + "../" * 21 + "x")


def test_a_directory_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write to"), Blobs(tmp_path / "file" / "blobs").writer():
        pass


def test_content_must_be_what_was_announced() -> None:
    check_digest(HELLO, HELLO)
    check_digest(HELLO.replace(":", "-"), HELLO)
    other = "sha256:" + "0" * 64
    with pytest.raises(InvalidRequest) as refused:
        check_digest(other, HELLO)
    assert refused.value.message == f'digest mismatch, expected "{other}", got "{HELLO}"'


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
