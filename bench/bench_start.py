"""From no runner to the first token, model in the page cache: lcrt's cold request against llama-server's start.

For lcrt the daemon runs and the model is not loaded; for llama-server the process starts. With
``--vocabulary FILE`` a model with another vocabulary, say 262k tokens, takes the place of SmolLM2.
"""

import itertools
import json
import time
import urllib.request
from pathlib import Path

from bench.load import chat
from bench.peers import SMOL, lcrt_server, llama_server
from bench.rounds import alternate, arguments, table


def unload(url: str) -> None:
    """Unload the model and wait until it is gone."""
    body = json.dumps({"model": "m", "keep_alive": 0}).encode()
    urllib.request.urlopen(urllib.request.Request(url + "/api/generate", body)).read()
    while json.loads(urllib.request.urlopen(url + "/api/ps").read())["models"]:
        time.sleep(0.02)
    time.sleep(0.2)


def main() -> None:
    """Run the rounds and print the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--vocabulary", type=Path, default=SMOL)
    options = parser.parse_args()
    threads = str(options.threads)
    seeds = itertools.count()

    def theirs() -> float:
        started = time.perf_counter()
        with llama_server(options.vocabulary, "-t", threads, "-np", "1", "-c", "4096") as (url, _):
            chat(url, "m", prompt=8, tokens=1, seed=next(seeds))
            return (time.perf_counter() - started) * 1e3

    with lcrt_server({"m": options.vocabulary}, options.threads, LCRT_NUM_PARALLEL="1") as (url, _):

        def ours() -> float:
            unload(url)
            started = time.perf_counter()
            chat(url, "m", prompt=8, tokens=1, seed=next(seeds))
            return (time.perf_counter() - started) * 1e3

        chat(url, "m", prompt=8, tokens=1, seed=next(seeds))
        samples = alternate({"lcrt": ours, "llama-server": theirs}, options.rounds)
    print(table(f"start to first token, {options.vocabulary.name}", samples, "lcrt", "ms"))


if __name__ == "__main__":
    main()
