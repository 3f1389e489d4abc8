"""Push and pull with a registry that others wrote: Debian's docker-registry, where it is, and our own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.registry.chunks import Chunk
from lcrt.registry.options import PullRequest
from lcrt.registry.session import Session
from lcrt.registry.upload import Upload
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.models import publish
from tests.registry.server import MODEL, PARAMS, Registry, content, digest_of

ROOT = Path(__file__).parents[2]
PUSHER = Path(__file__).with_name("pusher.py")
SIZE = 400_000
CHUNK = 150_000
DATA = content(SIZE)
PARAMETERS = b'{"stop": ["x"]}'


def program() -> str | None:
    """Debian's server: installed, or where ``make test`` puts it."""
    places = ("docker-registry", "/usr/bin/docker-registry", f"{ROOT}/build/registry/usr/bin/docker-registry")
    return next((found for found in map(shutil.which, places) if found), None)


KINDS = ("ours", "docker-registry") if program() else ("ours",)


@contextlib.contextmanager
def _docker(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}}}\n"
    )
    with subprocess.Popen([program() or "", "serve", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            while not _answers(host) and process.poll() is None:
                pass
            yield host
        finally:
            process.kill()


def _answers(host: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}/v2/", timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _ours() -> Iterator[str]:
    with Registry() as registry:
        yield registry.host


@pytest.fixture(scope="module", params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a registry listens."""
    with _docker(tmp_path_factory.mktemp("registry")) if request.param == "docker-registry" else _ours() as found:
        yield found


@pytest.fixture
def data(request: pytest.FixtureRequest) -> bytes:
    """Weights that no other test gives to the registry."""
    return content(SIZE, sum(request.node.nodeid.encode()))


def pull_back(registries_of: Open, host: str, folder: Path) -> Store:
    """Pull what was pushed into another store."""
    registries = registries_of()
    registries._store = other = Store(folder / "other")
    name = ModelName.parse(f"{host}/library/m")
    assert list(registries.pull(name, PullRequest(insecure=True)))[-1].status == "success"
    return other


@pytest.mark.parametrize("chunk", [0, CHUNK])
def test_a_registry_gives_back_what_it_got(
    host: str, store: Store, open_registries: Open, tmp_path: Path, chunk: int, data: bytes
) -> None:
    raw = publish(store, host, {data: MODEL, PARAMETERS: PARAMS, b"": PARAMS})
    name = ModelName.parse(f"{host}/library/m")
    for _ in range(2):
        assert list(open_registries(part_size=chunk).push(name, insecure=True))[-1].status == "success"
    other = pull_back(open_registries, host, tmp_path)
    assert other.get(name).raw == raw
    assert {digest: other.blobs.read(digest) for digest in other.get(name).digests} == {
        digest: store.blobs.read(digest) for digest in store.get(name).digests
    }


def test_a_process_that_was_killed_between_chunks_is_followed_by_one_that_sends_the_rest(
    host: str, store: Store, open_registries: Open, tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, host, {data: MODEL})
    command = [sys.executable, str(PUSHER), str(store.directory), host, str(CHUNK), "1"]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    sent: list[Chunk] = []
    send_chunk = Upload._send_chunk

    def noted(upload: Upload, session: Session, chunk: Chunk) -> Session:
        sent.append(chunk)
        return send_chunk(upload, session, chunk)

    monkeypatch.setattr(Upload, "_send_chunk", noted)
    name = ModelName.parse(f"{host}/library/m")
    assert list(open_registries(part_size=CHUNK).push(name, insecure=True))[-1].status == "success"
    assert [chunk.start for chunk in sent if chunk.end > 100] == [CHUNK, 2 * CHUNK]
    assert pull_back(open_registries, host, tmp_path).blobs.read(digest_of(data)) == data


def test_a_process_that_was_killed_within_a_chunk_is_followed_by_one_that_ends_well(
    host: str, store: Store, open_registries: Open, tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = publish(store, host, {data: MODEL})
    name = ModelName.parse(f"{host}/library/m")
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr("lcrt.registry.upload._READ_SIZE", 40_000)
        monkeypatch.setattr(Upload, "_check_time", _die_at(260_000))
        list(open_registries(part_size=CHUNK, uploads=1).push(name, insecure=True))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert list(open_registries(part_size=CHUNK).push(name, insecure=True))[-1].status == "success"
    assert pull_back(open_registries, host, tmp_path).get(name).raw == raw


def _die_at(position: int) -> object:
    def check(upload: Upload) -> None:
        if upload.completed >= position:
            os.kill(os.getpid(), signal.SIGKILL)

    return check
