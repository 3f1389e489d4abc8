"""Pushes that end early: what the registry took is not sent again, by whatever process the next push is made."""

import contextlib
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.progress import Progress
from lcrt.registry.upload import LAST_CHUNK
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.models import publish
from tests.registry.server import MODEL, Handler, Registry, content, digest_of, drop

Push = Callable[..., list[Progress]]
SIZE = 400_000
CHUNK = 100_000
DATA = content(SIZE)
DIGEST = digest_of(DATA)
PUSHER = Path(__file__).with_name("pusher.py")


@pytest.fixture
def raw(registry: Registry, store: Store) -> bytes:
    """The manifest of a model of four chunks."""
    return publish(store, registry.host, {DATA: MODEL})


def die(store: Store, host: str, n_chunks: int) -> None:
    """Push in another process until it is killed."""
    command = [sys.executable, str(PUSHER), str(store.directory), host, str(CHUNK), str(n_chunks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL


def ranges(registry: Registry) -> list[str]:
    """The chunks of the large blob that were sent."""
    return [asked.headers["content-range"] for asked in registry.of("PATCH", "") if len(asked.body) > 2]


def records(store: Store) -> list[Path]:
    return list((store.directory / ".lcrt" / "uploads").iterdir())


@pytest.mark.parametrize("n_chunks", [1, 3, 4])
def test_a_process_that_was_killed_is_followed_by_one_that_sends_the_rest(
    registry: Registry, store: Store, push: Push, raw: bytes, n_chunks: int
) -> None:
    die(store, registry.host, n_chunks)
    registry.asked.clear()
    assert push(part_size=CHUNK)[-1].status == "success"
    assert ranges(registry) == [f"{n * CHUNK}-{n * CHUNK + CHUNK - 1}" for n in range(n_chunks, 4)]
    assert registry.blobs[DIGEST] == DATA
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert records(store) == []


@contextlib.contextmanager
def _held(registry: Registry, n: int) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Keep the registry from answering to the n-th chunk; the events say that it came, and let it be answered."""
    came, go = threading.Event(), threading.Event()

    def hold(handler: Handler) -> bool:
        if handler.command == "PATCH":
            came.set()
            go.wait(10)
        return False

    registry.upload_faults.extend([_pass] * (n - 1) + [hold])
    try:
        yield came, go
    finally:
        go.set()


def _pass(handler: Handler) -> bool:
    return False


def test_a_chunk_that_is_on_its_way_when_the_client_leaves_still_counts(
    registry: Registry, store: Store, open_registries: Open, push: Push, raw: bytes
) -> None:
    registries = open_registries(part_size=CHUNK, uploads=1, stall=10.0)
    pushing = registries.push(ModelName.parse(f"{registry.host}/library/m"), insecure=True)
    with _held(registry, 2) as (came, go):
        next(each for each in pushing if each.digest)
        assert came.wait(10)
        threading.Timer(0.05, go.set).start()
        assert hasattr(pushing, "close")
        pushing.close()
        registries.close()
    registry.asked.clear()
    assert push(part_size=CHUNK)[-1].status == "success"
    assert ranges(registry) == ["200000-299999", "300000-399999"]
    assert registry.blobs[DIGEST] == DATA


def test_a_daemon_that_ends_does_not_wait_long_for_a_chunk(
    registry: Registry, store: Store, open_registries: Open, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcrt.registry.push.LAST_CHUNK", 0.05)
    assert LAST_CHUNK > 1
    registries = open_registries(part_size=CHUNK, uploads=1, stall=10.0)
    pushing = registries.push(ModelName.parse(f"{registry.host}/library/m"), insecure=True)
    with _held(registry, 1) as (came, go):
        next(each for each in pushing if each.digest)
        assert came.wait(10)
        registries.close()
        assert not go.is_set()


def test_a_daemon_that_ends_waits_for_all_chunks_together(
    registry: Registry, store: Store, open_registries: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcrt.registry.push.LAST_CHUNK", 0.5)
    publish(store, registry.host, {content(1000, seed): MODEL for seed in range(4)})
    registries = open_registries(uploads=4, stall=10.0)
    gate, go = threading.Barrier(5), threading.Event()

    def hold(handler: Handler) -> bool:
        if handler.command == "PATCH":
            gate.wait(10)
            go.wait(10)
        return False

    registry.upload_faults.extend([hold] * 4)
    pushing = registries.push(_name(registry), insecure=True)
    next(each for each in pushing if each.digest)
    gate.wait(10)
    begin = time.monotonic()
    registries.close()
    seconds = time.monotonic() - begin
    go.set()
    assert 0.4 < seconds < 1.6, "not half a second for each of four"


def test_a_push_again_waits_for_the_one_that_is_ending_and_goes_on_from_there(
    registry: Registry, store: Store, open_registries: Open, raw: bytes
) -> None:
    options = {"part_size": CHUNK, "uploads": 1, "stall": 10.0, "patience": 10.0}
    stopped = open_registries(**options).push(_name(registry), insecure=True)
    said: list[str] = []
    with _held(registry, 2) as (came, go):
        next(each for each in stopped if each.digest)
        assert came.wait(10)
        assert isinstance(stopped, Generator)
        stopped.close()
        for each in open_registries(**options).push(_name(registry), insecure=True):
            said.append(each.status)
            if each.status.startswith("waiting"):
                go.set()
    assert said[-1] == "success"
    assert f"waiting for an earlier push of {DIGEST[7:19]}" in said
    assert ranges(registry) == ["0-99999", "100000-199999", "200000-299999", "300000-399999"]
    assert registry.manifests["library/m/manifests/latest"] == raw


def test_what_the_other_push_brings_to_an_end_is_not_sent_again(
    registry: Registry, store: Store, open_registries: Open, raw: bytes
) -> None:
    options = {"part_size": CHUNK, "uploads": 1, "stall": 10.0, "patience": 10.0}
    first = open_registries(**options).push(_name(registry), insecure=True)
    with _held(registry, 4) as (came, go):
        next(each for each in first if each.digest)
        assert came.wait(10)
        threading.Timer(0.3, go.set).start()
        assert list(open_registries(**options).push(_name(registry), insecure=True))[-1].status == "success"
    assert list(first)[-1].status == "success"
    assert len(ranges(registry)) == 4
    assert registry.manifests["library/m/manifests/latest"] == raw


def test_failures_with_progress_between_them_are_no_row(
    registry: Registry, store: Store, push: Push, raw: bytes
) -> None:
    registry.upload_faults.extend([drop, _pass] * 4)
    assert push(part_size=CHUNK, uploads=1, tries=2)[-1].status == "success"
    assert not registry.upload_faults
    assert registry.blobs[DIGEST] == DATA


def test_failures_without_progress_are_a_row_that_ends(
    registry: Registry, store: Store, push: Push, raw: bytes
) -> None:
    registry.upload_faults.extend([_pass, drop, drop, drop])
    with pytest.raises(LcrtError, match="max retries exceeded"):
        push(part_size=CHUNK, uploads=1, tries=3)
    assert len(ranges(registry)) == 4


def _forgotten(registry: Registry, store: Store) -> None:
    registry.uploads.clear()


def _longer(registry: Registry, store: Store) -> None:
    [held] = registry.uploads.values()
    held += DATA[len(held) : len(held) + 1234]


def _shorter(registry: Registry, store: Store) -> None:
    [held] = registry.uploads.values()
    del held[1234:]


def _too_long(registry: Registry, store: Store) -> None:
    [held] = registry.uploads.values()
    held += bytes(2 * SIZE)


def _other_bytes(registry: Registry, store: Store) -> None:
    [held] = registry.uploads.values()
    held[5] ^= 1


def _torn(registry: Registry, store: Store) -> None:
    [path] = records(store)
    path.write_bytes(path.read_bytes()[:-9])


def _nonsense(registry: Registry, store: Store) -> None:
    [path] = records(store)
    path.write_bytes(b'{"url":"x","pieces":[{"end":5,"md5":"zz"}]}\n')


def _elsewhere(registry: Registry, store: Store) -> None:
    [path] = records(store)
    path.write_bytes(path.read_bytes().replace(b"/uploads/u0", b"/uploads/u7"))


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (_longer, "201234-299999"),
        (_shorter, "1234-99999"),
        (_forgotten, "0-99999"),
        (_too_long, "0-99999"),
        (_other_bytes, "200000-299999"),
        (_torn, "0-99999"),
        (_nonsense, "0-99999"),
        (_elsewhere, "0-99999"),
    ],
)
def test_what_the_registry_says_counts_whatever_was_noted(
    registry: Registry,
    store: Store,
    push: Push,
    raw: bytes,
    change: Callable[[Registry, Store], None],
    first: str,
) -> None:
    die(store, registry.host, 2)
    change(registry, store)
    registry.asked.clear()
    assert push(part_size=CHUNK)[-1].status == "success"
    assert ranges(registry)[0] == first
    assert registry.blobs[DIGEST] == DATA
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert records(store) == []


def test_the_sum_of_an_upload_that_was_continued_is_that_of_its_pieces(
    registry: Registry, store: Store, push: Push, raw: bytes
) -> None:
    die(store, registry.host, 2)
    _longer(registry, store)
    push(part_size=CHUNK)
    cuts = [0, 100_000, 200_000, 201_234, 300_000, 400_000]
    sums = [hashlib.md5(DATA[a:b]).digest() for a, b in itertools.pairwise(cuts)]
    [end] = registry.of("PUT", "/uploads/u0")
    assert end.path.endswith(f"etag={hashlib.md5(b''.join(sums)).hexdigest()}-5")


def test_an_end_whose_answer_got_lost_is_not_done_again(
    registry: Registry, store: Store, push: Push, raw: bytes
) -> None:
    def lose(handler: Handler) -> bool:
        if handler.command != "PUT":
            return False
        key = handler.path.partition("?")[0].rpartition("/")[2]
        handler.server.put(bytes(handler.server.uploads.pop(key)))
        return drop(handler)

    registry.upload_faults.extend([_pass] * 4 + [lose])
    assert push(part_size=CHUNK, uploads=1)[-1].status == "success"
    assert len(ranges(registry)) == 4


def test_a_network_that_is_away_for_a_moment_does_not_cost_the_upload(
    registry: Registry, store: Store, push: Push, raw: bytes
) -> None:
    registry.upload_faults.extend([_pass, _pass, drop])
    away = [drop, drop]
    registry.guard = lambda handler: (
        not (handler.command == "GET" and "/uploads/" in handler.path and away and away.pop()(handler))
    )
    assert push(part_size=CHUNK, uploads=1)[-1].status == "success"
    assert away == []
    assert ranges(registry).count("0-99999") == 1


def test_two_who_push_the_same_do_not_disturb_each_other(
    registry: Registry, store: Store, open_registries: Open, raw: bytes
) -> None:
    first = open_registries(part_size=CHUNK, uploads=1, stall=10.0).push(_name(registry), insecure=True)
    with _held(registry, 2) as (came, go):
        next(each for each in first if each.digest)
        assert came.wait(10)
        second = open_registries(part_size=CHUNK, patience=0.1)
        assert list(second.push(_name(registry), insecure=True))[-1].status == "success"
        go.set()
        assert list(first)[-1].status == "success"
    assert registry.blobs[DIGEST] == DATA
    assert records(store) == []


def test_an_upload_that_nobody_goes_on_with_is_forgotten_after_a_while(
    registry: Registry, store: Store, raw: bytes
) -> None:
    die(store, registry.host, 1)
    [path] = records(store)
    store.collect()
    assert path.exists()
    os.utime(path, (0, 0))
    with store.uploads.open("another"):
        store.collect(Ages(blob=-1, partial=-1))
        assert len(records(store)) == 1, "what is in use stays"
    assert not path.exists()


def _name(registry: Registry) -> ModelName:
    return ModelName.parse(f"{registry.host}/library/m")
