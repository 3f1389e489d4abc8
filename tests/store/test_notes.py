from pathlib import Path

import pytest

from lcrt.store.notes import Notes
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.modelfile.models import named
from tests.store.models import make


@pytest.fixture
def digest(store: Store) -> str:
    """A blob that a model needs."""
    make(store, "m", b"weights")
    return store.get(named("m")).layers[0].digest


@pytest.fixture
def note(store: Store, digest: str) -> Path:
    """Where the blob's note lies."""
    store.notes.put(digest, "kind", b"what is known")
    [path] = (store.directory / ".lcrt" / "notes").iterdir()
    return path


def test_a_note_is_found_by_another_process(store: Store, digest: str, note: Path) -> None:
    assert Store(store.directory).notes.get(digest, "kind") == b"what is known"
    store.notes.put(digest, "kind", b"")
    assert store.notes.get(digest, "kind") == b""
    assert note.is_file()


def test_of_another_kind_there_is_no_note(store: Store, digest: str, note: Path) -> None:
    assert store.notes.get(digest, "other") is None


@pytest.mark.parametrize("place", range(17))
def test_a_note_with_a_wrong_byte_is_none(store: Store, digest: str, note: Path, place: int) -> None:
    data = bytearray(note.read_bytes())
    data[place] ^= 1
    note.write_bytes(data)
    assert store.notes.get(digest, "kind") is None


@pytest.mark.parametrize("data", [b"", b"\0" * 17, b"\0\0\0"])
def test_what_a_crash_may_leave_is_no_note(store: Store, digest: str, note: Path, data: bytes) -> None:
    note.write_bytes(data)
    assert store.notes.get(digest, "kind") is None


def test_the_note_of_another_blob_is_none(store: Store, digest: str, note: Path) -> None:
    make(store, "n", b"others")
    other = store.get(named("n")).layers[0].digest
    note.rename(note.with_name(other.replace(":", "-")))
    assert store.notes.get(other, "kind") is None


def test_a_blob_of_another_size_than_noted_has_no_note(store: Store, digest: str, note: Path) -> None:
    store.blobs.path(digest).write_bytes(b"weigh")
    assert store.notes.get(digest, "kind") is None


def test_a_blob_that_went_has_no_note(store: Store, digest: str, note: Path) -> None:
    store.blobs.path(digest).unlink()
    assert store.notes.get(digest, "kind") is None
    store.notes.put(digest, "kind", b"late")
    assert store.notes.get(digest, "kind") is None


def test_a_note_goes_with_its_blob(store: Store, digest: str, note: Path) -> None:
    store.delete(named("m"))
    assert not note.exists()


def test_a_collection_removes_notes_that_nothing_belongs_to(store: Store, digest: str, note: Path) -> None:
    strays = [note.with_name(f"sha256-{'e' * 64}"), note.with_name(f".{note.name}-abcd")]
    for stray in strays:
        stray.write_bytes(b"x")
    store.collect(Ages(blob=-1, partial=-1))
    assert [path for path in (note, *strays) if path.exists()] == [note]


def test_where_nothing_can_be_written_nothing_is_noted(store: Store, digest: str, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    notes = Notes(place, store.blobs)
    notes.put(digest, "kind", b"x")
    assert notes.get(digest, "kind") is None
