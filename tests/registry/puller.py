"""Pulls in a process of its own, so that it can be killed: STORE HOST."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from lcrt.core.name import ModelName  # noqa: E402
from lcrt.registry.options import Options, PullRequest  # noqa: E402
from lcrt.registry.service import Registries  # noqa: E402
from lcrt.store.store import Store  # noqa: E402

if __name__ == "__main__":
    registries = Registries(Store(Path(sys.argv[1])), Options(parts=4, part_size=2 << 20))
    name = ModelName.parse(f"{sys.argv[2]}/library/m")
    for progress in registries.pull(name, PullRequest(insecure=True)):
        sys.stdout.write(f"{progress.completed}\n")
        sys.stdout.flush()
