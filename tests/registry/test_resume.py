"""Pulls that end early: what came stays, and the next one goes on from there."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.options import PullRequest
from lcrt.registry.partial import come_so_far
from lcrt.registry.progress import Progress
from lcrt.store.locks import Claim
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.server import MODEL, Handler, Registry, content, stall, status

Pull = Callable[..., list[Progress]]
MIB = 1 << 20
SIZE = 8 * MIB
PULLER = Path(__file__).with_name("puller.py")


@pytest.fixture(scope="module")
def data() -> bytes:
    return content(SIZE)


@pytest.fixture
def model(registry: Registry, data: bytes) -> str:
    digest = registry.put(data)
    registry.add("library/m", {digest: MODEL})
    return digest


def fetched(registry: Registry, digest: str) -> int:
    """Bytes of a blob that were asked for."""
    ranges = [asked.range or (0, SIZE - 1) for asked in registry.of("GET", digest)]
    return sum(last + 1 - first for first, last in ranges)


def test_a_process_killed_midway_costs_less_than_a_mebibyte_of_each_part(
    registry: Registry, store: Store, pull: Pull, model: str, data: bytes
) -> None:
    sent = 3 * MIB // 2
    registry.always = stall(sent)
    command = [sys.executable, str(PULLER), str(store.directory), registry.host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 4 * sent:
                break
        process.kill()
    assert come_so_far(store.blobs.partial(model)) >= 4 * (sent - MIB)
    assert not store.blobs.has(model)
    registry.always = None
    registry.asked.clear()
    assert pull()[-1].status == "success"
    assert fetched(registry, model) <= SIZE - 4 * (sent - MIB)
    assert store.blobs.read(model) == data


def test_an_interrupted_download_of_ollamas_is_continued(
    registry: Registry, store: Store, pull: Pull, model: str, data: bytes
) -> None:
    partial = store.blobs.partial(model)
    partial.parent.mkdir(parents=True)
    rows = [(0, 3 * MIB, 3 * MIB), (3 * MIB, 3 * MIB, MIB), (6 * MIB, 2 * MIB, 0)]
    partial.write_bytes(b"\0" * SIZE)
    with partial.open("r+b") as file:
        for number, (offset, size, completed) in enumerate(rows):
            file.seek(offset)
            file.write(data[offset : offset + completed])
            record = {"N": number, "Offset": offset, "Size": size, "Completed": completed}
            partial.with_name(f"{partial.name}-{number}").write_text(json.dumps(record) + "\n")
    pull()
    assert sorted(asked.range for asked in registry.of("GET", model) if asked.range) == [
        (4 * MIB, 6 * MIB - 1),
        (6 * MIB, SIZE - 1),
    ]
    assert store.blobs.read(model) == data
    assert list(partial.parent.glob("*-partial*")) == []


@pytest.mark.parametrize("damage", ["{", "", '{"N":0,"Offset":0,"Size":5,"Completed":9}', '{"N":"x"}'])
def test_records_that_make_no_sense_are_not_believed(
    registry: Registry, store: Store, pull: Pull, model: str, data: bytes, damage: str
) -> None:
    partial = store.blobs.partial(model)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * SIZE)
    partial.with_name(f"{partial.name}-0").write_text(damage)
    pull()
    assert fetched(registry, model) == SIZE
    assert store.blobs.read(model) == data


def test_a_part_on_disk_that_is_wrong_is_noticed_and_all_is_fetched_anew(
    registry: Registry, store: Store, pull: Pull, model: str, data: bytes
) -> None:
    partial = store.blobs.partial(model)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * SIZE)
    record = {"N": 0, "Offset": 0, "Size": SIZE, "Completed": SIZE}
    partial.with_name(f"{partial.name}-0").write_text(json.dumps(record))
    pull()
    assert store.blobs.read(model) == data


def test_a_pull_that_is_given_up_leaves_what_came(
    registry: Registry, store: Store, open_registries: Open, pull: Pull, model: str, data: bytes
) -> None:
    registry.always = stall(3 * MIB // 2)
    pulling = open_registries(part_size=2 * MIB, stall=30.0).pull(name(registry), PullRequest(insecure=True))
    next(each for each in pulling if each.completed == 6 * MIB)
    close(pulling)
    with _claimed(store, model):
        assert come_so_far(store.blobs.partial(model)) == 6 * MIB
    registry.always = None
    registry.asked.clear()
    pull()
    assert fetched(registry, model) == SIZE - 6 * MIB
    assert store.blobs.read(model) == data


def test_two_who_want_the_same_share_one_transfer_and_the_one_who_stays_gets_it(
    registry: Registry, store: Store, open_registries: Open, model: str, data: bytes
) -> None:
    opened = threading.Event()
    registry.always = _slow(opened)
    registries = open_registries(part_size=2 * MIB, stall=30.0)
    first = registries.pull(name(registry), PullRequest(insecure=True))
    second = registries.pull(name(registry), PullRequest(insecure=True))
    next(each for each in first if each.completed >= 4 * MIB)
    assert next(each for each in second if each.digest).completed >= 4 * MIB
    close(first)
    opened.set()
    assert list(second)[-1].status == "success"
    assert fetched(registry, model) == SIZE
    assert store.blobs.read(model) == data


def test_another_process_that_wants_the_same_watches(
    registry: Registry, store: Store, open_registries: Open, model: str, data: bytes
) -> None:
    opened = threading.Event()
    registry.always = _slow(opened)
    command = [sys.executable, str(PULLER), str(store.directory), registry.host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if int(line) >= 4 * MIB)
        pulling = open_registries().pull(name(registry), PullRequest(insecure=True))
        assert next(each for each in pulling if each.completed).completed >= 4 * MIB
        opened.set()
        assert list(pulling)[-1].status == "success"
        process.stdout.read()
    assert process.returncode == 0
    assert fetched(registry, model) == SIZE
    assert store.blobs.read(model) == data


def test_after_a_failure_all_who_wait_are_told(registry: Registry, open_registries: Open, model: str) -> None:
    registry.always = status(403)
    registries = open_registries()
    for _ in range(2):
        with pytest.raises(LcrtError, match="403: not now"):
            list(registries.pull(name(registry), PullRequest(insecure=True)))
    del model


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six mebibytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "lcrt-test", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_leaves_a_part_that_is_continued_when_there_is_room(
    registry: Registry,
    small_disk: Path,
    open_registries: Open,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    data: bytes,
) -> None:
    monkeypatch.setattr("lcrt.registry.pull.check_space", lambda blobs, missing, to_come: None)
    store = Store(small_disk / "models")
    registries = open_registries(part_size=2 * MIB)
    registries._store = store
    with pytest.raises(LcrtError) as caught:
        list(registries.pull(name(registry), PullRequest(insecure=True)))
    assert "no space left on device: " in caught.value.message
    assert "pull again" in str(caught.value)
    assert come_so_far(store.blobs.partial(model)) > 4 * MIB
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    registry.asked.clear()
    assert list(registries.pull(name(registry), PullRequest(insecure=True)))[-1].status == "success"
    assert fetched(registry, model) < 4 * MIB
    assert store.blobs.read(model) == data


def name(registry: Registry) -> ModelName:
    return ModelName.parse(f"{registry.host}/library/m")


def close(iterator: object) -> None:
    assert hasattr(iterator, "close")
    iterator.close()


def _slow(opened: threading.Event) -> Callable[[Handler], bool]:
    """Send a part's first mebibyte, and the rest when it is time."""

    def fault(handler: Handler) -> bool:
        digest = handler.path.rpartition("/blobs/")[2]
        blob = handler.server.blobs[digest]
        first, last = handler.asked.range or (0, len(blob) - 1)
        handler.begin(206, last + 1 - first, Content_Range=f"bytes {first}-{last}/{len(blob)}")
        handler.wfile.write(blob[first : first + MIB])
        opened.wait(20)
        handler.wfile.write(blob[first + MIB : last + 1])
        return True

    return fault


def _claimed(store: Store, digest: str) -> Claim:
    """Wait until nobody fetches a blob any more."""
    while (claim := store.claim(digest)) is None:
        pass
    return claim
