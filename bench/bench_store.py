"""The store as people wait for it: a list of 1,000 models, and a model made of a file.

``lcrt list`` is the whole command with the start of Python, against a daemon that has read the models
once; ``--models`` says how many. A model is made of SmolLM2's file (98 MB) through a daemon on the same
machine, copied and linked, against ``cp`` and then ``sha256sum``, which computes no model and syncs
nothing. The last table is the first list of a new daemon, from its first answer on: in a store where the
models' headers were read before, by whatever process, and in one where nobody has.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from bench.peers import ROOT, SMOL, free_port, running
from bench.rounds import alternate, arguments, table
from lcrt.core.request import CreateRequest
from lcrt.gguf.writer import Tensor, write_gguf
from lcrt.modelfile.create import create
from lcrt.store.store import Store

LCRT = str(ROOT / ".venv" / "bin" / "lcrt")
N_TOKENS = 32000
PER_FILE = 5
"""Models that share one file: people keep the same weights with other settings."""


def fill(store: Store, folder: Path, n_models: int) -> None:
    """Make models, each of its own settings; not synced, since nobody waits for that here."""
    tokens = [f"token{i}" for i in range(N_TOKENS)]
    header = {"general.architecture": "llama", "llama.block_count": 1, "tokenizer.ggml.tokens": tokens}
    with mock.patch.object(os, "fsync"):
        for i in range(0, n_models, PER_FILE):
            path = folder / "m.gguf"
            write_gguf(path, header | {"general.name": f"m{i}"}, (Tensor("t", "F32", (8,), bytes(32)),))
            digest = store.take_in(path, lambda _: None).digest
            for n in range(i, min(i + PER_FILE, n_models)):
                request = CreateRequest(f"model{n}", files={"m.gguf": digest}, system=f"You are {n}.")
                for _ in create(store, request):
                    pass
    store.close()


@contextmanager
def daemon(models: Path) -> Iterator[dict[str, str]]:
    """Serve a folder; yields the environment of commands that speak to it."""
    variables = {"LCRT_HOST": f"127.0.0.1:{free_port()}", "LCRT_MODELS": str(models)}
    with running([LCRT, "serve"], f"http://{variables['LCRT_HOST']}/api/version", variables):
        yield os.environ | variables


def seconds(*command: str, env: dict[str, str] | None = None) -> float:
    """Time a command."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=env)
    return time.perf_counter() - started


def tags(env: dict[str, str]) -> float:
    """Time the daemon's answer alone; returns milliseconds."""
    started = time.perf_counter()
    with urllib.request.urlopen(f"http://{env['LCRT_HOST']}/api/tags") as answer:
        json.loads(answer.read())
    return (time.perf_counter() - started) * 1e3


def bench_list(folder: Path, n_models: int, rounds: int) -> None:
    """Time lists."""
    models = folder / "many"
    fill(Store(models), folder, n_models)

    def first(*, noted: bool) -> float:
        if not noted:
            shutil.rmtree(models / ".lcrt" / "notes")
        with daemon(models) as env:
            return tags(env)

    with daemon(models) as env:
        tags(env)
        contenders = {
            "lcrt list": lambda: seconds(LCRT, "list", env=env) * 1e3,
            "lcrt --version": lambda: seconds(LCRT, "--version", env=env) * 1e3,
            "/api/tags": lambda: tags(env),
        }
        print(table(f"list of {n_models} models", alternate(contenders, rounds), "lcrt list", "ms"))
    new = {"/api/tags": lambda: first(noted=True), "headers never read": lambda: first(noted=False)}
    print(table(f"first list of a new daemon, {n_models} models", alternate(new, rounds), "/api/tags", "ms"))


def bench_create(folder: Path, rounds: int) -> None:
    """Time creations; what one made is gone before the next."""
    models, copy = folder / "one", folder / "copy.gguf"
    models.mkdir()
    SMOL.read_bytes()
    with daemon(models) as env:

        def make(*flags: str) -> float:
            took = seconds(LCRT, "create", "m", "--from", str(SMOL), *flags, env=env)
            subprocess.run([LCRT, "rm", "m"], check=True, capture_output=True, env=env)
            assert not list((models / "manifests").rglob("latest"))
            subprocess.run([LCRT, "store", "gc", "--all"], check=True, capture_output=True, env=env)
            os.sync()
            return took * 1e3

        def theirs() -> float:
            took = seconds("cp", str(SMOL), str(copy)) + seconds("sha256sum", str(copy))
            copy.unlink()
            os.sync()
            return took * 1e3

        contenders = {
            "lcrt create": make,
            "lcrt create --link": lambda: make("--link"),
            "cp, sha256sum": theirs,
        }
        size = SMOL.stat().st_size / 1e6
        print(table(f"a model of {SMOL.name}, {size:.0f} MB", alternate(contenders, rounds), "lcrt create", "ms"))


def main() -> None:
    """Run the rounds and print the tables."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--models", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lcrt-bench-", dir=SMOL.parent.parent) as name:
        bench_create(Path(name), options.rounds)
        bench_list(Path(name), options.models, options.rounds)


if __name__ == "__main__":
    main()
