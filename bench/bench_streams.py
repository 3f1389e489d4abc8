"""Many streams with distinct prompts: aggregated tokens per second of whole loads.

Rivals: llama-server with its defaults, with ``-np N`` and with ``-np N -kvu``; and llama-batched-bench,
the bare loop over libllama, whose prompt and generation times are added up the same way.
``--one-layer`` takes the model with one layer, which leaves little but overhead.
"""

import contextlib
import itertools
from functools import partial

from bench.load import chat, warm
from bench.peers import SMOL, batched_bench, lcrt_server, llama_server, one_layer
from bench.rounds import Measure, alternate, arguments, table


def main() -> None:
    """Run the rounds and print the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--one-layer", action="store_true")
    options = parser.parse_args()
    model = one_layer(SMOL) if options.one_layer else SMOL
    n, threads = options.streams, str(options.threads)
    seeds = itertools.count()

    lengths: list[int] = []

    def rate(url: str) -> float:
        report = chat(url, "m", streams=n, tokens=options.tokens, prompt=32, seed=next(seeds))
        lengths.append(report.n_prompt // n)
        return report.tokens_per_second

    def bare() -> float:
        return batched_bench(model, options.threads, n, prompt=lengths[-1], generate=options.tokens)

    flags = ("-t", threads, "-c", str(1024 * n))
    rivals = {"": (), " -np N": ("-np", str(n)), " -kvu": ("-np", str(n), "-kvu")}
    with contextlib.ExitStack() as stack:
        served = lcrt_server({"m": model}, options.threads, LCRT_NUM_PARALLEL=str(n), LCRT_CONTEXT_LENGTH="1024")
        urls = {"lcrt": stack.enter_context(served)[0]}
        for name, more in rivals.items():
            urls["llama-server" + name] = stack.enter_context(llama_server(model, *flags, *more))[0]
        for url in urls.values():
            warm(url, "m")
        contenders: dict[str, Measure] = {name: partial(rate, url) for name, url in urls.items()}
        samples = alternate(contenders | {"bare loop": bare}, options.rounds)
    layers = "1 layer" if options.one_layer else "all layers"
    print(table(f"{n} streams, {options.tokens} tokens each, {layers}, {threads} threads", samples, "lcrt", "tokens/s"))


if __name__ == "__main__":
    main()
