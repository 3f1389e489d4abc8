import os
from pathlib import Path

from lcrt.store.check import check
from lcrt.store.store import Store
from tests.store.models import make, manifest_path, named, put


def texts(store: Store) -> str:
    return "\n".join(problem.text for problem in check(store).problems)


def test_a_good_store_has_no_problems(store: Store) -> None:
    make(store, "m", b"weights")
    put(store, b"unreferenced")
    found = check(store)
    assert (found.problems, found.n_models, found.n_blobs) == ((), 1, 3)
    assert found.size == len(b"weights" + b"unreferenced" + b'{"base_name":"m"}')


def test_an_empty_place_is_a_good_store(tmp_path: Path) -> None:
    assert check(Store(tmp_path / "none")).problems == ()


def test_a_flipped_bit_is_found_and_the_model_named(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    make(store, "other", b"more")
    store.blobs.path(layer.digest).write_bytes(b"weighty")
    found = check(store)
    assert layer.digest in found.problems[0].text
    assert found.again == ("m:latest",)
    assert store.blobs.has(layer.digest)


def test_a_missing_blob_and_one_of_another_size_are_found(store: Store) -> None:
    one, two = make(store, "m", b"one", b"two!")
    store.blobs.remove(one.digest)
    path = manifest_path(store, "m")
    path.write_bytes(path.read_bytes().replace(b'"size":4', b'"size":5'))
    said = texts(store)
    assert f"m:latest needs blob {one.digest}, which is missing" in said
    assert f"m:latest says 5 bytes for blob {two.digest}, which has 4" in said


def test_repair_sets_a_bad_blob_aside_and_leaves_the_good_ones(store: Store) -> None:
    bad, good = make(store, "m", b"one", b"two")
    store.blobs.path(bad.digest).write_bytes(b"eno")
    (aside,) = check(store, repair=True).aside
    assert aside.read_bytes() == b"eno"
    assert not store.blobs.has(bad.digest)
    assert store.blobs.read(good.digest) == b"two"
    put(store, b"one")
    assert check(store).problems == ()


def test_repair_sets_a_damaged_manifest_aside_so_that_collection_works_again(store: Store) -> None:
    make(store, "m", b"weights")
    make(store, "good", b"more")
    manifest_path(store, "m").write_bytes(b"{")
    assert store.collect().refusal
    (aside,) = check(store, repair=True).aside
    assert aside.read_bytes() == b"{"
    assert not store.collect().refusal
    assert [model.name for model in store.models()] == [named("good")]


def test_a_check_without_repair_changes_nothing(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    store.blobs.path(layer.digest).write_bytes(b"x")
    manifest_path(store, "m").write_bytes(b"{")
    before = sorted(path for path in store.directory.rglob("*"))
    assert len(check(store).problems) == 2
    assert sorted(path for path in store.directory.rglob("*")) == before


def test_repair_takes_only_the_link_of_a_file_that_is_somebodys(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"weights")
    digest = store.take_in(file, lambda _: None, link=True).digest
    file.write_bytes(b"other")
    assert check(store, repair=True).aside == (file,)
    assert file.read_bytes() == b"other"
    assert not store.blobs.has(digest)


def test_a_model_that_goes_while_others_are_read_is_no_problem(store: Store) -> None:
    for number in range(4):
        make(store, f"m{number}", b"weights %d" % number)

    def others_work(_digest: str, _done: int, _total: int) -> None:
        for model in store.models():
            store.delete(model.name)

    found = check(store, repair=True, watch=others_work)
    assert (found.problems, found.aside, found.size) == ((), (), 0)


def test_repair_leaves_a_blob_that_was_mended_meanwhile(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    path = store.blobs.path(layer.digest)
    path.write_bytes(b"weighty")
    os.utime(path, (1000, 1000))

    def others_work(digest: str, _done: int, _total: int) -> None:
        if digest == layer.digest:
            path.unlink()
            path.write_bytes(b"weights")

    assert check(store, repair=True, watch=others_work).aside == ()
    assert check(store).problems == ()


def test_progress_is_told_for_every_blob(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    seen: list[tuple[str, int, int]] = []
    check(store, watch=lambda digest, done, total: seen.append((digest, done, total)))
    assert (layer.digest, 7, 7) in seen
