import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.server import MODEL, PARAMS, Registry, content, digest_of

Pull = Callable[..., list[Progress]]


def test_a_model_comes_byte_for_byte_with_the_steps_told(registry: Registry, store: Store, pull: Pull) -> None:
    model, params = registry.put(content(100_000)), registry.put(b'{"stop": ["x"]}')
    raw = registry.add("library/m", {model: MODEL, params: PARAMS})
    said = pull()
    assert [each.status for each in said if each.completed == each.total] == [
        "pulling manifest",
        f"pulling {model[7:19]}",
        f"pulling {params[7:19]}",
        f"pulling {digest_of(b'{}')[7:19]}",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    found = store.find(ModelName.parse(f"{registry.host}/library/m"))
    assert found is not None
    assert found.raw == raw
    assert {digest: store.blobs.read(digest) for digest in found.digests} == registry.blobs


def test_the_digest_is_made_of_the_bytes_as_they_come_and_never_again(
    registry: Registry, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(3_000_000)
    registry.add("library/m", {registry.put(data): MODEL})
    lengths: list[int] = []
    monkeypatch.setattr(hashlib, "sha256", partial(_Counted, hashlib.sha256, lengths))
    assert pull(part_size=256_000)[-1].status == "success"
    assert len(data) <= sum(lengths) < 1.1 * len(data)


class _Counted:
    """A hash that notes how much it is made of."""

    def __init__(self, kind: Callable[[bytes], Any], lengths: list[int], data: bytes = b"") -> None:
        self._hash = kind(b"")
        self._lengths = lengths
        self.update(data)
        self.digest, self.hexdigest = self._hash.digest, self._hash.hexdigest

    def update(self, data: bytes | memoryview) -> None:
        self._lengths.append(len(data))
        self._hash.update(data)


def test_what_is_there_is_not_fetched_again(registry: Registry, pull: Pull) -> None:
    model = registry.put(content(1000))
    registry.add("library/m", {model: MODEL})
    pull()
    registry.asked.clear()
    said = pull()
    assert registry.of("GET", "/blobs/") == []
    assert Progress(f"pulling {model[7:19]}", model, 1000, 1000) in said


def damaged(store: Store, digest: str, size: int) -> None:
    """Cut a blob, or let it grow."""
    path = store.blobs.path(digest)
    path.write_bytes(path.read_bytes()[:size].ljust(size, b"x"))


@pytest.mark.parametrize("size", [0, 999, 1001])
def test_a_blob_that_is_not_as_long_as_it_must_be_is_fetched_again(
    registry: Registry, store: Store, pull: Pull, size: int
) -> None:
    model = registry.put(content(1000))
    registry.add("library/m", {model: MODEL})
    pull()
    damaged(store, model, size)
    assert pull()[-1].status == "success"
    assert store.blobs.read(model) == content(1000)


def test_a_damaged_model_that_cannot_be_mended_is_not_said_to_be_here(
    registry: Registry, store: Store, pull: Pull, open_registries: Open
) -> None:
    model = registry.put(content(1000))
    registry.add("library/m", {model: MODEL})
    pull()
    damaged(store, model, 10)
    del registry.blobs[model]
    with pytest.raises(LcrtError, match="file does not exist"):
        pull()
    name = ModelName.parse(f"{registry.host}/library/m")
    with pytest.raises(LcrtError, match="is not whole on this machine"):
        list(open_registries().pull(name, PullRequest(offline=True)))


def test_layers_that_only_the_old_model_needed_go(registry: Registry, store: Store, pull: Pull) -> None:
    old, new = registry.put(content(1000)), registry.put(content(1000, seed=2))
    registry.add("library/m", {old: MODEL})
    pull()
    registry.add("library/m", {new: MODEL})
    assert [each.status for each in pull()][-3:] == ["writing manifest", "removing unused layers", "success"]
    assert (store.blobs.has(old), store.blobs.has(new)) == (False, True)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "pull model manifest: file does not exist"),
        (b"<html>", "pull model manifest: "),
        (b'{"layers": []}', "pull model manifest: it lists no layers"),
        (b'{"layers": [{"digest": "sha256:../../x", "size": 1}]}', "pull model manifest: "),
        (b'{"layers": [{"digest": "sha256:%s", "size": -1}]}' % (b"0" * 64), "negative size"),
        (
            b'{"layers": [{"digest": "sha256:%s", "size": 1, "mediaType": "application/vnd.ollama.image.tensor"}]}'
            % (b"0" * 64),
            "this model requires MLX support",
        ),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(
    registry: Registry, store: Store, pull: Pull, raw: bytes | None, text: str
) -> None:
    if raw is not None:
        registry.manifests["library/m/manifests/latest"] = raw
    with pytest.raises(LcrtError) as caught:
        pull()
    assert text in caught.value.message
    assert store.models() == []


def test_a_model_larger_than_the_disk_is_refused_before_anything_is_fetched(registry: Registry, pull: Pull) -> None:
    model = registry.put(content(100))
    raw = registry.add("library/m", {model: MODEL})
    registry.manifests["library/m/manifests/latest"] = raw.replace(b'"size": 100', b'"size": %d' % 10**18)
    with pytest.raises(LcrtError, match="not enough space: 1000000 TB are to come"):
        pull()
    assert registry.of("GET", "/blobs/") == []


def test_offline_nothing_is_asked(registry: Registry, pull: Pull) -> None:
    with pytest.raises(LcrtError, match="offline"):
        pull(offline=True)
    assert registry.asked == []


@pytest.mark.parametrize("lacks", ["nothing", "the model", "a blob"])
def test_what_a_mirror_has_not_got_comes_from_the_registry_itself(
    registry: Registry, storage: Registry, store: Store, pull: Pull, lacks: str
) -> None:
    model = registry.put(content(1000))
    registry.add("library/m", {model: MODEL})
    if lacks != "the model":
        storage.manifests |= registry.manifests
    storage.blobs |= registry.blobs
    if lacks == "a blob":
        del storage.blobs[model]
    assert pull(mirrors=((registry.host, f"http://{storage.host}"),))[-1].status == "success"
    assert store.blobs.read(model) == content(1000)
    asked = {"nothing": [0, 0], "the model": [1, 2], "a blob": [0, 1]}[lacks]
    assert [len(registry.of("GET", "/manifests/")), len(registry.of("GET", "/blobs/"))] == asked


def test_a_limit_of_the_rate_is_kept(registry: Registry, open_registries: Open) -> None:
    registry.add("library/m", {registry.put(content(300_000)): MODEL})
    name = ModelName.parse(f"{registry.host}/library/m")
    request = PullRequest(insecure=True, limit_rate=1_000_000)
    started = time.monotonic()
    assert list(open_registries().pull(name, request))[-1].status == "success"
    assert time.monotonic() - started > 0.2, "the bytes beyond what came at once had to wait"
