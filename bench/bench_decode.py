"""One stream over HTTP, 128 tokens: lcrt and llama-server against llama-bench, which has no server."""

import itertools

from bench.load import chat, warm
from bench.peers import SMOL, lcrt_server, llama_bench, llama_server
from bench.rounds import alternate, arguments, table


def main() -> None:
    """Run the rounds and print the table."""
    options = arguments(__doc__ or "").parse_args()
    threads = str(options.threads)
    seeds = itertools.count()
    with (
        lcrt_server({"m": SMOL}, options.threads, LCRT_NUM_PARALLEL="1") as (ours, _),
        llama_server(SMOL, "-t", threads, "-np", "1", "-c", "4096") as (theirs, _),
    ):
        warm(ours, "m")
        warm(theirs, "m")

        depths: list[int] = []

        def rate(url: str) -> float:
            report = chat(url, "m", tokens=128, seed=next(seeds))
            depths.append(report.n_prompt)
            return report.decode.p50

        samples = alternate(
            {
                "lcrt": lambda: rate(ours),
                "llama-server": lambda: rate(theirs),
                "llama-bench": lambda: llama_bench(SMOL, options.threads, depth=depths[-1]),
            },
            options.rounds,
        )
    print(table("decode, one stream, 128 tokens", samples, "lcrt", "tokens/s"))


if __name__ == "__main__":
    main()
