"""A checkpoint on a hub, pulled by the command through a daemon that is killed on the way, and asked."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lcrt.registry.partial import come_so_far
from lcrt.store.store import Store
from tests.convert import folders_models as models
from tests.e2e.conftest import Daemon, lcrt, start_daemon, stop_daemon
from tests.registry.hub import Hub
from tests.registry.server import Registry, digest_of, stall

NAME = "hf.co/org/repo"
SENT = 5 << 20
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with a model of random weights, 13 MB of them."""
    models.write(tmp_path / "repo", models.config("llama", intermediate_size=4096))
    with Registry() as storage, Hub(storage) as made:
        made.files["org/repo"] = {path.name: path.read_bytes() for path in (tmp_path / "repo").iterdir()}
        yield made


@pytest.fixture
def start(hub: Hub, tmp_path: Path) -> Iterator[Callable[[], Daemon]]:
    """Start a daemon that asks this hub."""
    started: list[Daemon] = []

    def run() -> Daemon:
        started.append(start_daemon(tmp_path, HF_ENDPOINT=f"http://{hub.host}"))
        return started[-1]

    yield run
    for each in started:
        stop_daemon(each)


def test_a_killed_pull_of_a_checkpoint_goes_on_is_converted_and_answers(
    hub: Hub, start: Callable[[], Daemon], tmp_path: Path
) -> None:
    daemon = start()
    digest = digest_of(hub.files["org/repo"][WEIGHTS])
    partial = Store(tmp_path / "models").blobs.partial(digest)
    hub.storage.always = stall(SENT)
    with subprocess.Popen(
        [sys.executable, "-m", "lcrt", "pull", NAME], env=daemon.env, stderr=subprocess.PIPE
    ) as client:
        while come_so_far(partial) < SENT - (1 << 20):
            assert client.poll() is None
            time.sleep(0.01)
        daemon.process.send_signal(signal.SIGKILL)
        assert client.wait(20) == 1
    daemon.process.wait()
    came = come_so_far(partial)

    hub.storage.always = None
    hub.storage.asked.clear()
    daemon = start()
    done = lcrt(daemon.env, "pull", NAME)
    assert done.returncode == 0, done.stderr
    assert "converting model" in done.stderr
    assert min(asked.range[0] for asked in hub.storage.of("GET", digest) if asked.range) == came

    reply = httpx.post(daemon.url + "/api/generate", json={"model": NAME, "prompt": "a", "stream": False}, timeout=60)
    assert reply.json()["done"] is True
    assert reply.json()["eval_count"] > 0
    hub.storage.asked.clear()
    assert lcrt(daemon.env, "pull", NAME).returncode == 0
    assert hub.storage.asked == []


def test_what_cannot_be_converted_is_told_by_the_command(hub: Hub, start: Callable[[], Daemon]) -> None:
    hub.files["org/repo"]["config.json"] = b'{"architectures": ["FooForCausalLM"]}'
    done = lcrt(start().env, "pull", NAME)
    assert done.returncode == 1
    assert 'unsupported architecture "FooForCausalLM"' in done.stderr
    assert "look for a GGUF of this model" in done.stderr
