from pathlib import Path

from lcrt.store.space import Share, space
from lcrt.store.store import Store
from tests.store.models import make, put


def test_shared_bytes_are_counted_once_and_own_ones_apart(store: Store) -> None:
    make(store, "a", b"shared", b"only a's")
    make(store, "b", b"shared")
    found = space(store)
    config = len(b'{"base_name":"a"}')
    assert found.shares == (
        Share("a:latest", 6 + 8 + config, 8 + config, 0),
        Share("b:latest", 6 + config, config, 0),
    )
    assert found.models == 6 + 8 + 2 * config
    assert found.total == found.models


def test_what_no_model_needs_is_counted_apart(store: Store) -> None:
    put(store, b"unreferenced")
    folder = store.blobs.directory
    with (folder / f"sha256-{'0' * 64}-partial").open("wb") as file:
        file.truncate(1 << 30)
        file.write(b"x" * 4096)
    found = space(store)
    assert (found.models, found.unreferenced) == (0, 12)
    assert 4096 <= found.partial < 1 << 20


def test_linked_files_take_no_room(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"weights")
    layer = store.take_in(file, lambda _: None, link=True)
    found = space(store)
    assert (found.elsewhere, found.total) == ((7, 0) if layer.way != "shared" else (0, 7))
