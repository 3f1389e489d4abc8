"""CPU of daemon and runner outside the engine, per streamed token, at many streams.

The engine's threads are told from the others by name in /proc; Linux only.
"""

import itertools
import os
from pathlib import Path

from bench.load import chat, warm
from bench.peers import SMOL, lcrt_server, one_layer
from bench.rounds import alternate, arguments, table

TICK = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def cpu(pid: int, *, main_only: bool) -> float:
    """Seconds of CPU so far: of the process, or of its main thread only."""
    stat = (
        Path(f"/proc/{pid}/task/{pid}/stat" if main_only else f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    )
    return (int(stat[11]) + int(stat[12])) / TICK


def main() -> None:
    """Run the rounds and print the table."""
    parser = arguments(__doc__ or "", threads=1)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    seeds = itertools.count()
    env = {"LCRT_NUM_PARALLEL": str(options.streams), "LCRT_CONTEXT_LENGTH": "1024"}
    with lcrt_server({"m": one_layer(SMOL)}, options.threads, **env) as (url, daemon):
        warm(url, "m")
        [runner] = children(daemon)

        def load(pid: int, *, main_only: bool) -> float:
            before = cpu(pid, main_only=main_only)
            report = chat(url, "m", streams=options.streams, tokens=options.tokens, seed=next(seeds))
            return (cpu(pid, main_only=main_only) - before) / report.n_tokens * 1e6

        samples = alternate(
            {
                "daemon": lambda: load(daemon, main_only=False),
                "runner, Python thread": lambda: load(runner, main_only=True),
            },
            options.rounds,
        )
    print(table(f"CPU per streamed token, {options.streams} streams, 1 layer", samples, "daemon", "us"))


if __name__ == "__main__":
    main()
