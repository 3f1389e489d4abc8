"""Weights given another type: ``lcrt create --quantize`` against llama.cpp's ``llama-quantize``.

SmolLM2's weights are made F16 once, by the peer. Then each round has the peer make a file of that one, and
``lcrt create`` a model of one in its store, through a daemon: that is the same work in llama.cpp, and on top
the start of Python, of the daemon's child, the digest of the result and its way to the disk. The last line
is the child alone. Rates count bytes of the source.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.bench_store import LCRT, daemon, seconds
from bench.peers import PEERS, SMOL
from bench.rounds import alternate, arguments, table
from lcrt.core.request import CreateRequest
from lcrt.gguf.types import FILE_TYPES
from lcrt.modelfile.create import create
from lcrt.store.store import Store

PEER = str(PEERS / "llama-quantize")
KINDS = ("Q8_0", "Q4_K_M", "IQ4_XS")
_CHILD = "lcrt.modelfile.quantize_child"


def stored(models: Path, path: Path) -> None:
    """Make the model ``base`` of a file."""
    store = Store(models)
    taken = store.take_in(path, lambda _: None)
    for _ in create(store, CreateRequest("base", files={"m.gguf": taken.digest})):
        pass
    store.close()


def made(kind: str, env: dict[str, str]) -> float:
    """Time a creation; what it made is gone before the next."""
    took = seconds(LCRT, "create", "m", "--from", "base", "-q", kind, env=env)
    subprocess.run([LCRT, "rm", "m"], check=True, capture_output=True, env=env)
    os.sync()
    return took


def written(output: Path, *command: str) -> float:
    """Time a process that writes a file; the file is gone before the next."""
    took = seconds(*command)
    output.unlink()
    os.sync()
    return took


def child(source: Path, output: Path, kind: str) -> list[str]:
    """The process that the daemon starts."""
    number = next(number for number, name in FILE_TYPES.items() if name == kind)
    task = {"source": str(source), "target": str(output), "file_type": number}
    return [sys.executable, "-P", "-m", _CHILD, json.dumps(task)]


def main() -> None:
    """Run the rounds and print a table for each type."""
    options = arguments(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory(prefix="lcrt-bench-", dir=SMOL.parent.parent) as name:
        source, theirs, ours = Path(name) / "f16.gguf", Path(name) / "theirs.gguf", Path(name) / "ours.gguf"
        subprocess.run([PEER, "--allow-requantize", str(SMOL), str(source), "F16"], check=True, capture_output=True)
        stored(Path(name) / "models", source)
        size = source.stat().st_size / 1e6
        with daemon(Path(name) / "models") as env:
            for kind in KINDS:
                peer = [PEER, str(source), str(theirs), kind, str(options.threads)]
                contenders = {
                    "lcrt create": partial(made, kind, env),
                    "llama-quantize": partial(written, theirs, *peer),
                    "the child alone": partial(_alone, child(source, ours, kind), ours),
                }
                samples = alternate(contenders, options.rounds)
                rates = {who: [size / took for took in values] for who, values in samples.items()}
                print(table(f"{size:.0f} MB of F16 to {kind}", rates, "lcrt create", "MB/s of the source"))


def _alone(command: list[str], output: Path) -> float:
    """Run the child as a parent does, with a pipe that stays open for as long as it works."""
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        return written(output, *command)
    finally:
        os.dup2(saved, 0)
        for fd in (reading, writing, saved):
            os.close(fd)


if __name__ == "__main__":
    main()
