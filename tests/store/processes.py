"""Another process that works in a store: started by tests, told what to do line by line."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).parents[2]


class Other:
    """A process with a store of its own opened on the same folder.

    Each line is a Python statement; ``store``, ``hold`` and ``named`` are there. It answers when it is done.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.processes", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": f"{_ROOT}/src:{_ROOT}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def do(self, statement: str) -> str:
        """Let it do something and return what it says; an exception's name when it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(statement + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Be that process."""
    from lcrt.store.store import Store
    from tests.store import models

    store = Store(Path(sys.argv[1]))
    scope = {"store": store, "hold": store.hold().__enter__(), "named": models.named, "models": models, "said": ""}
    for line in sys.stdin:
        try:
            exec(line, scope)
            print(scope["said"])  # noqa: T201
        except Exception as error:  # noqa: BLE001 -- told to the test
            print(type(error).__name__)  # noqa: T201
        sys.stdout.flush()


if __name__ == "__main__":
    main()
