"""Registries that fail, lie and stall: the model comes whole or the reason is told, and nothing false is published."""

from collections import Counter
from collections.abc import Callable

import httpx2
import pytest

from lcrt.errors import LcrtError
from lcrt.registry.client import Reply
from lcrt.registry.partial import come_so_far
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.server import (
    MODEL,
    Fault,
    Handler,
    Registry,
    content,
    drop,
    elsewhere,
    instead,
    shifted,
    stall,
    status,
    trickle,
    truncate,
    whole,
)

Pull = Callable[..., list[Progress]]
SIZE = 1_600_000
PART = 256_000
DATA = content(SIZE)


@pytest.fixture(autouse=True, params=["slow line", "fast line"])
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes come through the library, or, as on a fast line, from the connection after a first chunk."""
    if request.param == "fast line":
        monkeypatch.setattr("lcrt.registry.pace._KNOWN_AFTER", -1)
        monkeypatch.setattr("lcrt.registry.pace._FAST", 0.0)
        monkeypatch.setattr("lcrt.registry.client._read_widely", _read_narrowly)
    else:
        monkeypatch.setattr("lcrt.registry.pace._KNOWN_AFTER", 1 << 40)


def _read_narrowly(response: httpx2.Response) -> None:
    stream = response.extensions["network_stream"]
    read = type(stream).read
    stream.read = lambda n_bytes, timeout=None: read(stream, 1024, timeout)


def test_on_a_fast_line_bytes_come_from_the_connection_itself(
    registry: Registry, store: Store, pull: Pull, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []
    receive = Reply.receive

    def noted(reply: Reply, buffer: memoryview) -> int:
        received.append(receive(reply, buffer))
        return received[-1]

    monkeypatch.setattr(Reply, "receive", noted)
    monkeypatch.setattr("lcrt.registry.pace._KNOWN_AFTER", -1)
    monkeypatch.setattr("lcrt.registry.pace._FAST", 0.0)
    monkeypatch.setattr("lcrt.registry.client._read_widely", _read_narrowly)
    assert pull(part_size=PART)[-1].status == "success"
    assert sum(received) > SIZE // 2
    assert store.blobs.read(model) == DATA


@pytest.fixture
def model(registry: Registry) -> str:
    """A blob of seven parts."""
    digest = registry.put(DATA)
    registry.add("library/m", {digest: MODEL})
    return digest


@pytest.mark.parametrize(
    "faults",
    [
        [status(500)],
        [status(503, Retry_After="0")],
        [status(429)] * 4,
        [drop, drop],
        [truncate(0)],
        [truncate(1000), truncate(1000)],
        [truncate(PART - 1)] * 4,
        [stall(0)],
        [stall(1000)],
        [whole],
        [drop, whole, whole],
    ],
)
def test_a_fault_that_passes_is_survived(
    registry: Registry, store: Store, pull: Pull, model: str, faults: list[Fault]
) -> None:
    registry.faults.extend(faults)
    assert pull(part_size=PART)[-1].status == "success"
    assert not registry.faults
    assert store.blobs.read(model) == DATA


@pytest.mark.parametrize("n_before", [0, 3])
def test_a_connection_that_trickles_is_replaced_where_it_stands(
    registry: Registry, store: Store, pull: Pull, model: str, n_before: int
) -> None:
    registry.faults.extend([_served] * n_before + [trickle(100, 0.01)])
    assert pull(part_size=PART, slow_window=0.1, stall=20.0, tries=1)[-1].status == "success"
    assert store.blobs.read(model) == DATA
    asked = [each.range for each in registry.of("GET", model) if each.range]
    by_end = Counter(last for _, last in asked)
    [(slow_end, n_times)] = by_end.most_common(1)
    starts = sorted(first for first, last in asked if last == slow_end)
    assert n_times == 2
    assert starts[0] % PART == 0
    assert starts[0] + 100 <= starts[1], "what had come is not asked for again"


def test_a_slow_line_is_not_taken_for_a_slow_connection(
    registry: Registry, store: Store, pull: Pull, model: str
) -> None:
    registry.always = trickle(8000, 0.01)
    assert pull(part_size=PART, slow_window=0.1, tries=1)[-1].status == "success"
    assert len(registry.of("GET", model)) == 7


def test_a_part_that_is_slow_wherever_it_comes_from_is_waited_for(
    registry: Registry, store: Store, pull: Pull, model: str
) -> None:
    slow = trickle(4000, 0.05)

    def fault(handler: Handler) -> bool:
        return bool(handler.asked.range and handler.asked.range[1] == SIZE - 1 and slow(handler))

    registry.always = fault
    assert pull(part_size=PART, slow_window=0.05, stall=20.0, tries=1)[-1].status == "success"
    assert store.blobs.read(model) == DATA
    last = [asked for asked in registry.of("GET", model) if asked.range and asked.range[1] == SIZE - 1]
    assert 2 <= len(last) <= 4


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_blobs_may_lie_elsewhere(registry: Registry, storage: Registry, store: Store, pull: Pull, code: int) -> None:
    model = storage.put(DATA)
    registry.put(DATA)
    registry.add("library/m", {model: MODEL})
    registry.always = elsewhere(storage.host, code)
    storage.add("library/m", {model: MODEL})
    assert pull(part_size=PART)[-1].status == "success"
    assert store.blobs.read(model) == DATA
    assert len(registry.of("GET", model)) <= 4, "the place is remembered"


def test_an_address_that_has_expired_is_asked_for_again(
    registry: Registry, storage: Registry, store: Store, pull: Pull, model: str
) -> None:
    storage.blobs |= registry.blobs
    storage.faults.extend([_served, status(403), _served, status(403)])
    registry.always = elsewhere(storage.host)
    assert pull(part_size=PART, parts=1)[-1].status == "success"
    assert store.blobs.read(model) == DATA
    assert len(registry.of("GET", model)) == 3


def _served(handler: Handler) -> bool:
    del handler
    return False


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (instead(content(SIZE, seed=9)), "digest mismatch, file must be downloaded again: want "),
        (instead(content(SIZE + 1)), f"the blob has {SIZE + 1} bytes there, the manifest says {SIZE}"),
        (instead(DATA[:-1]), f"the blob has {SIZE - 1} bytes there, the manifest says {SIZE}"),
        (shifted, "asked for bytes from"),
        (status(500), "max retries exceeded: 500: not now"),
        (status(404), "file does not exist"),
        (status(403), "403: not now"),
        (drop, "max retries exceeded: "),
        (truncate(0), "max retries exceeded: "),
        (stall(0), "max retries exceeded: "),
    ],
)
def test_a_fault_that_lasts_is_told_and_nothing_is_published(
    registry: Registry, store: Store, pull: Pull, model: str, fault: Fault, text: str
) -> None:
    registry.always = fault
    with pytest.raises(LcrtError) as caught:
        pull(part_size=PART, tries=2)
    assert text in caught.value.message
    assert caught.value.hint, "says what to do next"
    assert not store.blobs.has(model)
    assert store.models() == []


def test_content_that_changes_between_ranges_is_thrown_away(
    registry: Registry, store: Store, pull: Pull, model: str
) -> None:
    registry.faults.extend([_served, _served, instead(content(SIZE, seed=9))])
    with pytest.raises(LcrtError, match="digest mismatch"):
        pull(part_size=PART)
    assert not store.blobs.has(model)
    assert not store.blobs.partial(model).exists()
    assert pull(part_size=PART)[-1].status == "success"
    assert store.blobs.read(model) == DATA


def test_what_had_come_before_a_failure_is_not_fetched_again(
    registry: Registry, store: Store, pull: Pull, model: str
) -> None:
    registry.faults.extend([_served] * 3 + [status(403)] * 4)
    with pytest.raises(LcrtError):
        pull(part_size=PART, parts=1)
    assert come_so_far(store.blobs.partial(model)) == 3 * PART
    registry.faults.clear()
    registry.asked.clear()
    pull(part_size=PART)
    assert min(asked.range[0] for asked in registry.of("GET", model) if asked.range) == 3 * PART
    assert store.blobs.read(model) == DATA


def test_a_manifest_other_than_announced_is_refused(registry: Registry, store: Store, pull: Pull, model: str) -> None:
    registry.promises = "sha256:" + "0" * 64
    with pytest.raises(LcrtError, match="sent a manifest that is not sha256:0000"):
        pull()
    assert store.models() == []
    del model


def test_redirects_in_a_circle_end(registry: Registry, pull: Pull, model: str) -> None:
    registry.always = elsewhere(registry.host)
    del model
    with pytest.raises(LcrtError, match="maximum redirects exceeded"):
        pull()
