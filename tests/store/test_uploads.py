import contextlib
import os
from pathlib import Path

import pytest

from lcrt.store.uploads import Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


def test_what_was_written_last_is_read_by_whoever_comes_next(uploads: Uploads, tmp_path: Path) -> None:
    with uploads.open("a", "b") as record:
        assert record.read() == b""
        record.write(b"a long line")
        record.write(b"short")
        assert record.read() == b"short"
    with Uploads(tmp_path / "uploads").open("a", "b") as again:
        assert again.read() == b"short"


def test_other_facts_are_another_upload(uploads: Uploads) -> None:
    with uploads.open("a", "b") as one, uploads.open("a", "c") as other:
        one.write(b"x")
        assert other.read() == b""


def test_while_somebody_has_it_it_is_empty_for_others_and_stays_as_it_is(uploads: Uploads) -> None:
    with uploads.open("a") as one:
        one.write(b"x")
        with uploads.open("a") as other:
            assert other.read() == b""
            other.write(b"y")
            other.forget()
        assert one.read() == b"x"


def test_whoever_is_about_to_let_go_is_waited_for(uploads: Uploads) -> None:
    holding = contextlib.ExitStack()
    holding.enter_context(uploads.open("a")).write(b"x")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            holding.close()

    with uploads.open("a", patience=60, pause=pause) as record:
        assert record.read() == b"x"
    assert len(pauses) == 3


def test_whoever_keeps_it_is_waited_for_only_so_long(uploads: Uploads) -> None:
    with uploads.open("a") as one:
        one.write(b"x")
        with uploads.open("a", patience=0.1) as other:
            assert other.read() == b""


def test_of_what_is_forgotten_nothing_is_left(uploads: Uploads, tmp_path: Path) -> None:
    with uploads.open("a") as record:
        record.write(b"x")
        record.forget()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_bytes_that_a_crash_left_behind_a_line_are_not_read(uploads: Uploads, tmp_path: Path) -> None:
    with uploads.open("a") as record:
        record.write(b"x")
    [path] = (tmp_path / "uploads").iterdir()
    path.write_bytes(b"x\nrest of an older line\n")
    with uploads.open("a") as again:
        assert again.read() == b"x"


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    with Uploads(place).open("a") as record:
        record.write(b"x")
        assert record.read() == b""


def test_only_old_records_that_nobody_has_are_collected(uploads: Uploads, tmp_path: Path) -> None:
    for name in "ab":
        with uploads.open(name) as record:
            record.write(name.encode())
    with uploads.open("a"):
        for path in (tmp_path / "uploads").iterdir():
            os.utime(path, (1000, 1000))
        uploads.collect(age=10, now=1009)
        assert len(list((tmp_path / "uploads").iterdir())) == 2
        uploads.collect(age=10, now=1011)
        assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_others_users_cannot_read_where_uploads_go_on(uploads: Uploads, tmp_path: Path) -> None:
    with uploads.open("a") as record:
        record.write(b"x")
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0
