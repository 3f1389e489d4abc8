"""The daemon's memory when idle, and how long ``lcrt list`` takes."""

import os
import subprocess
import time
from pathlib import Path

from bench.peers import ROOT, lcrt_server
from bench.rounds import alternate, arguments, table


def resident(pid: int) -> float:
    """Resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run the rounds and print the table."""
    options = arguments(__doc__ or "", rounds=11).parse_args()
    with lcrt_server({}) as (url, pid):
        env = {**os.environ, "LCRT_HOST": url.removeprefix("http://")}

        def listing() -> float:
            started = time.perf_counter()
            subprocess.run([str(ROOT / ".venv" / "bin" / "lcrt"), "list"], check=True, capture_output=True, env=env)
            return (time.perf_counter() - started) * 1e3

        samples = alternate({"lcrt list, ms": listing, "daemon, resident MB": lambda: resident(pid)}, options.rounds)
    print(table("idle", samples, "lcrt list, ms", ""))


if __name__ == "__main__":
    main()
