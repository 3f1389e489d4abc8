"""What one process works with is spared by all the others."""

import errno
import os
from pathlib import Path

import pytest

from lcrt.errors import StoreError
from lcrt.store.digest import digest_of
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.models import make, named, put
from tests.store.processes import Other

AT_ONCE = Ages(blob=-1, partial=-1)
HOLDS = Path(".lcrt") / "holds"


def test_another_process_does_not_delete_what_is_held(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    with Other(store.directory) as other:
        other.do(f"hold.add({layer.digest!r})")
        store.delete(named("m"))
        store.collect(AT_ONCE)
        assert store.blobs.has(layer.digest)
        other.kill()
        store.collect(AT_ONCE)
        assert not store.blobs.has(layer.digest)


def test_an_upload_waits_for_its_model_whoever_collects(store: Store) -> None:
    layer = put(store, b"weights")
    with Other(store.directory) as other:
        other.do("from lcrt.store.prune import Ages; store.collect(Ages(-1, -1))")
    assert store.blobs.has(layer.digest)


def test_a_hold_ends_when_it_ends(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    with Other(store.directory) as other:
        with store.hold() as hold:
            hold.add(layer.digest)
            other.do("store.delete(named('m'))")
            assert store.blobs.has(layer.digest)
        other.do("from lcrt.store.prune import Ages; store.collect(Ages(-1, -1))")
    assert not store.blobs.has(layer.digest)


def test_a_file_tells_others_only_while_there_is_something_to_tell(store: Store) -> None:
    make(store, "m", b"weights")
    assert list((store.directory / HOLDS).iterdir()) == []
    with store.hold() as hold:
        hold.reserve(digest_of(b"a"), digest_of(b"b"))
        (file,) = (store.directory / HOLDS).iterdir()
        assert set(file.read_text().split()) == {digest_of(b"a"), digest_of(b"b")}
    assert list((store.directory / HOLDS).iterdir()) == []


def test_closing_gives_all_wishes_up(store: Store) -> None:
    layer = put(store, b"weights")
    store.close()
    store.collect(AT_ONCE)
    assert not store.blobs.has(layer.digest)


def test_what_others_cannot_be_told_of_is_not_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (layer,) = make(store, "m", b"weights")

    def full(fd: int, data: object, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store.hold() as hold:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(StoreError, match="No space left") as refused:
            hold.add(layer.digest)
        monkeypatch.undo()
    assert "make room" in (refused.value.hint or "")
    store.delete(named("m"))
    assert not store.blobs.has(layer.digest)
