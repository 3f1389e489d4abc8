"""One attention operation while streams decode: 1, 8 and 32 of them behind 1000 and 4000 tokens each.

Ours against ggml's, which the backends of ``build/peers`` have; or against that of any other builds (``--builds``),
folders with their backends. Split streams, a pool, and a pool where nearly all is common. Microseconds, medians.
"""

import os
import subprocess
from pathlib import Path

from bench.peers import PEERS, ROOT
from bench.rounds import Samples, arguments, table

OURS = ROOT / "build" / "dev" / "bin"


def measure(backends: Path, threads: int) -> dict[str, float]:
    """Microseconds of an operation by its shape."""
    out = subprocess.run(
        [str(OURS / "bench-attention"), "-t", str(threads), "-r", "31"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LCRT_LIB_DIR": str(backends)},
    ).stdout
    rows = [line.rsplit(" ", 2) for line in out.splitlines()]
    return {shape: float(median) for shape, median, _ in rows}


def main() -> None:
    """Run the rounds, in turn, and print a table for each shape."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--builds", type=Path, nargs="+", default=[OURS, PEERS])
    options = parser.parse_args()
    builds: list[Path] = options.builds
    samples: dict[str, Samples] = {}
    for turn in range(options.rounds):
        for build in builds if turn % 2 == 0 else builds[::-1]:
            for shape, microseconds in measure(build, options.threads).items():
                samples.setdefault(shape, {str(other): [] for other in builds})[str(build)].append(microseconds)
    for shape, found in samples.items():
        layout, streams, cells = shape.split()
        print(table(f"{layout}, {streams} streams behind {cells} tokens", found, str(builds[0]), "us"))


if __name__ == "__main__":
    main()
