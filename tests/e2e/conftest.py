"""A real daemon with a real small model, for as long as the tests of this folder run."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.native import lora

ROOT = Path(__file__).resolve().parents[2]
SMOL = ROOT / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; a model computes in each of them, on machines that may be busy."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


class Daemon(NamedTuple):
    """Where a daemon listens, its process, and the variables that lead a client to it."""

    url: str
    process: subprocess.Popen[bytes]
    env: dict[str, str]
    log: Path


def lcrt(env: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    argv = [sys.executable, "-m", "lcrt", *arguments]
    return subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_daemon(folder: Path, **variables: str) -> Daemon:
    """Start ``lcrt serve`` with a store in ``folder`` and wait until it answers."""
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LCRT_", "OLLAMA_"))},
        "LCRT_HOST": f"127.0.0.1:{port}",
        "LCRT_MODELS": str(folder / "models"),
        "HOME": str(folder),
        **variables,
    }
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "lcrt", "serve"], env=env, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        try:
            httpx.get(url + "/api/version", timeout=1)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return Daemon(url, process, env, log)
    raise TimeoutError(log.read_text())


def stop_daemon(daemon: Daemon) -> int:
    """Ask the daemon to stop and return its exit code."""
    if daemon.process.poll() is None:
        daemon.process.send_signal(signal.SIGTERM)
    return daemon.process.wait(20)


def add_smollm2(daemon: Daemon, folder: Path) -> None:
    """Register the small chat model as ``smollm2``."""
    modelfile = folder / "Modelfile"
    modelfile.write_text(
        f"FROM {SMOL}\nSYSTEM You are a helpful assistant.\nPARAMETER temperature 0\nPARAMETER seed 1\n"
    )
    made = lcrt(daemon.env, "create", "smollm2", "-f", str(modelfile))
    assert made.returncode == 0, made.stderr


def add_adapter(daemon: Daemon, folder: Path, name: str, adapter: Path | None = None) -> None:
    """Register ``smollm2`` with an adapter under a name; other random numbers for every name."""
    if adapter is None:
        adapter = lora.write_lora(folder / f"{name}.gguf", lora.smol_shapes(), seed=len(name), size=0.08)
    modelfile = folder / f"{name}.Modelfile"
    modelfile.write_text(f"FROM smollm2\nADAPTER {adapter}\n")
    made = lcrt(daemon.env, "create", name, "-f", str(modelfile))
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests that do not break it."""
    folder = tmp_path_factory.mktemp("daemon")
    started = start_daemon(folder, LCRT_NUM_PARALLEL="4")
    add_smollm2(started, folder)
    yield started
    assert stop_daemon(started) == 0, started.log.read_text()
