import hashlib
import threading
from collections.abc import Callable

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, NotFound
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.models import publish
from tests.registry.server import MODEL, PARAMS, Fault, Handler, Registry, content, digest_of, drop, status

Push = Callable[..., list[Progress]]
SIZE = 400_000
CHUNK = 150_000
DATA = content(SIZE)
DIGEST = digest_of(DATA)
PARAMETERS = b'{"stop": ["x"]}'
CONFIG = b'{"model_format": "gguf"}'


def make(store: Store, host: str, from_: str | None = None) -> bytes:
    """Put a model of two layers into the store under the registry's name; returns its manifest."""
    return publish(store, host, {DATA: MODEL, PARAMETERS: PARAMS}, CONFIG, from_)


def test_blobs_go_first_and_the_manifest_last_byte_for_byte(registry: Registry, store: Store, push: Push) -> None:
    raw = make(store, registry.host)
    said = push(part_size=CHUNK)
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert registry.blobs[DIGEST] == DATA
    assert [each.status for each in said if each.completed == each.total] == [
        "retrieving manifest",
        f"pushing {DIGEST[7:19]}",
        f"pushing {digest_of(PARAMETERS)[7:19]}",
        f"pushing {digest_of(CONFIG)[7:19]}",
        "pushing manifest",
        "success",
    ]
    assert registry.asked[-1].path == "/v2/library/m/manifests/latest"
    ranges = [asked.headers["content-range"] for asked in registry.of("PATCH", "/uploads/")]
    assert f"0-{CHUNK - 1}" in ranges


def test_what_the_registry_has_is_not_sent(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)
    registry.put(DATA)
    push()
    assert sum(len(asked.body) for asked in registry.of("PATCH", "")) < CHUNK


def test_a_layer_of_another_of_its_models_is_mounted(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host, from_=f"{registry.host}/library/base:latest")
    registry.put(DATA)
    registry.always_missing.add(DIGEST)
    push()
    asked = [asked.path.partition("?")[2] for asked in registry.of("POST", "/uploads/")]
    assert f"mount=sha256%3A{DIGEST[7:]}&from=library%2Fbase" in asked
    assert sum(len(asked.body) for asked in registry.of("PATCH", "")) < CHUNK


def _half(handler: Handler) -> bool:
    """Take half of a chunk and hang up."""
    key = handler.path.partition("?")[0].rpartition("/")[2]
    handler.server.uploads[key] += handler.asked.body[: len(handler.asked.body) // 2]
    handler.close_connection = True
    return True


def _lost(handler: Handler) -> bool:
    """Forget the upload and hang up."""
    handler.server.uploads.clear()
    handler.close_connection = True
    return True


@pytest.mark.parametrize("faults", [[status(500)], [drop], [status(503)] * 3, [_half], [_half, _half], [_lost]])
def test_a_fault_that_passes_is_survived(registry: Registry, store: Store, push: Push, faults: list[Fault]) -> None:
    raw = make(store, registry.host)
    registry.upload_faults.extend(faults)
    assert push(part_size=CHUNK)[-1].status == "success"
    assert not registry.upload_faults
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert registry.blobs[DIGEST] == DATA


def test_after_half_a_chunk_only_the_rest_is_sent(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)
    registry.upload_faults.append(_half)
    push(uploads=1)
    ranges = [asked.headers["content-range"] for asked in registry.of("PATCH", "/uploads/u0")]
    assert ranges == [f"0-{SIZE - 1}", f"{SIZE // 2}-{SIZE - 1}"]


def test_chunks_may_go_elsewhere_without_our_secrets(
    registry: Registry, storage: Registry, store: Store, push: Push
) -> None:
    make(store, registry.host)
    received: dict[str, bytes] = {}

    def store_elsewhere(handler: Handler) -> bool:
        if handler.command != "PUT":
            return False
        received[handler.path] = handler.asked.body
        assert "authorization" not in handler.asked.headers
        handler.reply(200)
        return True

    storage.upload_faults.extend([store_elsewhere] * 10)

    def away(handler: Handler) -> bool:
        if handler.command == "PATCH" and len(handler.asked.body) > 100:
            key = handler.path.partition("?")[0].rpartition("/")[2]
            handler.server.uploads[key] += handler.asked.body
            chunk = handler.asked.headers["content-range"]
            handler.reply(307, Location=f"http://{storage.host}/{chunk}", Docker_Upload_Location=handler.path)
            return True
        return False

    registry.upload_faults.extend([away] * 4)
    push(part_size=CHUNK, uploads=1)
    assert b"".join(received.values()) == DATA
    ends = [asked for asked in registry.of("PUT", "/uploads/") if DIGEST[7:] in asked.path]
    sums = b"".join(hashlib.md5(part).digest() for part in received.values())
    assert ends[0].path.endswith(f"etag={hashlib.md5(sums).hexdigest()}-3")


@pytest.mark.parametrize(
    ("fault", "text"), [(status(403), "403: not now"), (status(500), "max retries exceeded: 500: not now")]
)
def test_a_fault_that_lasts_is_told_and_no_manifest_is_published(
    registry: Registry, store: Store, push: Push, fault: Fault, text: str
) -> None:
    make(store, registry.host)
    registry.upload_faults.extend([fault] * 20)
    with pytest.raises(LcrtError) as caught:
        push(tries=2)
    assert caught.value.message == text
    assert registry.manifests == {}


def test_a_registry_that_does_not_answer_is_not_said_to_be_given_anything(
    registry: Registry, store: Store, open_registries: Open
) -> None:
    make(store, registry.host)
    registry.guard = lambda handler: not drop(handler)
    said: list[str] = []
    pushing = open_registries(first_wait=0.1).push(ModelName.parse(f"{registry.host}/library/m"), insecure=True)
    with pytest.raises(LcrtError, match="max retries exceeded"):
        said.extend(each.status for each in pushing)
    assert said == ["retrieving manifest"]


def _together(n: int) -> tuple[Fault, list[int]]:
    """Hold chunks back until so many are on their way at once."""
    gate = threading.Barrier(n)
    passed: list[int] = []

    def fault(handler: Handler) -> bool:
        if handler.command == "PATCH":
            passed.append(gate.wait(10))
        return False

    return fault, passed


@pytest.mark.parametrize("n", [2, 3])
def test_several_blobs_are_on_their_way_at_once(registry: Registry, store: Store, push: Push, n: int) -> None:
    blobs = {content(1000, seed): MODEL for seed in range(2 * n - 1)}
    raw = publish(store, registry.host, blobs, CONFIG)
    fault, passed = _together(n)
    registry.upload_faults.extend([fault] * 10 * n)
    said = push(uploads=n)
    assert sorted(passed) == sorted([*range(n)] * 2)
    assert registry.manifests["library/m/manifests/latest"] == raw
    done = [each.digest for each in said if each.digest and each.completed == each.total]
    assert list(dict.fromkeys(done)) == [*map(digest_of, blobs), digest_of(CONFIG)], "told in the order of the layers"


def test_when_one_blob_fails_the_others_are_given_up(registry: Registry, store: Store, push: Push) -> None:
    publish(store, registry.host, {content(1000, seed): MODEL for seed in range(9)}, CONFIG)
    bad = digest_of(content(1000, 1))

    def guard(handler: Handler) -> bool:
        if handler.command == "HEAD" and handler.path.endswith(bad):
            handler.reply(403, b"not you")
            return False
        return True

    registry.guard = guard
    with pytest.raises(LcrtError, match="403"):
        push(uploads=1)
    assert len(registry.of("POST", "/uploads/")) <= 1
    assert registry.manifests == {}


def test_a_registry_may_take_its_time_to_look_at_a_whole_blob(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)

    def late(handler: Handler) -> bool:
        if handler.command == "PUT":
            handler.server.closing.wait(0.9)
        return False

    registry.upload_faults.extend([late] * 20)
    assert push(stall=0.3, tries=1)[-1].status == "success"


def test_a_registry_may_want_larger_chunks(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)
    registry.chunk_min = SIZE // 2
    push(part_size=CHUNK)
    found = [asked.headers["content-range"] for asked in registry.of("PATCH", "/uploads/")]
    assert f"0-{SIZE // 2 - 1}" in found


def test_a_registry_that_always_forgets_is_given_up(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)

    def forgetful(handler: Handler) -> bool:
        handler.server.uploads.clear()
        return False

    registry.upload_faults.extend([forgetful] * 100)
    with pytest.raises(LcrtError, match="forgets again and again what it was sent of sha256:") as caught:
        push(tries=3)
    assert caught.value.hint


def test_offline_nothing_is_pushed(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)
    with pytest.raises(LcrtError, match=f"offline: {registry.host} is not asked"):
        push(offline=True)
    assert registry.asked == []


def test_a_model_that_is_not_here_is_told(registry: Registry, open_registries: Open) -> None:
    steps = open_registries().push(ModelName.parse(f"{registry.host}/library/none"), insecure=True)
    assert [next(steps).status, next(steps).status] == ["retrieving manifest", "couldn't retrieve manifest"]
    with pytest.raises(NotFound):
        next(steps)
    assert registry.asked == []
