"""A daemon for tests: prints its port, that it stops, and what it has imported.

Its generations pause after the first word until the file named by GO exists.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path

from anyio.abc import TaskStatus

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from lcrt.config.settings import load_settings  # noqa: E402
from lcrt.server.serve import serve  # noqa: E402
from tests.server.fake import FakeModels  # noqa: E402


class PatientModels(FakeModels):
    """Waits for the file."""

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        self.go.clear()
        task_status.started()
        while not await asyncio.to_thread(Path(os.environ["GO"]).exists):  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.01)
        self.go.set()
        await asyncio.Event().wait()


class Said(logging.Handler):
    """Prints one message."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "stopping":
            sys.stdout.write("stopping\n")
            sys.stdout.flush()


async def main() -> None:
    logging.getLogger("lcrt.server").addHandler(Said())
    logging.getLogger("lcrt").setLevel(logging.INFO)
    leash = int(sys.argv[1]) if len(sys.argv) > 1 else None
    settings = load_settings(os.environ)
    await serve(
        settings,
        "0.1.0",
        leash_fd=leash,
        models=PatientModels(),
        on_listening=lambda address: print(address.port, flush=True),  # noqa: T201
    )
    print(*sys.modules, flush=True)  # noqa: T201


asyncio.run(main())
