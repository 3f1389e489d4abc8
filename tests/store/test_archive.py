"""One file holds a model; on the way in nothing of it is believed."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from lcrt.errors import InvalidRequest, LcrtError, NotFound, StoreError
from lcrt.store.archive import export_model, import_archive
from lcrt.store.digest import digest_of, hex_part
from lcrt.store.store import Store
from tests.store.models import blob_names, make, manifest_path, named

REF_NAME = "org.opencontainers.image.ref.name"
Files = dict[str, bytes]


@pytest.fixture
def archive(store: Store, tmp_path: Path) -> Path:
    make(store, "ns/m:q4", b"weights", b"text")
    path = tmp_path / "m.tar"
    export_model(store, named("ns/m:q4"), path)
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Store:
    return Store(tmp_path / "fresh")


def read(path: Path) -> Files:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def write(path: Path, files: Files, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def changed_manifest(files: Files, change: object) -> Files:
    """The same archive with another manifest, its digest set right."""
    index = json.loads(files["index.json"])
    descriptor = index["manifests"][0]
    raw = json.dumps(change).encode()
    descriptor |= {"digest": digest_of(raw), "size": len(raw)}
    return files | {"index.json": json.dumps(index).encode(), f"blobs/sha256/{hex_part(digest_of(raw))}": raw}


def test_what_was_exported_comes_back_byte_for_byte(store: Store, archive: Path, fresh: Store) -> None:
    path = manifest_path(store, "ns/m:q4")
    assert import_archive(fresh, archive) == [named("ns/m:q4")]
    assert manifest_path(fresh, "ns/m:q4").read_bytes() == path.read_bytes()
    assert blob_names(fresh) == blob_names(store)
    assert import_archive(fresh, archive) == [named("ns/m:q4")]


def test_a_damaged_blob_is_taken_from_the_archive_again(archive: Path, fresh: Store) -> None:
    import_archive(fresh, archive)
    fresh.blobs.path(digest_of(b"weights")).write_bytes(b"wei")
    import_archive(fresh, archive)
    assert fresh.blobs.read(digest_of(b"weights")) == b"weights"


def test_unknown_fields_of_a_manifest_survive(store: Store, tmp_path: Path, fresh: Store) -> None:
    make(store, "m", b"weights")
    path = manifest_path(store, "m")
    path.write_bytes(path.read_bytes().replace(b"{", b'{ "annotations": {"a": "b"},', 1))
    export_model(store, named("m"), tmp_path / "m.tar")
    import_archive(fresh, tmp_path / "m.tar")
    assert manifest_path(fresh, "m").read_bytes() == path.read_bytes()


def test_the_layout_is_that_of_an_oci_image(archive: Path) -> None:
    files = read(archive)
    assert json.loads(files.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    (descriptor,) = json.loads(files.pop("index.json"))["manifests"]
    assert descriptor["annotations"] == {REF_NAME: "registry.ollama.ai/ns/m:q4"}
    assert all(name == f"blobs/sha256/{hex_part(digest_of(data))}" for name, data in files.items())
    assert len(files) == 4


def test_the_same_model_is_the_same_archive(store: Store, archive: Path, tmp_path: Path) -> None:
    export_model(store, named("ns/m:q4"), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_another_name_can_be_given(archive: Path, fresh: Store) -> None:
    assert import_archive(fresh, archive, "mine") == [named("mine")]
    with pytest.raises(InvalidRequest, match="invalid model name"):
        import_archive(fresh, archive, "a b")


def test_what_is_not_there_or_damaged_is_not_exported(store: Store, tmp_path: Path) -> None:
    (layer,) = make(store, "m", b"weights")
    with pytest.raises(NotFound):
        export_model(store, named("none"), tmp_path / "m.tar")
    store.blobs.path(layer.digest).write_bytes(b"weighty")
    with pytest.raises(StoreError, match="is damaged"):
        export_model(store, named("m"), tmp_path / "m.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_a_changed_byte_is_refused_and_nothing_published(archive: Path, fresh: Store, tmp_path: Path) -> None:
    files = read(archive)
    name = f"blobs/sha256/{hex_part(digest_of(b'weights'))}"
    bad = write(tmp_path / "bad.tar", files | {name: b"weighty"})
    with pytest.raises(InvalidRequest, match="has other bytes"):
        import_archive(fresh, bad)
    assert fresh.models() == []
    assert not fresh.blobs.has(digest_of(b"weights"))


@pytest.mark.parametrize("n_bytes", range(0, 10240, 397))
def test_an_archive_cut_anywhere_is_refused(archive: Path, fresh: Store, tmp_path: Path, n_bytes: int) -> None:
    cut = tmp_path / "cut.tar"
    end = max(i for i, byte in enumerate(archive.read_bytes()) if byte) + 1
    cut.write_bytes(archive.read_bytes()[: min(n_bytes, end - 1)])
    with pytest.raises(InvalidRequest) as refused:
        import_archive(fresh, cut)
    assert refused.value.hint
    assert "unpack" not in refused.value.hint
    assert fresh.models() == []


def test_paths_and_links_of_an_archive_lead_nowhere(archive: Path, fresh: Store, tmp_path: Path) -> None:
    digest = hex_part(digest_of(b"weights"))
    link = tarfile.TarInfo(f"blobs/sha256/{digest}")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    files = read(archive)
    del files[f"blobs/sha256/{digest}"]
    extra = {"../evil": b"x", "/tmp/lcrt-evil": b"x", f"blobs/sha256/../{digest}": b"weights"}
    with pytest.raises(InvalidRequest, match="is missing"):
        import_archive(fresh, write(tmp_path / "bad.tar", files | extra, link))
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/lcrt-evil").exists()
    assert not (fresh.directory / "blobs").exists()


def test_a_manifest_with_another_digest_than_the_index_says_is_refused(
    archive: Path, fresh: Store, tmp_path: Path
) -> None:
    files = read(archive)
    digest = json.loads(files["index.json"])["manifests"][0]["digest"]
    name = f"blobs/sha256/{hex_part(digest)}"
    with pytest.raises(InvalidRequest, match="not what its digest says"):
        import_archive(fresh, write(tmp_path / "bad.tar", files | {name: files[name] + b" "}))


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ({"layers": []}, "something else than a model"),
        ({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + "0" * 64}]}, "else"),
        ({"layers": [{"digest": "sha256:../../etc/passwd", "size": 1}]}, "invalid digest"),
        ({"layers": "x"}, "damaged"),
        (
            {
                "layers": [
                    {"mediaType": "application/vnd.ollama.image.model", "digest": digest_of(b"weights"), "size": 8}
                ]
            },
            "not the size",
        ),
    ],
)
def test_manifests_that_lie_are_refused(
    archive: Path, fresh: Store, tmp_path: Path, manifest: object, text: str
) -> None:
    bad = write(tmp_path / "bad.tar", changed_manifest(read(archive), manifest))
    with pytest.raises(LcrtError, match=text):
        import_archive(fresh, bad)
    assert fresh.models() == []


@pytest.mark.parametrize("index", [b"", b"{}", b'{"manifests":[]}', b'{"manifests":[{"digest":"x","size":1}]}'])
def test_an_index_that_says_nothing_is_refused(archive: Path, fresh: Store, tmp_path: Path, index: bytes) -> None:
    with pytest.raises(InvalidRequest):
        import_archive(fresh, write(tmp_path / "bad.tar", read(archive) | {"index.json": index}))


def test_a_header_that_claims_gigabytes_costs_none(fresh: Store, tmp_path: Path) -> None:
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    bad = tmp_path / "bad.tar"
    bad.write_bytes(long.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(InvalidRequest, match="too long"):
        import_archive(fresh, bad)


def test_a_compressed_archive_is_refused_with_advice(archive: Path, fresh: Store, tmp_path: Path) -> None:
    packed = tmp_path / "m.tar.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    with pytest.raises(InvalidRequest, match="no archive of a model") as refused:
        import_archive(fresh, packed)
    assert "unpack it first" in (refused.value.hint or "")


def test_several_models_in_one_archive_are_all_imported(
    store: Store, archive: Path, fresh: Store, tmp_path: Path
) -> None:
    make(store, "other", b"weights")
    export_model(store, named("other"), tmp_path / "other.tar")
    one, two = read(archive), read(tmp_path / "other.tar")
    both = json.loads(one["index.json"])
    both["manifests"] += json.loads(two["index.json"])["manifests"]
    path = write(tmp_path / "both.tar", one | two | {"index.json": json.dumps(both).encode()})
    assert import_archive(fresh, path) == [named("ns/m:q4"), named("other")]
    with pytest.raises(InvalidRequest, match="has 2 models"):
        import_archive(fresh, path, "one")
