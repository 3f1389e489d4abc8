import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.errors import LcrtError
from lcrt.registry.options import PullRequest
from lcrt.registry.progress import Progress
from lcrt.store.store import Store
from tests.registry.conftest import Open
from tests.registry.server import MODEL, Handler, Registry, content, status
from tests.registry.tls import make_certificate, tls_front

Pull = Callable[..., list[Progress]]
DATA = content(300_000)


@pytest.fixture
def model(registry: Registry) -> str:
    digest = registry.put(DATA)
    registry.add("library/m", {digest: MODEL})
    return digest


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_with_tls_small_requests_use_http_2_and_blobs_a_connection_each(
    registry: Registry,
    store: Store,
    open_registries: Open,
    model: str,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with tls_front(registry, certificate, key, port) as seen:
        registries = open_registries()
        name = ModelName.parse(f"127.0.0.1:{port}/library/m")
        assert list(registries.pull(name, PullRequest()))[-1].status == "success"
        registries.close()
    assert store.blobs.read(model) == DATA
    assert {version for version, path in seen if "/manifests/" in path} == {"2"}
    assert {version for version, path in seen if "/blobs/" in path} == {"1.1"}


def test_a_certificate_that_nobody_trusts_is_told_with_advice(
    registry: Registry, open_registries: Open, port: int, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    with tls_front(registry, certificate, key, port) as seen, pytest.raises(LcrtError) as caught:
        list(open_registries().pull(ModelName.parse(f"127.0.0.1:{port}/library/m"), PullRequest()))
    assert f"cannot trust 127.0.0.1:{port}: " in caught.value.message
    assert "SSL_CERT_FILE" in str(caught.value)
    assert seen == []


def test_a_registry_without_tls_is_told_with_advice(registry: Registry, open_registries: Open) -> None:
    with pytest.raises(LcrtError) as caught:
        list(open_registries().pull(ModelName.parse(f"{registry.host}/library/m"), PullRequest()))
    assert f"{registry.host} does not speak TLS" in caught.value.message
    assert "--insecure" in str(caught.value)


def test_nobody_at_the_address_is_told_after_a_few_tries(open_registries: Open, port: int) -> None:
    with pytest.raises(LcrtError) as caught:
        list(open_registries().pull(ModelName.parse(f"127.0.0.1:{port}/library/m"), PullRequest(insecure=True)))
    expected = f"pull model manifest: max retries exceeded: cannot connect to 127.0.0.1:{port}: Connection refused"
    assert caught.value.message == expected


def test_a_proxy_of_the_environment_is_used(
    registry: Registry, store: Store, open_registries: Open, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_proxy(handler: Handler) -> bool:
        assert handler.path.startswith("http://far.invalid/")
        handler.path = handler.path.removeprefix("http://far.invalid")
        return True

    registry.guard = as_proxy
    monkeypatch.setenv("HTTP_PROXY", f"http://{registry.host}")
    name = ModelName.parse("far.invalid/library/m")
    assert list(open_registries().pull(name, PullRequest(insecure=True)))[-1].status == "success"
    assert store.blobs.read(model) == DATA


@pytest.mark.parametrize("address", ["http://[x", "http://127.0.0.1:99999/y", "ftp://127.0.0.1/y"])
def test_a_redirect_to_no_web_address_is_told_with_advice(
    registry: Registry, pull: Pull, model: str, address: str
) -> None:
    registry.always = status(307, Location=address)
    with pytest.raises(LcrtError, match="redirects to what is no web address: ") as caught:
        pull()
    assert address in caught.value.message
    assert caught.value.hint
    del model


def test_registries_are_told_who_asks(registry: Registry, pull: Pull, model: str) -> None:
    pull(user_agent="ollama/0.33.0 (amd64 linux) lcrt/1")
    assert {asked.headers["user-agent"] for asked in registry.asked} == {"ollama/0.33.0 (amd64 linux) lcrt/1"}
    del model


def test_cookies_are_not_kept(registry: Registry, pull: Pull, model: str) -> None:
    def bake(handler: Handler) -> bool:
        assert "cookie" not in handler.asked.headers
        if "/manifests/" not in handler.path:
            return True
        raw = registry.manifests["library/m/manifests/latest"]
        handler.reply(200, raw, Set_Cookie="a=b; Path=/")
        return False

    registry.guard = bake
    assert pull()[-1].status == "success"
    del model
