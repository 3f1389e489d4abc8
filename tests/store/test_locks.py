import fcntl
import os
import threading
from pathlib import Path

import pytest

from lcrt.errors import BusyError, StoreError
from lcrt.store.locks import StoreLock, claim, is_abandoned, new_claim, reap
from lcrt.store.store import Store
from tests.store.models import make, named
from tests.store.processes import Other


def test_one_thread_at_a_time_changes_a_store(tmp_path: Path) -> None:
    first, second = StoreLock(tmp_path / "lock"), StoreLock(tmp_path / "lock", patience=0.01)
    with first, pytest.raises(BusyError, match="another process is changing"), second:
        pass
    with second:
        pass


def test_a_lock_waits_for_the_one_before_it(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "lock")
    order: list[str] = []
    inside = threading.Event()

    def late() -> None:
        inside.wait(10)
        with StoreLock(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=late)
    thread.start()
    with lock:
        inside.set()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with Other(tmp_path) as other:
        other.do("store.lock.__enter__()")
        impatient = StoreLock(tmp_path / ".lcrt" / "lock", patience=0.01)
        with pytest.raises(BusyError), impatient:
            pass
        other.kill()
        with impatient:
            pass
    make(store, "m", b"weights")
    store.delete(named("m"))


def test_a_place_that_cannot_be_written_is_told_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot change the model store"), StoreLock(tmp_path / "file" / "x" / "lock"):
        pass


def test_a_file_system_without_locks_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, flags: int) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with StoreLock(tmp_path / "lock"):
        pass


def test_a_claim_is_had_once_until_it_is_given_back(tmp_path: Path) -> None:
    first = claim(tmp_path / "c")
    assert first is not None
    assert claim(tmp_path / "c") is None
    first.close()
    first.close()
    again = claim(tmp_path / "c")
    assert again is not None
    with again:
        pass
    assert not (tmp_path / "c").exists()


def test_only_what_the_dead_left_is_taken_away(tmp_path: Path) -> None:
    with new_claim(tmp_path / "living"):
        assert not is_abandoned(tmp_path / "living")
        assert not reap(tmp_path / "living")
    (tmp_path / "dead").write_bytes(b"")
    assert is_abandoned(tmp_path / "dead")
    assert reap(tmp_path / "dead")
    assert not reap(tmp_path / "dead")
    assert list(tmp_path.iterdir()) == []


def test_a_claim_of_a_killed_process_is_free(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    store = Store(tmp_path)
    with Other(tmp_path) as other:
        other.do(f"claim = store.claim({digest!r})")
        assert store.claim(digest) is None
        other.kill()
        mine = store.claim(digest)
        assert mine is not None
        mine.close()
