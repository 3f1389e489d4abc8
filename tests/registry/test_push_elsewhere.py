"""Uploads that a registry sends elsewhere: nothing secret goes along, TLS is not lost, and only a yes counts."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.models import publish
from tests.registry.server import MODEL, Fault, Handler, Registry, content, digest_of, status
from tests.registry.test_auth import Gate, has_signed
from tests.registry.tls import make_certificate

Push = Callable[..., list[Progress]]
DATA = content(1000)
DIGEST = digest_of(DATA)


@pytest.fixture
def raw(registry: Registry, store: Store) -> bytes:
    return publish(store, registry.host, {DATA: MODEL})


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that speaks TLS."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made = Registry()
    made.socket = context.wrap_socket(made.socket, server_side=True)
    with made:
        yield made


def _begun_at(address: str) -> Callable[[Handler], bool]:
    """A guard that begins uploads at another address."""

    def guard(handler: Handler) -> bool:
        if handler.command != "POST":
            return True
        handler.reply(202, Location=address)
        return False

    return guard


def test_an_upload_that_goes_on_at_another_host_gets_no_secret(
    registry: Registry, storage: Registry, push: Push, raw: bytes
) -> None:
    Gate(storage, has_signed)
    registry.guard = _begun_at(f"http://{storage.host}/v2/library/m/blobs/uploads/u")
    with pytest.raises(LcrtError, match="401"):
        push(uploads=1)
    assert [asked.path for asked in storage.asked] == ["/v2/library/m/blobs/uploads/u"]
    assert not any("authorization" in asked.headers for asked in storage.asked)
    del raw


def test_a_token_stays_with_the_registry_when_an_upload_goes_on_elsewhere(
    registry: Registry, storage: Registry, push: Push, raw: bytes
) -> None:
    gate = Gate(registry, has_signed)
    address = f"http://{storage.host}/v2/library/m/blobs/uploads/"
    storage.uploads |= {f"u{n}": bytearray() for n in range(2)}
    free = list(storage.uploads)

    def guard(handler: Handler) -> bool:
        if not gate(handler):
            return False
        return handler.command != "POST" or _begun_at(address + free.pop())(handler)

    registry.guard = guard
    registry.always_missing.add(DIGEST)
    with pytest.raises(LcrtError, match="blob unknown"):
        push(uploads=1)
    assert storage.blobs[DIGEST] == DATA
    assert not any("authorization" in asked.headers for asked in storage.asked)
    del raw


def _send_away(registry: Registry, address: str, answer: str) -> None:
    """Every upload there goes on at the address: by the answer that begins it, after a chunk or in place of one."""

    def away(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        if answer == "names a storage":
            handler.reply(307, Location=address, Docker_Upload_Location=handler.path)
        else:
            handler.reply(202, Location=address)
        return True

    if answer == "begins":
        registry.guard = _begun_at(address)
    else:
        registry.upload_faults.extend([away] * 9)


@pytest.mark.parametrize("answer", ["begins", "takes a chunk", "names a storage"])
def test_an_upload_does_not_lose_its_tls(
    secure: Registry, storage: Registry, store: Store, open_registries: Open, answer: str
) -> None:
    publish(store, secure.host, {DATA: MODEL})
    address = f"http://{storage.host}/v2/library/m/blobs/uploads/u"

    _send_away(secure, address, answer)
    with pytest.raises(LcrtError, match=f"redirects to a place without TLS: {storage.host}"):
        list(open_registries(uploads=1, part_size=500).push(ModelName.parse(f"{secure.host}/library/m")))
    assert storage.asked == []
    assert secure.manifests == {}


def test_over_tls_everything_arrives(secure: Registry, store: Store, open_registries: Open) -> None:
    raw = publish(store, secure.host, {DATA: MODEL})
    assert list(open_registries().push(ModelName.parse(f"{secure.host}/library/m")))[-1].status == "success"
    assert secure.manifests["library/m/manifests/latest"] == raw


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
@pytest.mark.parametrize("fault", [status(302), status(304)])
def test_what_is_neither_done_nor_refused_does_not_count_as_done(
    registry: Registry, push: Push, raw: bytes, method: str, fault: Fault
) -> None:
    registry.guard = lambda handler: handler.command != method or not fault(handler)
    with pytest.raises(LcrtError, match=r"answers 30[24] and does nothing") as caught:
        push(uploads=1)
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


def test_a_storage_that_sends_a_chunk_further_has_not_taken_it(
    registry: Registry, storage: Registry, push: Push, raw: bytes
) -> None:
    def away(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        handler.reply(307, Location=f"http://{storage.host}/x", Docker_Upload_Location=handler.path)
        return True

    registry.upload_faults.extend([away] * 9)
    storage.upload_faults.extend([status(302, Location=f"http://{storage.host}/y")] * 9)
    with pytest.raises(LcrtError, match="answers 302 and does nothing"):
        push(uploads=1)
    assert {asked.path for asked in storage.asked} == {"/x"}
    assert registry.manifests == {}
    del raw


def test_where_an_upload_goes_on_is_read_from_where_the_answer_came(
    registry: Registry, storage: Registry, push: Push, raw: bytes
) -> None:
    def moved(handler: Handler) -> bool:
        if handler.command != "POST":
            return True
        handler.reply(307, Location=f"http://{storage.host}{handler.path}")
        return False

    registry.guard = moved
    with pytest.raises(LcrtError, match="blob unknown"):
        push(uploads=1)
    assert storage.blobs[DIGEST] == DATA
    assert json.loads(raw)["layers"][0]["digest"] in storage.blobs


def test_an_address_that_was_noted_earlier_gets_no_secret_either(
    registry: Registry, storage: Registry, store: Store, push: Push, raw: bytes
) -> None:
    Gate(storage, has_signed)
    facts = (f"http://{registry.host}", "library/m", DIGEST)
    with store.uploads.open(*facts) as record:
        record.write(json.dumps({"url": f"http://{storage.host}/u", "pieces": []}).encode())
    assert push(uploads=1)[-1].status == "success"
    assert not any("authorization" in asked.headers for asked in storage.asked)
    assert registry.manifests["library/m/manifests/latest"] == raw


NO_ADDRESSES = ("http://[x", "https://127.0.0.1:99999/u")


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("answer", ["begins", "takes a chunk", "names a storage"])
def test_an_upload_that_goes_on_nowhere_is_told_with_advice(
    registry: Registry, push: Push, raw: bytes, address: str, answer: str
) -> None:
    _send_away(registry, address, answer)
    with pytest.raises(LcrtError, match="redirects to what is no web address: ") as caught:
        push(uploads=1)
    assert address in caught.value.message
    assert caught.value.hint
    assert registry.manifests == {}
    del raw


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_after_an_address_that_was_noted_and_is_none_an_upload_begins_anew(
    registry: Registry, store: Store, push: Push, raw: bytes, address: str
) -> None:
    facts = (f"http://{registry.host}", "library/m", DIGEST)
    with store.uploads.open(*facts) as record:
        record.write(json.dumps({"url": address, "pieces": []}).encode())
    assert push(uploads=1)[-1].status == "success"
    assert registry.blobs[DIGEST] == DATA
    assert registry.manifests["library/m/manifests/latest"] == raw
