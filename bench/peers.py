"""The rivals that lcrt is measured against, built by ``make peers`` from the same pinned source."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "peers" / "bin"
MODELS = ROOT / "build" / "models"
SMOL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_ready(url: str, process: subprocess.Popen[bytes], timeout: float = 60.0) -> None:
    """Return when ``url`` answers 200; raise when the process ends or time is up."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"server ended with code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.005)
    raise TimeoutError(url)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process we started: politely, then not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(argv: Sequence[str], health: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server process for the length of a block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        try:
            wait_ready(health, process)
            yield process
        finally:
            stop(process)


@contextmanager
def llama_server(model: Path, *flags: str) -> Iterator[tuple[str, int]]:
    """llama-server on a free port: its base URL and process id."""
    port = free_port()
    argv = [str(PEERS / "llama-server"), "-m", str(model), "--port", str(port), "--no-webui", *flags]
    with running(argv, f"http://127.0.0.1:{port}/health") as process:
        yield f"http://127.0.0.1:{port}", process.pid


@contextmanager
def lcrt_server(models: dict[str, Path], threads: int = 2, **env: str) -> Iterator[tuple[str, int]]:
    """``lcrt serve`` with a store of its own that holds ``models``: its base URL and process id."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="lcrt-bench-") as store:
        variables = {"LCRT_HOST": f"127.0.0.1:{port}", "LCRT_MODELS": store, "LCRT_CACHE_DISK": "0", **env}
        lcrt = [str(ROOT / ".venv" / "bin" / "lcrt")]
        with running([*lcrt, "serve"], url + "/api/version", variables) as process:
            for name, path in models.items():
                lcrt_create(url, Path(store), name, path, threads)
            yield url, process.pid


def lcrt_create(url: str, folder: Path, name: str, path: Path, threads: int) -> None:
    """Give the daemon at ``url`` a model; ``folder`` takes its Modelfile."""
    modelfile = folder / f"{name}.Modelfile"
    modelfile.write_text(f"FROM {path.resolve()}\nPARAMETER num_thread {threads}\n")
    subprocess.run(
        [str(ROOT / ".venv" / "bin" / "lcrt"), "create", name, "-f", str(modelfile)],
        check=True,
        capture_output=True,
        env={**os.environ, "LCRT_HOST": url.removeprefix("http://")},
    )


def lcrt_bench(model: Path, *flags: str) -> dict[str, float]:
    """Tokens per second by test of our own engine with no Python around it."""
    program = ROOT / "build" / "dev" / "bin" / "lcrt-bench"
    out = subprocess.run(
        [str(program), "-m", str(model), *flags, "--json"], check=True, capture_output=True, text=True
    ).stdout
    return {row["test"]: float(row["tokens_per_second"]) for row in json.loads(out)}


def llama_bench(model: Path, threads: int, *, depth: int, generate: int = 128) -> float:
    """Tokens per second of llama-bench, decoding behind a prompt of ``depth`` tokens."""
    flags = f"-t {threads} -p 0 -n {generate} -d {depth} -r 1 -o json"
    return float(json.loads(program("llama-bench", model, flags))[0]["avg_ts"])


def batched_bench(model: Path, threads: int, streams: int, *, prompt: int, generate: int) -> float:
    """Generated tokens per second, prefill included, of llama-batched-bench: the bare loop, its better KV layout."""
    flags = (
        f"-t {threads} -c {(prompt + generate) * streams + 256} -b 2048 -ub 512 -npp {prompt} -ntg {generate} "
        f"-npl {streams} --output-format jsonl"
    )
    rates: list[float] = []
    for layout in ("", " -kvu"):
        out = program("llama-batched-bench", model, flags + layout)
        row = [json.loads(line) for line in out.splitlines() if line.startswith("{")][-1]
        rates.append(streams * generate / (float(row["t_pp"]) + float(row["t_tg"])))
    return max(rates)


def program(name: str, model: Path, flags: str) -> str:
    """What one of llama.cpp's programs prints."""
    argv = [str(PEERS / name), "-m", str(model), *flags.split()]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def one_layer(model: Path) -> Path:
    """The model with all layers but the first removed: what is left of a step is overhead."""
    out = MODELS / f"{model.stem}.1-layer.gguf"
    if not out.exists():
        layers = ",".join(str(i) for i in range(1, 30))
        quantize = str(PEERS / "llama-quantize")
        subprocess.run(
            [quantize, "--allow-requantize", "--prune-layers", layers, str(model), str(out), "Q4_1"],
            check=True,
            capture_output=True,
        )
    return out


def requantised(model: Path, kind: str) -> Path:
    """The model in another weight format, say Q4_0."""
    out = MODELS / f"{model.stem.rsplit('.', 1)[0]}.{kind}.gguf"
    if not out.exists():
        subprocess.run(
            [str(PEERS / "llama-quantize"), "--allow-requantize", str(model), str(out), kind],
            check=True,
            capture_output=True,
        )
    return out
