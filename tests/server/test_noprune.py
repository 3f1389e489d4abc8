"""What no model needs goes, when the daemon starts and when a model is replaced, unless LCRT_NOPRUNE says no."""

import os
import signal
from functools import partial
from pathlib import Path

import anyio
import pytest

from lcrt.config.address import Address
from lcrt.config.settings import Settings
from lcrt.registry.service import Registries
from lcrt.server.serve import serve
from lcrt.server.services import Services
from lcrt.store import layers
from lcrt.store.store import Store
from tests.registry.conftest import OPTIONS
from tests.registry.server import MODEL, Registry
from tests.server.fake import FakeModels
from tests.server.wire import Client
from tests.store.models import named, put

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("noprune", [False, True])]


async def test_at_the_start(tmp_path: Path, noprune: bool) -> None:
    settings = Settings(
        host=Address(port=0), models=tmp_path / "models", cache_dir=tmp_path / "cache", cache_disk=0, noprune=noprune
    )
    store = Store(settings.models)
    digest = put(store, b"nobody's").digest
    store.close()
    os.utime(store.blobs.path(digest), (1000, 1000))
    stop = partial(os.kill, os.getpid(), signal.SIGTERM)
    with anyio.fail_after(10):
        await serve(settings, "0", on_listening=lambda _: stop(), models=FakeModels())
    assert store.blobs.has(digest) is noprune


async def test_when_a_model_is_made_anew(client: Client, services: Services, store: Store, noprune: bool) -> None:
    services.keep_old = noprune
    await client.post("/api/create", {"model": "m", "from": "tiny", "system": "first"})
    (old,) = store.get(named("m")).of_type(layers.SYSTEM)
    await client.post("/api/create", {"model": "m", "from": "tiny", "system": "second"})
    assert store.blobs.has(old.digest) is noprune


async def test_when_a_model_is_pulled_anew(
    client: Client, services: Services, store: Store, monkeypatch: pytest.MonkeyPatch, noprune: bool
) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    services.keep_old = noprune
    services.registries = Registries(store, OPTIONS)
    with Registry() as registry:
        request: dict[str, object] = {"model": f"{registry.host}/library/m", "insecure": True}
        old = registry.put(b"first")
        for digest in (old, registry.put(b"second")):
            registry.add("library/m", {digest: MODEL})
            assert (await client.post("/api/pull", request)).lines[-1] == {"status": "success"}
        services.registries.close()
    assert store.blobs.has(old) is noprune
