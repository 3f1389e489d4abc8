"""One load client for every server, over lcrt's own ``lcrt.client.load``."""

import asyncio

from lcrt.client.load import Plan, Report, drive
from lcrt.config.address import Address


def chat(  # noqa: PLR0913 -- the axes of a load
    url: str,
    model: str,
    *,
    streams: int = 1,
    requests: int | None = None,
    prompt: int = 32,
    tokens: int = 128,
    seed: int = 0,
) -> Report:
    """Chat through the OpenAI endpoint, greedy, answers of exactly ``tokens`` tokens."""
    plan = Plan(
        Address.parse(url),
        model,
        "openai",
        streams,
        requests or streams,
        prompt,
        tokens,
        seed,
        extra={"temperature": 0, "ignore_eos": True, "cache_prompt": True},
    )
    report = asyncio.run(drive(plan))
    if report.n_failed:
        raise RuntimeError(f"{url}: {report.errors}")
    return report


def warm(url: str, model: str) -> None:
    """Load the model and let the server measure itself."""
    chat(url, model, streams=2, requests=4, prompt=64, tokens=16, seed=99)
