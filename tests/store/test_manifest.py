import contextlib
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.core.name import ModelName
from lcrt.errors import StoreError
from lcrt.store.layers import MODEL, Layer, parse_config
from lcrt.store.manifest import Manifests, config_layer, parse_manifest
from tests.store.models import named, record_steps

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
NAME = named("m:t")


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return Manifests(tmp_path / "manifests")


def raw(manifests: Manifests, name: ModelName, data: bytes) -> Path:
    path = manifests.directory / name.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_manifest_is_one_line_of_compact_json_in_its_place(manifests: Manifests) -> None:
    manifests.write(NAME, config_layer(B, 7), (Layer(MODEL, A, 5, from_="base:latest"),))
    path = manifests.directory / "registry.ollama.ai" / "library" / "m" / "t"
    text = path.read_text()
    assert text == json.dumps(json.loads(text), separators=(",", ":")) + "\n"
    assert json.loads(text) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": B, "size": 7},
        "layers": [
            {"mediaType": "application/vnd.ollama.image.model", "digest": A, "size": 5, "from": "base:latest"},
        ],
    }


def test_a_manifest_reads_back(manifests: Manifests) -> None:
    manifests.write(NAME, config_layer(B, 7), (Layer(MODEL, A, 5),))
    manifest = manifests.read(NAME)
    assert manifest.layers == (Layer(MODEL, A, 5),)
    assert manifest.size == 12
    assert manifest.digests == {A, B}
    assert manifest.digest == hashlib.sha256((manifests.directory / NAME.path).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        '{"layers":[]}',
        '{"layers":null,"config":null}',
        '{"schemaVersion":2,"config":{"digest":""},"layers":[],"annotations":{"a":1}}',
        '{\n  "layers": [],\n  "config": {"mediaType": "x", "digest": "", "size": 0, "urls": []}\n}',
    ],
)
def test_reading_forgives_what_is_left_out_or_added(manifests: Manifests, text: str) -> None:
    raw(manifests, NAME, text.encode())
    manifest = manifests.read(NAME)
    assert (manifest.config, manifest.layers) == (None, ())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"layers":[{"digest":"sha256:../../x"}]}', b'{"config":{"digest":"x"}}'],
)
def test_a_damaged_manifest_is_a_store_error(manifests: Manifests, data: bytes) -> None:
    raw(manifests, NAME, data)
    with pytest.raises(StoreError, match="m:t"):
        manifests.read(NAME)


def test_the_whole_name_is_found_in_any_case(manifests: Manifests) -> None:
    raw(manifests, named("Foo:Q4"), b"{}")
    raw(manifests, named("bar:q8"), b"{}")
    assert manifests.find(named("foo:q4")) == named("Foo:Q4")
    assert manifests.find(named("FOO:Q4")) == named("Foo:Q4")
    assert manifests.find(named("foo:q8")) is None
    assert manifests.find(named("none")) is None


def test_the_exact_spelling_goes_first(manifests: Manifests) -> None:
    raw(manifests, named("Foo"), b"{}")
    raw(manifests, named("foo"), b"{}")
    assert manifests.find(named("foo")) == named("foo")
    assert manifests.find(named("Foo")) == named("Foo")


def test_stray_files_are_no_models(manifests: Manifests) -> None:
    raw(manifests, NAME, b"{}")
    (manifests.directory / "registry.ollama.ai" / "library" / "m" / ".DS_Store").write_text("")
    (manifests.directory / "README").write_text("")
    models, errors = manifests.read_all()
    assert ([model.name for model in models], errors) == ([NAME], [])


def test_layers_of_kinds_to_come_are_kept_and_needed(manifests: Manifests) -> None:
    layer = {"mediaType": "application/vnd.ollama.image.tomorrow", "digest": A, "size": 1, "extra": {"x": 1}}
    raw(manifests, NAME, json.dumps({"layers": [layer], "config": {"digest": ""}, "more": []}).encode())
    (models, errors) = manifests.read_all()
    assert errors == []
    assert models[0].digests == {A}


def test_damaged_and_misplaced_manifests_are_told_apart_from_good_ones(manifests: Manifests) -> None:
    raw(manifests, NAME, b"{}")
    raw(manifests, named("bad"), b"nonsense")
    raw(manifests, NAME, b"{}").with_name("a b").write_text("{}")
    models, errors = manifests.read_all()
    assert [model.name for model in models] == [NAME]
    assert len(errors) == 2


def test_writing_leaves_no_other_file_and_replaces_the_old_one(manifests: Manifests) -> None:
    manifests.write_raw(NAME, b"{}")
    manifests.write_raw(NAME, b'{"layers":[]}')
    files = [path for path in manifests.directory.rglob("*") if path.is_file()]
    assert files == [manifests.directory / NAME.path]
    assert files[0].read_bytes() == b'{"layers":[]}'


def test_a_manifest_is_on_disk_before_its_name_and_its_name_before_the_answer(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = record_steps(monkeypatch)
    manifests.write_raw(NAME, b"{}")
    assert steps[:3] == ["sync file", "rename", "sync directory"]


def test_a_rename_that_fails_leaves_the_old_manifest_and_nothing_else(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    manifests.write_raw(NAME, b"{}")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        manifests.write_raw(NAME, b"other")
    files = [path for path in manifests.directory.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [b"{}"]


def test_removing_takes_empty_directories_along(manifests: Manifests) -> None:
    manifests.write_raw(named("m:a"), b"{}")
    manifests.write_raw(named("m:b"), b"{}")
    manifests.remove(named("m:a"))
    assert (manifests.directory / named("m:b").path).is_file()
    manifests.remove(named("m:b"))
    assert list(manifests.directory.iterdir()) == []


def test_a_config_keeps_what_is_known_and_drops_the_rest() -> None:
    config = parse_config(b'{"model_format":"gguf","rootfs":{"type":"layers"},"model_families":null,"draft":{"a":1}}')
    assert (config.model_format, config.model_families) == ("gguf", None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["config", "layers", "digest", "size", "mediaType"]), inner)
    ),
    max_leaves=12,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_bytes_are_a_manifest_is_read_or_damaged(data: bytes) -> None:
    manifest = None
    with contextlib.suppress(StoreError):
        manifest = parse_manifest(NAME, data)
    if manifest is not None:
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in manifest.digests)
        assert manifest.raw == data


@pytest.mark.parametrize("spelling", [A.replace(":", "-"), A.replace("a", "A").replace("shA", "sha")])
def test_however_a_digest_is_spelt_the_blob_is_the_same(manifests: Manifests, spelling: str) -> None:
    raw(manifests, NAME, json.dumps({"layers": [{"digest": spelling, "size": 1}]}).encode())
    assert manifests.read(NAME).digests == {A}
