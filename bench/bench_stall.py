"""The longest gap in a running stream while a prompt of 2000 tokens arrives, and how fast that prompt is computed."""

import concurrent.futures
import itertools
import time
from functools import partial

from bench.load import chat, warm
from bench.peers import SMOL, lcrt_server, llama_server
from bench.rounds import alternate, arguments, table


def stall(url: str, seed: int, *, prompt: int) -> tuple[float, float]:
    """Longest gap of the stream and time to the newcomer's first token, both in milliseconds."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(chat, url, "m", prompt=16, tokens=600, seed=seed)
        time.sleep(0.5)
        newcomer = chat(url, "m", prompt=prompt, tokens=1, seed=seed + 1)
        return running.result().itl.max * 1e3, newcomer.ttft.max * 1e3


def main() -> None:
    """Run the rounds and print the tables."""
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--prompt", type=int, default=1950)
    options = parser.parse_args()
    threads = str(options.threads)
    seeds = itertools.count(0, 2)
    flags = ("-t", threads, "-np", "4", "-c", "16384")
    newcomers: dict[str, list[float]] = {}
    with (
        lcrt_server({"m": SMOL}, options.threads, LCRT_NUM_PARALLEL="4") as (ours, _),
        llama_server(SMOL, *flags) as (default, _),
        llama_server(SMOL, *flags, "-b", "128", "-ub", "128") as (tuned, _),
    ):
        urls = {"lcrt": ours, "llama-server": default, "llama-server -b 128": tuned}
        for url in urls.values():
            warm(url, "m")

        def gap(name: str) -> float:
            longest, first = stall(urls[name], next(seeds), prompt=options.prompt)
            newcomers.setdefault(name, []).append(first)
            return longest

        def alone(url: str) -> float:
            return chat(url, "m", prompt=options.prompt, tokens=1, seed=next(seeds)).ttft.max * 1e3

        samples = alternate({name: partial(gap, name) for name in urls}, options.rounds)
        undisturbed = alternate({name: partial(alone, url) for name, url in urls.items()}, options.rounds)
    print(table("longest gap in the stream", samples, "lcrt", "ms"))
    print(table("first token of the newcomer, beside the stream", newcomers, "lcrt", "ms"))
    print(table("first token of the same prompt alone", undisturbed, "lcrt", "ms"))


if __name__ == "__main__":
    main()
