"""Active slots with gaps between them: the rate of 8 streams when every other slot is idle.

lcrt: its engine with no Python around it, first with neighbours only, then with every other
sequence gone. llama-server: 16 slots, requests pinned to 0-7 and to 0, 2, .. 14.
"""

import concurrent.futures
import json
import time
import urllib.request

from bench.peers import SMOL, lcrt_bench, llama_server
from bench.rounds import Samples, arguments, table

N_STREAMS = 8
N_TOKENS = 64


def pinned(url: str, slots: range, seed: int) -> float:
    """Tokens per second of one request in each of the slots."""

    def ask(slot: int) -> None:
        body = {"prompt": f"{seed} {slot} Once", "n_predict": N_TOKENS, "id_slot": slot, "ignore_eos": True}
        urllib.request.urlopen(urllib.request.Request(url + "/completion", json.dumps(body).encode())).read()

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(slots)) as pool:
        list(pool.map(ask, slots))
    return len(slots) * N_TOKENS / (time.perf_counter() - started)


def main() -> None:
    """Run the rounds and print the tables."""
    options = arguments(__doc__ or "", rounds=3).parse_args()
    threads = str(options.threads)
    ours: Samples = {}
    theirs: Samples = {"slots 0-7": [], "slots 0, 2 .. 14": []}
    flags = ("-p", "16", "-n", str(N_TOKENS), "-t", threads, "--parallel", str(N_STREAMS), "-r", "1", "--gaps")
    with llama_server(SMOL, "-t", threads, "-np", "16", "-c", "8192") as (url, _):
        pinned(url, range(16), -1)
        for turn in range(options.rounds):
            for name, rate in lcrt_bench(SMOL, *flags).items():
                if name.startswith("decode"):
                    ours.setdefault(name, []).append(rate)
            theirs["slots 0-7"].append(pinned(url, range(N_STREAMS), turn))
            theirs["slots 0, 2 .. 14"].append(pinned(url, range(0, 2 * N_STREAMS, 2), turn))
    print(table("lcrt, 8 streams", ours, "decode", "tokens/s"))
    print(table("llama-server -np 16, 8 streams", theirs, "slots 0-7", "tokens/s"))


if __name__ == "__main__":
    main()
