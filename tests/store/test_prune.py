import errno
import os
import time
from pathlib import Path

import pytest

from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.models import blob_names, make, manifest_path, put

HOURS_AGO = time.time() - 3 * 3600


def age(store: Store) -> None:
    """Make every blob look three hours old."""
    for path in store.blobs.directory.iterdir():
        os.utime(path, (HOURS_AGO, HOURS_AGO))


def leftover(store: Store, name: str) -> Path:
    path = store.blobs.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_old_files_that_no_model_needs_go(store: Store) -> None:
    make(store, "m", b"weights")
    kept = blob_names(store)
    put(store, b"forgotten")
    leftover(store, "sha256-123456")
    age(store)
    store.close()
    fresh = Store(store.directory)
    assert fresh.prune() == 2
    assert blob_names(fresh) == kept


def test_young_files_stay(store: Store) -> None:
    put(store, b"just uploaded")
    leftover(store, "sha256-123456")
    assert Store(store.directory).prune() == 0
    assert len(blob_names(store)) == 2


def test_what_this_process_was_given_stays_however_old(store: Store) -> None:
    layer = put(store, b"uploaded")
    age(store)
    assert store.prune() == 0
    assert store.blobs.has(layer.digest)


def test_nothing_goes_while_a_manifest_is_damaged(store: Store) -> None:
    make(store, "m", b"weights")
    make(store, "other", b"more")
    manifest_path(store, "other").write_bytes(b"{")
    age(store)
    before = blob_names(store)
    assert Store(store.directory).prune() == 0
    assert blob_names(store) == before


def test_nothing_goes_while_a_file_among_the_manifests_cannot_be_named(store: Store) -> None:
    make(store, "m", b"weights")
    manifest_path(store, "m").rename(manifest_path(store, "m").with_name("a tag"))
    age(store)
    before = blob_names(store)
    assert Store(store.directory).prune() == 0
    assert blob_names(store) == before


def test_empty_directories_of_manifests_go(store: Store) -> None:
    make(store, "m", b"weights")
    (store.directory / "manifests" / "host" / "ns" / "model").mkdir(parents=True)
    store.prune()
    assert [path.name for path in (store.directory / "manifests").iterdir()] == ["registry.ollama.ai"]


def test_what_a_killed_writer_left_among_the_manifests_goes(store: Store) -> None:
    make(store, "m", b"weights")
    path = store.directory / "manifests" / ".new-0123"
    path.write_bytes(b"{")
    assert store.prune() == 1
    assert not path.exists()


def test_what_a_killed_writer_left_among_the_blobs_goes_at_once(store: Store) -> None:
    path = leftover(store, ".new-0123")
    with store.blobs.writer() as writer:
        writer.write(b"half")
        assert store.prune() == 1
        assert not path.exists()
        writer.finish()
        assert store.keep_blob(writer)


def test_a_download_that_broke_off_stays_for_a_week(store: Store) -> None:
    partial = leftover(store, "sha256-" + "0" * 64 + "-partial")
    record = leftover(store, "sha256-" + "0" * 64 + "-partial-0")
    week = 7 * 24 * 3600.0
    os.utime(partial, (0, 0))
    assert store.prune(now=record.stat().st_mtime + week - 1) == 0
    assert store.prune(now=record.stat().st_mtime + week + 1) == 2


def test_what_is_held_stays_with_its_parts_however_old(store: Store) -> None:
    partial = leftover(store, "sha256-" + "0" * 64 + "-partial")
    os.utime(partial, (0, 0))
    with store.hold() as hold:
        hold.reserve("sha256:" + "0" * 64)
        assert store.collect(Ages(-1, -1)).n_files == 0
    assert store.collect(Ages(-1, -1)).n_files == 1


def test_a_directory_that_cannot_be_listed_stops_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make(store, "m", b"weights")
    age(store)
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if str(path).endswith("library"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    fresh = Store(store.directory)
    found = fresh.collect(Ages(-1, -1))
    assert found.n_files == 0
    assert "Permission denied" in found.refusal


def test_claims_of_the_dead_go(store: Store) -> None:
    dead = store.directory / ".lcrt" / "claims" / ("1" * 64)
    with store.claim("sha256:" + "0" * 64) as claim:  # type: ignore[union-attr]
        dead.write_bytes(b"")
        store.prune()
        assert claim.path.exists()
        assert not dead.exists()


def test_a_store_that_is_not_there_yet_has_nothing_to_prune(store: Store) -> None:
    assert store.prune() == 0


def test_blobs_of_an_early_layout_get_todays_names(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    path = store.blobs.path(layer.digest)
    path.rename(path.with_name(layer.digest))
    assert not store.blobs.has(layer.digest)
    store.prune()
    assert store.blobs.read(layer.digest) == b"weights"
    assert layer.digest not in blob_names(store)
