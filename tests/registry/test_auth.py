import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization

from lcrt.errors import LcrtError
from lcrt.registry.auth import Challenge, parse_challenge
from lcrt.registry.identity import load_identity
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.models import publish
from tests.registry.server import MODEL, Handler, Registry, content, elsewhere

Pull = Callable[..., list[Progress]]


class Gate:
    """Lets in whoever has a token, and gives one to whoever has what ``accepts`` wants."""

    def __init__(self, registry: Registry, accepts: Callable[[Handler], bool], realm: str = "") -> None:
        self.tokens: set[str] = set()
        self._accepts = accepts
        self._realm = realm or f"http://{registry.host}/token"
        registry.guard = self

    def __call__(self, handler: Handler) -> bool:
        given = handler.asked.headers.get("authorization", "")
        if handler.path.startswith("/token"):
            self._give(handler)
            return False
        if given.removeprefix("Bearer ") in self.tokens:
            return True
        challenge = f'Bearer realm="{self._realm}",service="reg",scope="repository:library/m:pull"'
        handler.reply(401, b"{}", WWW_Authenticate=challenge)
        return False

    def _give(self, handler: Handler) -> None:
        if not self._accepts(handler):
            handler.reply(401, b"no")
            return
        token = f"t{len(self.tokens)}"
        self.tokens.add(token)
        handler.reply(200, json.dumps({"token": token}).encode())


def has_signed(handler: Handler) -> bool:
    """Check a request as Ollama's registry does."""
    public, _, signature = handler.asked.headers.get("authorization", "").partition(":")
    key = serialization.load_ssh_public_key(f"ssh-ed25519 {public}".encode())
    empty = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()
    text = f"GET,http://{handler.server.host}{handler.path},{empty}"
    key.verify(base64.b64decode(signature), text.encode())  # type: ignore[call-arg]
    fields = parse_qs(urlsplit(handler.path).query)
    return fields["service"] == ["reg"] and fields["scope"] == ["repository:library/m:pull"] and "nonce" in fields


@pytest.fixture
def model(registry: Registry) -> str:
    digest = registry.put(content(100_000))
    registry.add("library/m", {digest: MODEL})
    return digest


def test_a_challenge_is_answered_with_the_key_of_this_machine(
    registry: Registry, pull: Pull, model: str, tmp_path: Path
) -> None:
    gate = Gate(registry, has_signed)
    assert pull(part_size=20_000)[-1].status == "success"
    assert len(gate.tokens) == 1
    key = tmp_path / "home" / ".ollama" / "id_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_suffix(".pub").read_text().split()[1] == load_identity(tmp_path / "home").public
    del model


def test_a_token_that_has_expired_is_replaced(registry: Registry, pull: Pull, model: str) -> None:
    gate = Gate(registry, has_signed)

    def forget(handler: Handler) -> bool:
        gate.tokens.discard("t0")
        return False

    registry.faults.append(forget)
    assert pull(part_size=20_000)[-1].status == "success"
    assert len(gate.tokens) <= 2
    del model


REALMS = (
    "http://{storage}/token",
    "http://{registry}@{storage}/token",
    "http://{registry}\\@{storage}/token",
    "HTTP://user:{registry}@{storage}/token?x=http://{registry}/",
    "//{storage}/token",
)


@pytest.mark.parametrize("realm", REALMS)
@pytest.mark.parametrize("has_password", [False, True])
def test_a_realm_on_another_host_gets_nothing(
    registry: Registry, storage: Registry, pull: Pull, model: str, tmp_path: Path, realm: str, has_password: bool
) -> None:
    Gate(registry, has_signed, realm.format(storage=storage.host, registry=registry.host))
    if has_password:
        _log_in(tmp_path, registry.host, storage.host)
    with pytest.raises(LcrtError) as caught:
        pull()
    assert f'realm host "{storage.host}" does not match original host "{registry.host}"' in caught.value.message
    assert caught.value.hint
    assert storage.asked == []
    del model


@pytest.mark.parametrize("realm", ["http://[x", "http://127.0.0.1:99999/token"])
def test_a_realm_that_is_no_address_is_told_with_advice(registry: Registry, pull: Pull, model: str, realm: str) -> None:
    Gate(registry, has_signed, realm)
    with pytest.raises(LcrtError, match="is no web address") as caught:
        pull()
    assert caught.value.hint
    del model


def test_a_realm_that_sends_a_request_for_a_token_elsewhere_gets_none(
    registry: Registry, storage: Registry, pull: Pull, model: str
) -> None:
    def away(handler: Handler) -> bool:
        handler.reply(307, Location=f"http://{storage.host}/token")
        return False

    gate = Gate(registry, has_signed)
    registry.guard = lambda handler: away(handler) if handler.path.startswith("/token") else gate(handler)
    with pytest.raises(LcrtError, match="redirects a request for a token"):
        pull()
    assert storage.asked == []
    del model


@pytest.mark.parametrize("realm", REALMS)
def test_a_realm_on_another_host_gets_nothing_of_a_push_either(
    registry: Registry, storage: Registry, store: Store, push: Pull, realm: str
) -> None:
    publish(store, registry.host, {b"weights": MODEL})
    Gate(registry, has_signed, realm.format(storage=storage.host, registry=registry.host))
    with pytest.raises(LcrtError, match="does not match original host"):
        push()
    assert storage.asked == []


def _log_in(folder: Path, *hosts: str) -> None:
    """Store a password for hosts as docker does."""
    config = folder / "home" / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"auths": {host: {"auth": "bWU6c2VjcmV0"} for host in hosts}}))


def test_a_redirect_to_another_host_does_not_carry_the_token(
    registry: Registry, storage: Registry, pull: Pull, model: str
) -> None:
    Gate(registry, has_signed)
    storage.blobs |= registry.blobs
    registry.always = elsewhere(storage.host)
    pull(part_size=20_000)
    assert len(storage.of("GET", model)) == 5
    assert not any("authorization" in asked.headers for asked in storage.asked)


def test_credentials_that_docker_stored_are_preferred(
    registry: Registry, pull: Pull, model: str, tmp_path: Path
) -> None:
    wanted = "Basic " + base64.b64encode(b"me:secret").decode()
    Gate(registry, lambda handler: handler.asked.headers.get("authorization") == wanted)
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True)
    auth = {"auths": {f"http://{registry.host}/v2/": {"auth": wanted.removeprefix("Basic ")}}}
    (folder / "config.json").write_text(json.dumps(auth))
    assert pull()[-1].status == "success"
    del model


def test_a_credential_helper_is_asked(
    registry: Registry, pull: Pull, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = "Basic " + base64.b64encode(b"me:secret").decode()

    def guard(handler: Handler) -> bool:
        if handler.asked.headers.get("authorization") == wanted:
            return True
        handler.reply(401, b"", WWW_Authenticate='Basic realm="x"')
        return False

    registry.guard = guard
    helper = tmp_path / "docker-credential-test"
    helper.write_text(f'#!/bin/sh\nread host\n[ "$host" = {registry.host} ] && ' + "printf '%s' " + _SECRET)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"credsStore": "test"}')
    assert pull()[-1].status == "success"
    del model


_SECRET = """'{"Username":"me","Secret":"secret"}'"""


def test_without_anything_that_is_accepted_access_is_denied(registry: Registry, pull: Pull, model: str) -> None:
    Gate(registry, lambda handler: False)
    with pytest.raises(LcrtError, match="pull model manifest: 401: no"):
        pull()
    del model


def test_a_token_that_is_not_accepted_is_told(registry: Registry, pull: Pull, model: str) -> None:
    gate = Gate(registry, has_signed)
    gate.tokens = _Nothing()
    with pytest.raises(LcrtError, match="unauthorized: access denied"):
        pull()
    assert len(registry.of("GET", "/manifests/")) == 2
    del model


class _Nothing(set[str]):
    """A set that keeps nothing."""

    def add(self, item: str) -> None:
        del item


@pytest.mark.parametrize(
    ("text", "challenge"),
    [
        (
            'Bearer realm="https://a/t",service="s",scope="x:y:pull,push z"',
            Challenge("bearer", "https://a/t", "s", "x:y:pull,push z"),
        ),
        ("bearer  realm=https://a , scope=b", Challenge("bearer", "https://a", "", "b")),
        ('Basic realm="x y"', Challenge("basic", "x y")),
        ("", Challenge("")),
        ("Negotiate", Challenge("negotiate")),
    ],
)
def test_a_challenge_is_read(text: str, challenge: Challenge) -> None:
    assert parse_challenge(text) == challenge


@pytest.mark.parametrize(
    "damage", [b"", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"]
)
def test_a_key_that_cannot_be_read_is_told_with_advice(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / ".ollama" / "id_ed25519"
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(LcrtError, match="move it away to get a new one"):
        load_identity(tmp_path)
