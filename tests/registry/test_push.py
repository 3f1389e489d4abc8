import hashlib
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError, NotFound
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from tests.registry.conftest import Open
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
    name = ModelName.parse(f"{host}/library/m")
    with store.hold() as hold:
        for data in (DATA, PARAMETERS):
            hold.put(data)
        layers = (Layer(MODEL, DIGEST, SIZE, from_), Layer(PARAMS, digest_of(PARAMETERS), len(PARAMETERS)))
        store.publish(name, CONFIG, layers)
    return store.get(name).raw


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
    [first, *_] = registry.of("PATCH", "/uploads/")
    assert first.headers["content-range"] == f"0-{CHUNK - 1}"


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
    assert f"mount=sha256%3A{DIGEST[7:]}&from=library%2Fbase" in registry.of("POST", "/uploads/")[0].path
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
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert registry.blobs[DIGEST] == DATA


def test_after_half_a_chunk_only_the_rest_is_sent(registry: Registry, store: Store, push: Push) -> None:
    make(store, registry.host)
    registry.upload_faults.append(_half)
    push()
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
    push(part_size=CHUNK)
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


def test_a_model_that_is_not_here_is_told(registry: Registry, open_registries: Open) -> None:
    steps = open_registries().push(ModelName.parse(f"{registry.host}/library/none"), insecure=True)
    assert [next(steps).status, next(steps).status] == ["retrieving manifest", "couldn't retrieve manifest"]
    with pytest.raises(NotFound):
        next(steps)
    assert registry.asked == []


@pytest.fixture(scope="module")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's registry server on a free port."""
    program = shutil.which("docker-registry") or "/usr/bin/docker-registry"
    if not os.access(program, os.X_OK):
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}}}\n"
    )
    with subprocess.Popen([program, "serve", str(config)], stderr=subprocess.PIPE) as process:
        while not _answers(host) and process.poll() is None:
            pass
        yield host
        process.kill()


def _answers(host: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}/v2/", timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("chunk", [0, CHUNK])
def test_a_real_registry_gives_back_what_it_got(
    docker_registry: str, store: Store, open_registries: Open, tmp_path: Path, chunk: int
) -> None:
    raw = make(store, docker_registry)
    name = ModelName.parse(f"{docker_registry}/library/m")
    registries = open_registries(part_size=chunk)
    assert list(registries.push(name, insecure=True))[-1].status == "success"
    assert list(registries.push(name, insecure=True))[-1].status == "success"
    registries._store = other = Store(tmp_path / "other")
    assert list(registries.pull(name, PullRequest(insecure=True)))[-1].status == "success"
    assert other.get(name).raw == raw
    assert other.blobs.read(DIGEST) == DATA
