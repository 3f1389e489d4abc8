"""A request for one token: what the servers add to the engine itself."""

import itertools

from bench.load import chat, warm
from bench.peers import SMOL, lcrt_bench, lcrt_server, llama_server, one_layer
from bench.rounds import alternate, arguments, table


def main() -> None:
    """Run the rounds and print the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--requests", type=int, default=50)
    options = parser.parse_args()
    threads = str(options.threads)
    model = one_layer(SMOL)
    seeds = itertools.count()

    lengths: list[int] = []

    def latency(url: str) -> float:
        report = chat(url, "m", requests=options.requests, prompt=16, tokens=1, seed=next(seeds))
        lengths.append(round(report.n_prompt / report.n_requests))
        return report.latency.p50 * 1e3

    def engine() -> float:
        return lengths[0] / lcrt_bench(model, "-p", str(lengths[0]), "-n", "0", "-t", threads)["prefill"] * 1e3

    with (
        lcrt_server({"m": model}, options.threads, LCRT_NUM_PARALLEL="1") as (ours, _),
        llama_server(model, "-t", threads, "-np", "1", "-c", "4096") as (theirs, _),
    ):
        warm(ours, "m")
        warm(theirs, "m")
        samples = alternate(
            {"lcrt": lambda: latency(ours), "llama-server": lambda: latency(theirs), "engine alone": engine},
            options.rounds,
        )
    print(table("one-token request, 1 layer, p50", samples, "lcrt", "ms"))


if __name__ == "__main__":
    main()
