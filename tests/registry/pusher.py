"""Pushes in a process of its own: STORE HOST CHUNK [N]. It kills itself when the registry has taken N chunks."""

import os
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from lcrt.core.name import ModelName  # noqa: E402
from lcrt.registry.options import Options  # noqa: E402
from lcrt.registry.service import Registries  # noqa: E402
from lcrt.registry.session import Session  # noqa: E402
from lcrt.registry.upload import Upload  # noqa: E402
from lcrt.store.store import Store  # noqa: E402


def die_after(n_chunks: int) -> None:
    """End at once when so many chunks of a blob are noted."""
    keep = Upload._keep

    def then_die(self: Upload, session: Session | None) -> None:
        keep(self, session)
        if session is not None and len(session.pieces) == n_chunks:
            os.kill(os.getpid(), signal.SIGKILL)

    Upload._keep = then_die  # type: ignore[method-assign]


if __name__ == "__main__":
    root, host, chunk = sys.argv[1:4]
    if len(sys.argv) > 4:
        die_after(int(sys.argv[4]))
    registries = Registries(Store(Path(root)), Options(part_size=int(chunk), uploads=1))
    for progress in registries.push(ModelName.parse(f"{host}/library/m"), insecure=True):
        sys.stdout.write(f"{progress.completed}\n")
        sys.stdout.flush()
