"""Registries that fail, stall and lie while a model is pushed: it arrives whole, or the reason is told."""

from collections.abc import Callable

import pytest

from lcrt.errors import LcrtError
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.models import publish
from tests.registry.server import MODEL, Fault, Handler, Registry, content, digest_of, drop, elsewhere, status
from tests.registry.test_auth import Gate

Push = Callable[..., list[Progress]]
SIZE = 300_000
CHUNK = 100_000
DATA = content(SIZE)
DIGEST = digest_of(DATA)
STALL = 0.2

STEPS = {
    "ask for a blob": ("HEAD", "/blobs/"),
    "begin an upload": ("POST", "/uploads/"),
    "send a chunk": ("PATCH", "/uploads/"),
    "end an upload": ("PUT", "/uploads/"),
    "send the manifest": ("PUT", "/manifests/"),
}


def hang(handler: Handler) -> bool:
    """Say nothing, until the server closes."""
    handler.server.closing.wait()
    handler.close_connection = True
    return True


def half_an_answer(handler: Handler) -> bool:
    """Hang up in the middle of the first line."""
    handler.wfile.write(b"HTTP/1.1 20")
    return drop(handler)


class At:
    """Faults for requests of one step, one each; the last one again and again if ``lasts``."""

    def __init__(self, registry: Registry, step: str, *faults: Fault, lasts: bool = False) -> None:
        self.left = list(faults)
        self._method, self._part = STEPS[step]
        self._lasts = lasts
        registry.guard = self

    def __call__(self, handler: Handler) -> bool:
        if handler.command != self._method or self._part not in handler.path or not self.left:
            return True
        fault = self.left[0] if self._lasts else self.left.pop(0)
        return not fault(handler)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no answer take much longer than another."""
    monkeypatch.setattr("lcrt.registry.client._SLOW", 2)


@pytest.fixture
def raw(registry: Registry, store: Store) -> bytes:
    """The manifest of a model of three chunks."""
    return publish(store, registry.host, {DATA: MODEL})


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "faults",
    [[status(500)], [status(503, Retry_After="0")], [status(429)] * 2, [drop] * 2, [half_an_answer], [hang]],
    ids=["500", "503", "429", "drop", "half an answer", "hang"],
)
def test_a_fault_that_passes_is_survived_at_every_step(
    registry: Registry, push: Push, raw: bytes, step: str, faults: list[Fault]
) -> None:
    at = At(registry, step, *faults)
    assert push(part_size=CHUNK, stall=STALL)[-1].status == "success"
    assert at.left == []
    assert registry.manifests["library/m/manifests/latest"] == raw
    assert registry.blobs[DIGEST] == DATA


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (status(500), "max retries exceeded: 500: not now"),
        (status(403), "403: not now"),
        (drop, "max retries exceeded: the connection to "),
        (half_an_answer, "max retries exceeded: the connection to "),
        (hang, "sent nothing for too long"),
    ],
    ids=["500", "403", "drop", "half an answer", "hang"],
)
def test_a_fault_that_lasts_is_told_with_advice_at_every_step(
    registry: Registry, push: Push, raw: bytes, step: str, fault: Fault, text: str
) -> None:
    At(registry, step, fault, lasts=True)
    with pytest.raises(LcrtError) as caught:
        push(part_size=CHUNK, stall=STALL, tries=2)
    if step == "ask for a blob" and fault is not hang:
        text = text.replace("500: not now", "500: ").replace("403: not now", "403: ")
    assert text in caught.value.message
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


def test_a_challenge_is_answered(registry: Registry, push: Push, raw: bytes) -> None:
    gate = Gate(registry, lambda handler: True)
    assert push(part_size=CHUNK, uploads=1)[-1].status == "success"
    assert len(gate.tokens) == 1
    assert registry.manifests["library/m/manifests/latest"] == raw


@pytest.mark.parametrize("step", STEPS)
def test_a_token_that_expires_on_the_way_is_replaced(registry: Registry, push: Push, raw: bytes, step: str) -> None:
    gate = Gate(registry, lambda handler: True)
    method, part = STEPS[step]
    seen: list[str] = []

    def guard(handler: Handler) -> bool:
        given = handler.asked.headers.get("authorization", "")
        if handler.command == method and part in handler.path and seen == [given]:
            gate.tokens = {"another"}
            seen.append("expired")
        elif given.startswith("Bearer") and not seen:
            seen.append(given)
        return gate(handler)

    registry.guard = guard
    assert push(part_size=CHUNK, uploads=1)[-1].status == "success"
    assert len(registry.of("GET", "/token")) == 2
    assert registry.blobs[DIGEST] == DATA
    assert registry.manifests["library/m/manifests/latest"] == raw


@pytest.mark.parametrize("step", STEPS)
def test_a_registry_that_takes_no_token_is_told_with_advice(
    registry: Registry, push: Push, raw: bytes, step: str
) -> None:
    gate = Gate(registry, lambda handler: True)
    method, part = STEPS[step]

    def guard(handler: Handler) -> bool:
        if handler.command == method and part in handler.path:
            gate.tokens.clear()
        return gate(handler)

    registry.guard = guard
    with pytest.raises(LcrtError, match="unauthorized: access denied") as caught:
        push(part_size=CHUNK, uploads=1)
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


def test_a_registry_that_only_claims_to_have_a_blob_gets_no_manifest(
    registry: Registry, push: Push, raw: bytes
) -> None:
    At(registry, "ask for a blob", status(200), lasts=True)
    with pytest.raises(LcrtError, match="400: blob unknown") as caught:
        push(part_size=CHUNK)
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


def test_a_registry_that_keeps_other_bytes_gets_no_manifest(registry: Registry, push: Push, raw: bytes) -> None:
    def spoil(handler: Handler) -> bool:
        for held in handler.server.uploads.values():
            held[: len(held) // 2] = bytes(len(held) // 2)
        return False

    registry.upload_faults.extend([spoil] * 100)
    with pytest.raises(LcrtError, match="digest invalid") as caught:
        push(part_size=CHUNK)
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[: SIZE // 2], "is shorter than its manifest says"),
        (lambda data: data[:-1] + b"\0", "digest invalid"),
    ],
    ids=["cut short", "other bytes"],
)
def test_a_blob_that_changes_while_it_is_sent_is_not_published(
    registry: Registry, store: Store, push: Push, raw: bytes, change: Callable[[bytes], bytes], text: str
) -> None:
    def spoil(handler: Handler) -> bool:
        store.blobs.path(DIGEST).write_bytes(change(DATA))
        return False

    registry.upload_faults.append(spoil)
    with pytest.raises(LcrtError, match=text) as caught:
        push(part_size=CHUNK, uploads=1)
    assert caught.value.hint
    assert registry.manifests == {}
    assert DIGEST not in registry.blobs
    del raw


def test_a_blob_may_be_known_elsewhere(registry: Registry, storage: Registry, push: Push, raw: bytes) -> None:
    storage.put(DATA)
    registry.put(DATA)
    At(registry, "ask for a blob", elsewhere(storage.host))
    push(uploads=1)
    assert storage.of("HEAD", DIGEST)
    assert not any(len(asked.body) > CHUNK for asked in registry.of("PATCH", ""))
    assert registry.manifests["library/m/manifests/latest"] == raw


@pytest.mark.parametrize("step", ["ask for a blob", "begin an upload"])
def test_redirects_in_a_circle_end(registry: Registry, push: Push, raw: bytes, step: str) -> None:
    At(registry, step, elsewhere(registry.host), lasts=True)
    with pytest.raises(LcrtError, match="maximum redirects exceeded") as caught:
        push()
    assert caught.value.hint
    assert registry.manifests == {}
    del raw
