"""Many requests with one long system prompt: prompt tokens computed, wall time, and the gap in a stream beside.

``--requests`` go out ``--at-once`` at a time; every round has a system prompt of its own. Rivals: llama-server
with its defaults, with ``-np N``, with ``-np N -kvu``, and with one slot, which is how Ollama runs it. "Needed"
are the distinct prompt tokens: common beginnings once.
"""

import concurrent.futures
import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from functools import partial

from bench.asking import Answer, Messages, ask, distinct, tokens_of, words
from bench.load import chat, warm
from bench.peers import SMOL, lcrt_server, llama_server, requantised
from bench.rounds import alternate, arguments, table

N_SYSTEM_WORDS = 330
N_OWN_WORDS = 7
N_STREAM = 200
"""Tokens of the stream beside; another one follows while the requests are not done."""


RIVALS = {
    "llama-server": (),
    "llama-server -np N": ("-np", "N"),
    "llama-server -np N -kvu": ("-np", "N", "-kvu"),
    "llama-server -np 1": ("-np", "1"),
}


def prompts(seed: int, n: int) -> list[Messages]:
    """Requests that have the system prompt in common and nothing else."""
    system = {"role": "system", "content": words(f"system {seed}", N_SYSTEM_WORDS)}
    return [[system, {"role": "user", "content": words(f"own {seed} {i}", N_OWN_WORDS)}] for i in range(n)]


def run(url: str, requests: list[Messages], at_once: int, n_tokens: int) -> tuple[float, list[Answer]]:
    """All requests, ``at_once`` at a time: seconds, and the answers."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda messages: ask(url, messages, n_tokens), requests))
    return time.monotonic() - started, answers


@contextlib.contextmanager
def stream_beside(url: str, seed: int, gaps: list[float]) -> Iterator[None]:
    """A stream for the length of a block; then its longest gap in milliseconds is in ``gaps``."""
    done = threading.Event()

    def streams() -> None:
        longest = 0.0
        for n in itertools.count():
            longest = max(longest, chat(url, "m", prompt=16, tokens=N_STREAM, seed=seed + 7919 * n).itl.max)
            if done.is_set():
                break
        gaps.append(longest * 1e3)

    thread = threading.Thread(target=streams)
    thread.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        done.set()
        thread.join()


class Bench:
    """The servers, and what was seen of them."""

    def __init__(self, urls: dict[str, str], rival: str, options: tuple[int, int, int]) -> None:
        self._urls = urls
        self._rival = rival
        self._requests, self._at_once, self._tokens = options
        self._seeds = itertools.count()
        self.computed: dict[str, list[float]] = {name: [] for name in urls}
        self.walls: dict[str, list[float]] = {name: [] for name in urls}
        self.gaps: dict[str, list[float]] = {name: [] for name in urls}

    def alone(self, name: str) -> float:
        """Wall seconds of one load; notes computed tokens as a multiple of the needed ones."""
        requests = prompts(next(self._seeds), self._requests)
        wall, answers = run(self._urls[name], requests, self._at_once, self._tokens)
        needed = distinct(tokens_of(self._rival, messages) for messages in requests)
        self.computed[name].append(sum(answer.n_computed for answer in answers) / needed)
        return wall

    def beside(self, name: str) -> float:
        """Longest gap in milliseconds of a stream that runs while the same load, one less at a time, comes."""
        seed = next(self._seeds)
        with stream_beside(self._urls[name], seed, self.gaps[name]):
            wall, _ = run(self._urls[name], prompts(seed, self._requests), self._at_once - 1, self._tokens)
        self.walls[name].append(wall)
        return self.gaps[name][-1]


def main() -> None:
    """Run the rounds and print the tables."""
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--format", default="Q4_1", help="of the weights")
    parser.add_argument("--parts", nargs="+", choices=("alone", "beside"), default=("alone", "beside"))
    parser.add_argument("--rivals", nargs="*", choices=tuple(RIVALS), default=tuple(RIVALS))
    options = parser.parse_args()
    n, threads = str(options.at_once), str(options.threads)
    model = SMOL if options.format == "Q4_1" else requantised(SMOL, options.format)
    flags = ("-t", threads, "-c", str(2048 * options.at_once))
    with contextlib.ExitStack() as stack:
        served = lcrt_server({"m": model}, options.threads, LCRT_NUM_PARALLEL=n, LCRT_CONTEXT_LENGTH="2048")
        urls = {"lcrt": stack.enter_context(served)[0]}
        for name in options.rivals:
            more = [n if flag == "N" else flag for flag in RIVALS[name]]
            urls[name] = stack.enter_context(llama_server(model, *flags, *more))[0]
        for url in urls.values():
            warm(url, "m")
        bench = Bench(urls, urls[options.rivals[0]], (options.requests, options.at_once, options.tokens))
        title = f"{options.requests} requests, one system prompt, {n} at a time"
        if "alone" in options.parts:
            walls = alternate({name: partial(bench.alone, name) for name in urls}, options.rounds)
            print(table(f"{title}: wall", walls, "lcrt", "s"))
            print(table("prompt tokens computed, as a multiple of the needed ones", bench.computed, "lcrt", "x"))
            best = min((statistics.median(values), name) for name, values in walls.items() if name != "lcrt")
            print(f"best rival: {best[1]}; lcrt takes {statistics.median(walls['lcrt']) / best[0]:.2f} of its time\n")
        if "beside" in options.parts:
            gaps = alternate({name: partial(bench.beside, name) for name in urls}, options.rounds)
            print(table(f"{title}, a stream beside: its longest gap", gaps, "lcrt", "ms"))
            print(table("wall with the stream beside", bench.walls, "lcrt", "s"))


if __name__ == "__main__":
    main()
