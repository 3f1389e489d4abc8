"""A folder of safetensors made into a GGUF: how long it takes, and how much memory.

The model is a Llama of random weights with SmolLM2's tokenizer, on a disk that has it in memory after the
first round. Both sides are whole processes with the start of Python; lcrt's is the one that ``lcrt create``
starts. The peer is llama.cpp's ``convert_hf_to_gguf.py`` of the pinned version, which no build fetches:
``--script`` and ``--python`` say where it is and which Python has what it imports (torch, transformers,
sentencepiece, gguf). Without them lcrt is measured alone, against ``cp``. ``--same`` compares the files.
"""

import argparse
import contextlib
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench.peers import SMOL
from bench.rounds import alternate, arguments, table
from lcrt.gguf.reader import Header, read_header
from tests.convert import rebuilt
from tests.convert.folders import encoded, write_json

WIDTH, N_HEADS, N_KV_HEADS, FEED_FORWARD = 2048, 32, 4, 5632
KV_WIDTH = WIDTH // N_HEADS * N_KV_HEADS
LAYER = {
    "input_layernorm": (WIDTH,),
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (KV_WIDTH, WIDTH),
    "self_attn.v_proj": (KV_WIDTH, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "post_attention_layernorm": (WIDTH,),
    "mlp.gate_proj": (FEED_FORWARD, WIDTH),
    "mlp.up_proj": (FEED_FORWARD, WIDTH),
    "mlp.down_proj": (WIDTH, FEED_FORWARD),
}
NUMBER_LEN = {"BF16": 2, "F32": 4}
KINDS = (("BF16", "BF16"), ("F32", "F16"))
"""Types of the source and of the file."""
LOOK_EVERY = 0.01
N_RANDOM = 1 << 20


def write_model(folder: Path, dtype: str, n_layers: int) -> int:
    """Make a model; returns the bytes of its weights."""
    folder.mkdir()
    header = read_header(SMOL)
    rebuilt.write_tokenizer(folder, header)
    config = rebuilt.config(header) | {
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": n_layers,
        "num_attention_heads": N_HEADS,
        "num_key_value_heads": N_KV_HEADS,
    }
    write_json(folder / "config.json", config)
    n_tokens = int(str(config["vocab_size"]))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (n_tokens, WIDTH), "model.norm.weight": (WIDTH,)}
    shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(n_layers) for name, shape in LAYER.items()}
    return write_weights(folder / "model.safetensors", shapes, dtype)


def write_weights(path: Path, shapes: dict[str, tuple[int, ...]], dtype: str) -> int:
    """Write one block of random numbers again and again, which is as good as others here."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * NUMBER_LEN[dtype]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(entries).encode()
    block = encoded(np.random.default_rng(1).normal(0, 0.02, N_RANDOM).astype(np.float32), dtype)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for left in range(end, 0, -len(block)):
            file.write(block[:left])
    return end


def run(argv: list[str], output: Path, peaks: list[float]) -> float:
    """Time a process; its most memory, looked at often, goes to ``peaks`` in MiB."""
    output.unlink(missing_ok=True)
    peak = 0
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said) as process:
            while process.poll() is None:
                peak = max(peak, memory(process.pid))
                time.sleep(LOOK_EVERY)
        took = time.perf_counter() - start
        if process.returncode or not output.exists():
            said.seek(0)
            raise RuntimeError(said.read().decode("utf-8", "replace")[-2000:])
    peaks.append(peak / 1024)
    return took


def memory(pid: int) -> int:
    """The most KiB that a process had so far, 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def contenders(
    folder: Path, file_type: str, output: Path, options: argparse.Namespace
) -> tuple[dict[str, Callable[[], float]], dict[str, list[float]]]:
    """What takes part, and where each leaves its memory."""
    task = json.dumps({"folder": str(folder), "output": str(output / "lcrt.gguf"), "file_type": file_type})
    commands = {
        "lcrt": ([sys.executable, "-P", "-m", "lcrt.convert.process", task], output / "lcrt.gguf"),
        "cp": (["cp", str(folder / "model.safetensors"), str(output / "copy")], output / "copy"),
    }
    if options.script:
        peer = output / "peer.gguf"
        argv = [options.python, options.script, str(folder), "--outfile", str(peer), "--outtype", file_type.lower()]
        commands["llama.cpp"] = (argv, peer)
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    return {name: partial(run, argv, path, peaks[name]) for name, (argv, path) in commands.items()}, peaks


def body(header: Header) -> dict[str, str]:
    """Digests of the weights of a file, by their names."""
    found = {}
    with header.path.open("rb") as file:
        for tensor in header.tensors:
            file.seek(header.data_offset + tensor.offset)
            found[tensor.name] = hashlib.sha256(file.read(tensor.size)).hexdigest()
    return found


def main() -> None:
    """Measure every kind."""
    parser = arguments("conversion of safetensors", rounds=3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--script", help="the peer's convert_hf_to_gguf.py")
    parser.add_argument("--python", default=sys.executable, help="the Python that runs it")
    parser.add_argument("--same", action="store_true", help="compare the weights of both files")
    options = parser.parse_args()
    for dtype, file_type in KINDS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            size = write_model(folder, dtype, options.layers)
            measures, peaks = contenders(folder, file_type, Path(scratch), options)
            samples = alternate(measures, options.rounds)
            print(table(f"{dtype} to {file_type}, {size / 1e9:.2f} GB", samples, "lcrt", "s"))
            rates = {name: [size / 1e9 / took for took in values] for name, values in samples.items()}
            print(table("rate of the source", rates, "lcrt", "GB/s"))
            print(table("most memory", peaks, "lcrt", "MiB"))
            if options.same and options.script:
                ours, theirs = (body(read_header(Path(scratch) / f"{name}.gguf")) for name in ("lcrt", "peer"))
                print("weights are the same" if ours == theirs else "weights DIFFER")


if __name__ == "__main__":
    main()
