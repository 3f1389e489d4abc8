"""What a JSON schema costs: tokens per second with and without one, and how long a step waits for its masks.

The schema is a list without an end, so that every answer has the same length; prompts, seeds and
sampling are the same with and without. Against llama-server from the same source. The waits are those
of our engine for vocabularies of 49k, 152k and 262k tokens, as far as the files are in build/models:
for 152k a model of random weights is made around ggml-vocab-qwen2.gguf of llama.cpp's source.
"""

import asyncio
import contextlib
import itertools
import json
import random
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from bench.load import warm
from bench.peers import MODELS, SMOL, lcrt_server, llama_server
from bench.rounds import Measure, alternate, arguments, table
from lcrt.chat.render import Prompt
from lcrt.client.load import Plan, drive
from lcrt.config.address import Address
from lcrt.core.format import Format
from lcrt.core.options import Sampling
from lcrt.gguf.reader import read_header
from lcrt.gguf.writer import Plain, Raw, Tensor, write_gguf
from lcrt.native import runtime
from lcrt.native.engine import Engine
from lcrt.native.grammar import Grammar
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from lcrt.runner.grammar import Grammars

ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "kind": {"enum": ["person", "place", "thing"]},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "count": {"type": "integer", "minimum": 1, "maximum": 500},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 16}, "minItems": 1, "maxItems": 4},
        "place": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
        "ok": {"type": "boolean"},
    },
    "required": ["name", "kind", "code", "count", "tags", "place", "ok"],
    "additionalProperties": False,
}
SCHEMA = {"type": "array", "items": ITEM, "minItems": 50}
QWEN2 = MODELS / "ggml-vocab-qwen2.gguf"
GEMMA = MODELS / "gemma-3-270m-q4_k_m.gguf"
N_EMBD, N_FF, N_LAYER = 448, 1216, 4  # half as wide as the smallest Qwen 2.5


def rate(url: str, streams: int, tokens: int, seeds: "itertools.count[int]", *, schema: bool) -> float:
    """Tokens per second of each stream, of answers of one length."""
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "list", "schema": SCHEMA}}}
    extra: dict[str, object] = {"temperature": 0.7, "ignore_eos": not schema, "seed": 1, **(wanted if schema else {})}
    plan = Plan(Address.parse(url), "m", "openai", streams, streams, 32, tokens, next(seeds), extra=extra)
    report = asyncio.run(drive(plan))
    if report.n_failed or report.n_tokens != streams * tokens:
        raise RuntimeError(f"{url}: {report.n_tokens} tokens, {report.errors}")
    return report.decode.mean


def servers(streams: int, tokens: int, rounds: int, threads: int) -> str:
    """Both servers with and without the schema."""
    seeds = itertools.count()
    flags = ("-t", str(threads), "-c", str(1024 * streams), "-np", str(streams))
    with contextlib.ExitStack() as stack:
        variables = {"LCRT_NUM_PARALLEL": str(streams), "LCRT_CONTEXT_LENGTH": "1024"}
        urls = {
            "lcrt": stack.enter_context(lcrt_server({"m": SMOL}, threads, **variables))[0],
            "llama-server": stack.enter_context(llama_server(SMOL, *flags))[0],
        }
        contenders: dict[str, Measure] = {}
        for name, url in urls.items():
            warm(url, "m")
            rate(url, streams, 8, seeds, schema=True)
            contenders[f"{name}, schema"] = partial(rate, url, streams, tokens, seeds, schema=True)
            contenders[name] = partial(rate, url, streams, tokens, seeds, schema=False)
        samples = alternate(contenders, rounds)
    title = f"{streams} streams, {tokens} tokens each, {threads} threads, tokens/s of a stream"
    theirs = {name: samples[name] for name in ("llama-server, schema", "llama-server")}
    return table(title, samples, "lcrt, schema", "tokens/s") + table("", theirs, "llama-server, schema", "tokens/s")


def random_model(vocabulary: Path) -> Path:
    """A small model of random weights around a vocabulary."""
    out = vocabulary.with_name(vocabulary.stem + ".random.gguf")
    if out.exists():
        return out
    header = read_header(vocabulary)
    keys = [key for key in header.metadata if key.startswith("tokenizer.")]
    n_vocab = len(header.array("tokenizer.ggml.tokens"))
    sizes = {"context_length": 4096, "embedding_length": N_EMBD, "block_count": N_LAYER, "feed_forward_length": N_FF}
    heads = {"attention.head_count": 7, "attention.head_count_kv": 7, "attention.layer_norm_rms_epsilon": 1e-5}
    metadata: dict[str, Plain] = {"general.architecture": "llama"}
    metadata |= {f"llama.{key}": value for key, value in (sizes | heads).items()}
    metadata |= {key: Raw(header.raw(key)) for key in keys}
    rng = np.random.default_rng(1)

    def tensor(name: str, *shape: int) -> Tensor:
        kind = np.float32 if len(shape) == 1 else np.float16
        values = rng.normal(1.0 if len(shape) == 1 else 0.0, 0.05, shape[::-1]).astype(kind)
        return Tensor(f"{name}.weight", "F32" if len(shape) == 1 else "F16", shape, values.tobytes())

    tensors = [tensor("token_embd", N_EMBD, n_vocab), tensor("output_norm", N_EMBD)]
    for layer in (f"blk.{i}." for i in range(N_LAYER)):
        tensors += [tensor(f"{layer}{name}_norm", N_EMBD) for name in ("attn", "ffn")]
        tensors += [tensor(f"{layer}attn_{name}", N_EMBD, N_EMBD) for name in ("q", "k", "v", "output")]
        tensors += [tensor(f"{layer}ffn_{name}", N_EMBD, N_FF) for name in ("gate", "up")]
        tensors.append(tensor(f"{layer}ffn_down", N_FF, N_EMBD))
    write_gguf(out, metadata, tensors)
    return out


def waits(path: Path, streams: int, tokens: int, threads: int) -> str:
    """One load on the engine alone: what masks took, and what steps waited for them."""
    with Model(path) as model:
        grammars = Grammars(model)
        context = ContextParams(n_ctx=1024, n_parallel=streams, n_threads=threads)
        with Engine(model, context) as engine:
            for seed in range(streams):
                bound = grammars.compile(Format("schema", json.dumps(SCHEMA)), Prompt(""), think=False)
                prompt = random.Random(seed).choices(range(1000, 2000), k=16)
                sampling = Sampling(seed=seed, temperature=0.7)
                engine.submit(seed, prompt, sampling, max_tokens=tokens, grammar=cast("Grammar", bound.grammar))
            n_left = streams
            while n_left:
                engine.wait(1)
                n_left -= sum(event.finish is not None for event in engine.events())
            stats = engine.stats()
        n_vocab = model.info.n_vocab
    mask, wait = stats.mask / stats.n_masks * 1e6, stats.mask_wait / stats.n_mask_waits * 1e6
    return (
        f"{n_vocab:>8} tokens, {streams} streams: {stats.n_masks} masks, {mask:.1f} us; a step waits {wait:.2f} us, "
        f"its pass takes {stats.decode / stats.n_steps * 1e3:.2f} ms; {stats.n_forced} tokens forced"
    )


def main() -> None:
    """Run everything and print the tables."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--only", choices=("servers", "waits"))
    parser.add_argument("--streams", type=int, nargs="*", default=(1, 8))
    options = parser.parse_args()
    if options.only != "waits":
        for streams in options.streams:
            print(servers(streams, options.tokens, options.rounds, options.threads), flush=True)
    if options.only != "servers":
        runtime.init()
        for path in (SMOL, QWEN2, GEMMA):
            for streams in options.streams if path.exists() else ():
                model = random_model(path) if path == QWEN2 else path
                print(waits(model, streams, options.tokens, options.threads), flush=True)


if __name__ == "__main__":
    main()
