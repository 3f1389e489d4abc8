"""``lcrt bench``: how fast a model is on this machine, or a server under load."""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lcrt.cli.app import FAILED, OK, UsageError
from lcrt.cli.output.terminal import put, say
from lcrt.config.address import Address
from lcrt.config.settings import load_settings
from lcrt.core.name import ModelName
from lcrt.errors import InvalidRequest, LcrtError, NotFound

if TYPE_CHECKING:
    from lcrt.client.load import Plan
    from lcrt.client.wire import Process

_REQUESTS_PER_STREAM = 4
_REPEATS = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is measured and how it is told."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a model's name, or a GGUF file when no URL is given")
    parser.add_argument("--model", dest="named", metavar="MODEL", help="the same")
    parser.add_argument("--prompt-tokens", type=_count, default=512, metavar="N", help="length of a prompt (512)")
    parser.add_argument("--max-tokens", type=_count, default=128, metavar="N", help="tokens to generate (128)")
    parser.add_argument("--concurrency", type=_count, default=1, metavar="N", help="streams at a time (1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    engine = parser.add_argument_group("the engine on this machine")
    engine.add_argument("--repeat", type=_count, default=_REPEATS, metavar="N", help=f"runs of each kind ({_REPEATS})")
    engine.add_argument("--threads", type=_count, default=0, metavar="N", help="threads (chosen)")
    server = parser.add_argument_group("a server under load")
    server.add_argument("--url", help="where an Ollama or OpenAI server listens")
    server.add_argument("--api", choices=("ollama", "openai"), default="ollama", help="what it speaks (ollama)")
    server.add_argument("--requests", type=_count, metavar="N", help="requests in all (4 a stream)")
    server.add_argument("--seed", type=int, metavar="N", help="the same prompts each time (default: new ones)")
    server.add_argument("--raw", action="store_true", help="send prompts without a chat template")
    server.add_argument("--extra", default="{}", metavar="JSON", help="more fields for every request")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a positive whole number")
    return int(text)


def run(given: argparse.Namespace) -> int:
    """Measure the engine, or with a URL a server."""
    model = given.model or given.named
    if not model:
        raise UsageError("name a model\nRun 'lcrt bench --help' for usage.")
    return _load(given, model) if given.url else _engine(given, model)


def _load(given: argparse.Namespace, model: str) -> int:
    import asyncio

    from lcrt.client.load import Plan, as_text, drive

    seed = given.seed if given.seed is not None else time.time_ns() % 10**9
    plan = Plan(
        address=_address(given.url),
        model=model,
        api=given.api,
        concurrency=given.concurrency,
        n_requests=given.requests or given.concurrency * _REQUESTS_PER_STREAM,
        n_prompt=given.prompt_tokens,
        max_tokens=given.max_tokens,
        seed=seed,
        raw=given.raw,
        extra=_extra(given.extra),
    )
    say(f"{plan.n_requests} requests, {plan.concurrency} at a time, to {plan.address} (seed {seed})")
    before = _loaded(plan)
    report = asyncio.run(drive(plan))
    after = _loaded(plan)
    found = _since(before.cached_tokens, after.cached_tokens)
    guessed = _since(before.drafted_tokens, after.drafted_tokens)
    if given.json:
        put(_json({"seed": seed, **msgspec.structs.asdict(report), "cached_tokens": found, "drafted_tokens": guessed}))
    else:
        put(as_text(report))
        if any(found.values()):
            put(f"{'found':20}" + ", ".join(f"{n} {tier}" for tier, n in found.items()) + " (prompt tokens)\n")
        if guessed["drafted"]:
            put(f"{'guessed':20}{guessed['drafted']} tokens, {guessed['accepted']} of them right\n")
    return FAILED if report.n_failed else OK


def _since(before: msgspec.Struct, after: msgspec.Struct) -> dict[str, int]:
    """What counters have risen by."""
    return {name: n - getattr(before, name) for name, n in msgspec.structs.asdict(after).items()}


def _loaded(plan: "Plan") -> "Process":
    """What the model's runner has counted so far; nothing where the server does not tell."""
    from lcrt.client.api import Api
    from lcrt.client.wire import Process

    try:
        models = Api(plan.address).processes() if plan.api == "ollama" else []
        name = ModelName.parse(plan.model).short
    except (LcrtError, ValueError):
        return Process(plan.model)
    return next((model for model in models if model.name == name), Process(plan.model))


def _address(text: str) -> Address:
    try:
        return Address.parse(text).for_client
    except ValueError as error:
        raise UsageError(f"cannot use --url {text}: {error}") from error


def _extra(text: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise UsageError(f"--extra must be a JSON object: {error}") from error


def _engine(given: argparse.Namespace, model: str) -> int:
    path = _file(model)
    from lcrt.cli.measure import Load, as_text, measure

    load = Load(
        n_prompt=given.prompt_tokens,
        n_generate=given.max_tokens,
        n_streams=given.concurrency,
        n_repeats=given.repeat,
        n_threads=given.threads,
    )
    measured = measure(path, load)
    put(_json(msgspec.structs.asdict(measured)) if given.json else as_text(measured))
    return OK


def _file(model: str) -> Path:
    """Find the weights of a model of the store, or take the path of a file."""
    path = Path(model).expanduser()
    if path.is_file():
        return path
    from lcrt.modelfile.catalog import Catalog
    from lcrt.store.store import Store

    try:
        name = ModelName.parse(model)
    except ValueError as error:
        raise InvalidRequest(f"`{model}` is neither a file nor the name of a model") from error
    found = Catalog(Store(load_settings(os.environ).models)).find(name)
    if found is None or not found.model:
        raise NotFound(f"model '{name.short}' not found")
    return Path(found.model)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"
