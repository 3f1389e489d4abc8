"""Creations that take a while: a base that is pulled first, weights that are quantized, a client that leaves."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.core.name import ModelName
from lcrt.gguf import keys
from lcrt.gguf.reader import read_header
from lcrt.modelfile import quantize
from lcrt.registry.options import Options
from lcrt.registry.service import Registries
from lcrt.server.services import Services
from lcrt.store import layers
from lcrt.store.store import Store
from tests.modelfile import wide
from tests.registry.server import MODEL, Registry
from tests.server.wire import Client
from tests.store.models import put

pytestmark = pytest.mark.anyio

PATH = "/api/create"
WEIGHTS = wide.model()


@pytest.fixture
def registry(services: Services) -> Iterator[Registry]:
    """Stands in for the default one, and has the model ``far``."""
    with Registry() as made:
        made.add("library/far", {made.put(WEIGHTS): MODEL})
        mirrors = (("registry.ollama.ai", f"http://{made.host}"),)
        services.registries = Registries(services.store, Options(mirrors=mirrors, first_wait=0.001, tries=1))
        yield made
        services.registries.close()


async def test_a_base_that_is_missing_is_pulled_and_quantized(client: Client, registry: Registry, store: Store) -> None:
    del registry
    reply = await client.post(PATH, {"model": "m", "from": "far", "quantize": "q8_0"})
    told = [str(line["status"]) for line in reply.lines]
    assert told[0] == "pulling manifest"
    assert told.index("quantizing F32 model to Q8_0") > told.index("verifying sha256 digest")
    assert told[-2:] == ["writing manifest", "success"]
    assert store.find(ModelName.parse("far")) is not None
    (layer,) = store.get(ModelName.parse("m")).of_type(layers.MODEL)
    assert keys.quantization(read_header(store.blobs.path(layer.digest))) == "Q8_0"


async def test_a_base_that_is_nowhere_is_an_error_line(client: Client, registry: Registry, store: Store) -> None:
    del registry
    reply = await client.post(PATH, {"model": "m", "from": "127.0.0.1:9/library/none"})
    assert (reply.status, reply.lines[0]) == (200, {"status": "pulling manifest"})
    assert str(reply.lines[-1]["error"]).startswith("pull model manifest: ")
    assert store.find(ModelName.parse("m")) is None


async def test_numbers_of_the_progress_go_over_the_wire(client: Client, store: Store) -> None:
    body = {"model": "m", "files": {"m.gguf": put(store, WEIGHTS).digest}, "quantize": "Q4_K_M"}
    reply = await client.post(PATH, body)
    told = [line for line in reply.lines if line["status"] == "quantizing F32 model to Q4_K_M" and "total" in line]
    assert told[-1]["completed"] == told[-1]["total"]
    assert {line["digest"] for line in told} == {"0" * 19}


async def test_when_the_client_leaves_the_work_ends_and_nothing_stays(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless.py").write_text(
        "import os, sys, time\nfrom lcrt.task.child import Said, say, serve\n"
        f"def work(task):\n    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    say(Said(completed=1, total=9))\n    time.sleep(60)\nserve(work, dict)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(quantize, "_MODULE", "endless")
    digest = put(store, WEIGHTS).digest
    reader, writer = await client.connect()
    body = b'{"model":"m","files":{"m.gguf":"%s"},"quantize":"q4_0"}' % digest.encode()
    writer.write(b"POST /api/create HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    while b'"completed":1' not in await reader.readuntil(b"\n"):
        pass
    writer.close()
    pid = int((tmp_path / "pid").read_text())
    await asyncio.to_thread(_wait_for_the_end, pid, store)
    assert store.find(ModelName.parse("m")) is None


def _wait_for_the_end(pid: int, store: Store) -> None:
    while Path(f"/proc/{pid}").exists() or any(store.blobs.directory.glob(".new-*")):
        pass
