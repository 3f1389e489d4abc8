import json
import os
import threading
from pathlib import Path

import msgspec
import pytest

from lcrt.errors import NotFound, StoreError
from lcrt.store.digest import digest_of
from lcrt.store.layers import MODEL, Layer
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.store.models import blob_names, make, manifest_path, named, put


def shorts(store: Store) -> list[str]:
    return [manifest.name.short for manifest in store.models()]


def test_a_published_model_is_found_by_any_spelling(store: Store) -> None:
    make(store, "Foo:Q4", b"weights")
    manifest = store.get(named("foo:q4"))
    assert manifest.name.short == "Foo:Q4"
    assert store.blobs.read(manifest.layers[0].digest) == b"weights"
    assert store.find(named("bar")) is None
    with pytest.raises(NotFound, match="model 'bar:latest' not found"):
        store.get(named("bar"))


def test_models_are_listed_by_the_time_of_their_last_change(store: Store) -> None:
    for i, name in enumerate(("old", "new", "middle")):
        make(store, name, b"weights")
        when = {"old": 10, "middle": 20, "new": 30}[name]
        os.utime(manifest_path(store, name), (when, when))
        assert len(store.models()) == i + 1
    assert shorts(store) == ["new:latest", "middle:latest", "old:latest"]


def test_a_damaged_model_does_not_hide_the_others(store: Store) -> None:
    make(store, "good", b"weights")
    make(store, "bad", b"weights")
    manifest_path(store, "bad").write_bytes(b"{")
    assert shorts(store) == ["good:latest"]


def test_a_copy_is_the_same_bytes_under_another_name(store: Store) -> None:
    make(store, "m", b"weights")
    store.copy(named("M"), named("other:x"))
    assert store.get(named("other:x")).digest == store.get(named("m")).digest


def test_a_copy_onto_itself_changes_nothing(store: Store) -> None:
    make(store, "m", b"weights")
    os.utime(manifest_path(store, "m"), (5, 5))
    store.copy(named("m"), named("M"))
    assert store.get(named("m")).modified == 5
    assert shorts(store) == ["m:latest"]


def test_a_copy_of_nothing_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.copy(named("none"), named("x"))


def test_unknown_fields_of_a_manifest_survive_a_copy(store: Store) -> None:
    make(store, "m", b"weights")
    path = manifest_path(store, "m")
    path.write_bytes(path.read_bytes().replace(b'{"schemaVersion"', b'{"annotations": {}, "schemaVersion"'))
    store.copy(named("m"), named("n"))
    assert manifest_path(store, "n").read_bytes() == path.read_bytes()


def test_deleting_takes_what_nothing_else_needs(store: Store) -> None:
    shared, own = make(store, "a", b"shared", b"own")
    make(store, "b", b"shared")
    store.delete(named("A"))
    assert store.blobs.has(shared.digest)
    assert not store.blobs.has(own.digest)
    store.delete(named("b"))
    assert blob_names(store) == set()
    assert list((store.directory / "manifests").iterdir()) == []


def test_a_damaged_model_can_be_deleted(store: Store) -> None:
    make(store, "m", b"weights")
    manifest_path(store, "m").write_bytes(b"{")
    store.delete(named("m"))
    assert store.find(named("m")) is None


def test_deleting_nothing_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.delete(named("none"))


def test_a_new_model_replaces_one_that_differs_in_case(store: Store) -> None:
    (old,) = make(store, "foo", b"old")
    (new,) = make(store, "FOO", b"new")
    assert shorts(store) == ["foo:latest"]
    assert store.get(named("foo")).layers == (new,)
    assert not store.blobs.has(old.digest)


def test_a_replaced_models_blobs_stay_when_asked(store: Store) -> None:
    (old,) = make(store, "m", b"old")
    store.publish(named("m"), b"{}", (put(store, b"new"),), keep_old=True)
    assert store.blobs.has(old.digest)


def test_a_model_of_missing_blobs_is_refused_and_nothing_changes(store: Store) -> None:
    make(store, "m", b"weights")
    before = store.get(named("m")).digest
    with pytest.raises(StoreError, match="is not in the store"):
        store.publish(named("m"), b"{}", (Layer(MODEL, digest_of(b"none"), 4),))
    assert store.get(named("m")).digest == before


def test_held_blobs_outlive_the_model_that_had_them(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    with store.hold() as hold:
        hold.add(layer.digest)
        store.delete(named("m"))
        assert store.blobs.has(layer.digest)
        store.publish(named("n"), b"{}", (layer,))
    assert store.blobs.read(layer.digest) == b"weights"
    store.delete(named("n"))
    assert not store.blobs.has(layer.digest)


def test_what_a_hold_made_for_no_model_goes_with_it(store: Store) -> None:
    make(store, "m", b"weights")
    with store.hold() as hold:
        lost, _, _ = hold.put(b"lost")
        wanted, _, _ = hold.put(b"wanted")
        old, _, _ = hold.put(b"weights")
        kept = Layer(MODEL, *hold.put(b"kept")[:2])
        assert store.has_blob(wanted)
        store.publish(named("n"), b"{}", (kept,))
    assert [store.blobs.has(digest) for digest in (lost, wanted, old, kept.digest)] == [False, True, True, True]


def test_a_missing_blob_cannot_be_held(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    with store.hold() as hold, pytest.raises(StoreError):
        hold.add(layer.digest, digest_of(b"none"))
    store.delete(named("m"))
    assert not store.blobs.has(layer.digest)


def test_a_blob_that_a_client_asked_for_waits_for_its_model(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    assert store.has_blob(layer.digest)
    store.delete(named("m"))
    assert store.blobs.has(layer.digest)
    store.publish(named("n"), b"{}", (layer,))
    store.delete(named("n"))
    assert not store.blobs.has(layer.digest)


def test_an_uploaded_blob_waits_for_its_model_even_if_it_was_there(store: Store) -> None:
    make(store, "m", b"weights")
    layer = put(store, b"weights")
    store.delete(named("m"))
    assert store.blobs.has(layer.digest)


def test_one_clients_model_does_not_use_up_the_blob_of_another(store: Store) -> None:
    layer = put(store, b"weights")
    make(store, "theirs", b"weights")
    store.delete(named("theirs"))
    store.publish(named("ours"), b"{}", (layer,))
    assert store.blobs.read(layer.digest) == b"weights"


def test_a_model_made_of_another_leaves_uploads_alone(store: Store) -> None:
    (base,) = make(store, "base", b"weights")
    upload = put(store, b"weights")
    store.publish(named("child"), b"{}", (msgspec.structs.replace(base, from_="base:latest"),))
    store.delete(named("base"))
    store.delete(named("child"))
    assert store.blobs.has(upload.digest)


def test_a_blob_put_into_a_hold_goes_with_the_hold_when_nothing_is_made_of_it(store: Store) -> None:
    (layer,) = make(store, "m", b"text")
    with store.hold() as hold:
        assert hold.put(b"text") == (layer.digest, 4, False)
        store.delete(named("m"))
        assert store.blobs.has(layer.digest)
    make(store, "n", b"text")
    store.delete(named("n"))
    assert not store.blobs.has(layer.digest)


def test_a_store_written_by_another_program_can_be_read(tmp_path: Path) -> None:
    weights, config = b"weights", b'{"model_format":"gguf","rootfs":{"type":"layers","diff_ids":[]}}'
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for data in (weights, config):
        (blobs / digest_of(data).replace(":", "-")).write_bytes(data)
    place = tmp_path / "manifests" / "hf.co" / "user" / "Model-GGUF" / "Q4_K_M"
    place.parent.mkdir(parents=True)
    place.write_text(
        f'{{"schemaVersion": 2, "config": {{"digest": "{digest_of(config)}", "size": {len(config)}}}, '
        f'"layers": [{{"mediaType": "{MODEL}", "digest": "{digest_of(weights)}", "size": 7, "urls": ["x"]}}]}}'
    )
    store = Store(tmp_path)
    manifest = store.get(named("hf.co/user/model-gguf:q4_k_m"))
    assert (manifest.size, manifest.name.short) == (7 + len(config), "hf.co/user/Model-GGUF:Q4_K_M")


def test_making_and_deleting_at_once_loses_no_blob(store: Store) -> None:
    """Two threads make and delete models of one blob; whoever holds it must find it in the model made."""
    rounds = 60
    lost: list[str] = []

    def work(name: str) -> None:
        for _ in range(rounds):
            with store.hold() as hold:
                layer = Layer(MODEL, *hold.put(b"shared")[:2])
                store.publish(named(name), name.encode(), (layer,))
                if not store.blobs.has(layer.digest):
                    lost.append(name)
            store.delete(named(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert blob_names(store) == set()


def raw_manifest(*layers: Layer) -> bytes:
    return json.dumps({"x": 1, "layers": [layer.wire() for layer in layers]}, indent=2).encode()


def test_a_manifest_is_published_with_its_bytes_as_received(store: Store) -> None:
    layer = put(store, b"weights")
    raw = raw_manifest(layer)
    store.publish_raw(named("host.io/ns/m:t"), raw)
    assert manifest_path(store, "host.io/ns/m:t").read_bytes() == raw


def test_a_manifest_replaces_one_of_another_case_and_takes_its_blobs(store: Store) -> None:
    (old,) = make(store, "foo", b"old")
    layer = put(store, b"new")
    store.publish_raw(named("FOO"), raw_manifest(layer))
    assert shorts(store) == ["foo:latest"]
    assert not store.blobs.has(old.digest)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Layer(MODEL, digest_of(b"none"), 4), "is not in the store"),
        (Layer(MODEL, digest_of(b"weights"), 8), "has 7 bytes, the manifest says 8"),
        (Layer(MODEL, "sha256:../../x", 8), "damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_its_blobs_is_refused(store: Store, layer: Layer, text: str) -> None:
    make(store, "m", b"weights")
    before = store.get(named("m")).raw
    with pytest.raises(StoreError, match=text):
        store.publish_raw(named("m"), raw_manifest(layer))
    assert store.get(named("m")).raw == before


def test_a_complete_file_becomes_a_blob_by_its_name(store: Store) -> None:
    for is_new in (True, False):
        store.blobs.directory.mkdir(exist_ok=True, parents=True)
        partial = store.blobs.partial(digest_of(b"weights"))
        partial.write_bytes(b"weights")
        assert store.place(partial, digest_of(b"weights")) is is_new
        assert blob_names(store) == {digest_of(b"weights").replace(":", "-")}


def test_a_download_is_one_persons_at_a_time(store: Store) -> None:
    digest = digest_of(b"weights")
    claim = store.claim(digest)
    assert claim is not None
    assert store.claim(digest) is None
    claim.close()
    again = store.claim(digest)
    assert again is not None
    again.close()


def test_blobs_of_a_removed_model_stay_while_another_manifest_is_damaged(store: Store) -> None:
    (layer,) = make(store, "m", b"weights")
    make(store, "bad", b"more")
    manifest_path(store, "bad").write_bytes(b"{")
    store.delete(named("m"))
    assert store.blobs.has(layer.digest)


def test_a_manifest_that_another_program_changed_is_read_anew(store: Store) -> None:
    make(store, "m", b"weights")
    path = manifest_path(store, "m")
    os.utime(path, (5, 5))
    before = [store.get(named("m")).digest for _ in range(2)]
    path.write_bytes(path.read_bytes() + b" ")
    assert store.get(named("m")).digest not in before
    assert [model.digest for model in store.models()] == [store.get(named("m")).digest]


def test_a_file_that_is_given_back_stays_for_whoever_else_wants_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    first, second = (store.take_in(path, lambda _: None) for _ in range(2))
    store.give_back([first])
    assert store.blobs.has(first.digest)
    store.give_back([second])
    assert store.blobs.has(first.digest), "it had been there already"
    store.collect(Ages(blob=-1))
    assert not store.blobs.has(first.digest)
