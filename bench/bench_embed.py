"""Embeddings over HTTP: texts a second against llama-server, in one request and as single requests.

llama-server runs with each setting that was best for one of the loads; every setting is a contender. The
vectors of both servers are compared: the lowest cosine is printed under each table.
"""

import contextlib
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.embed_load import embed, n_tokens, texts, vectors
from bench.peers import MODELS, lcrt_server, llama_server
from bench.rounds import Measure, alternate, arguments, table

MINILM = MODELS / "all-MiniLM-L6-v2.f16.gguf"
RIVALS = {
    "": (),
    " -np 32": ("-np", "32"),
    " -np 32 -ub 256": ("-np", "32", "-b", "256", "-ub", "256"),
}
SHORT, LONG = (3, 15), (20, 200)
Load = tuple[int, tuple[int, int], int, int]
"""Texts, their words, texts of one request, requests at a time."""


def lowest_cosine(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """Of the pairs of vectors in the same places."""
    return min(
        sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        for a, b in zip(ours, theirs, strict=True)
    )


def measure(title: str, urls: dict[str, str], load: Load, rounds: int) -> str:
    """Run one load against all servers; a table, and what the vectors have in common."""
    n, words, per, at = load
    seeds = dict.fromkeys(urls, 0)

    def rate(name: str) -> float:
        seeds[name] += 1
        seconds, _ = embed(urls[name], texts(n, words, seeds[name]), per_request=per, concurrency=at)
        return n / seconds

    contenders: dict[str, Measure] = {name: partial(rate, name) for name in urls}
    samples = alternate(contenders, rounds)
    sample = texts(min(n, 200), words, 0)
    answers = {name: embed(url, sample, per_request=per, concurrency=at)[1] for name, url in urls.items()}
    ours = vectors(answers["lcrt"])
    lowest = min(lowest_cosine(ours, vectors(answer)) for name, answer in answers.items() if name != "lcrt")
    tokens = n_tokens(answers["lcrt"]) / len(sample)
    return table(title, samples, "lcrt", "texts/s") + f"{tokens:.1f} tokens a text, lowest cosine {lowest:.7f}\n"


def main() -> None:
    """Run the loads and print a table for each."""
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--model", type=Path, default=MINILM)
    parser.add_argument("--texts", type=int, default=2000, help="short texts; a tenth of it are the long ones")
    options = parser.parse_args()
    n, rounds = options.texts, options.rounds
    with contextlib.ExitStack() as stack:
        urls = {"lcrt": stack.enter_context(lcrt_server({"m": options.model}, options.threads))[0]}
        for name, flags in RIVALS.items():
            started = llama_server(options.model, "--embeddings", "-t", str(options.threads), *flags)
            urls["llama-server" + name] = stack.enter_context(started)[0]
        for url in urls.values():
            embed(url, texts(64, SHORT, 99), per_request=1, concurrency=8)
        print(measure(f"{n} short texts, one request", urls, (n, SHORT, n, 1), rounds), flush=True)
        print(measure(f"{n} short texts, 32 requests at a time", urls, (n, SHORT, 1, 32), rounds), flush=True)
        print(measure(f"{n // 10} long texts, one request", urls, (n // 10, LONG, n // 10, 1), rounds), flush=True)
        print(measure(f"{n // 10} long texts, 8 requests at a time", urls, (n // 10, LONG, 1, 8), rounds), flush=True)


if __name__ == "__main__":
    main()
