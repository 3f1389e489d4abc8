"""The process that converts an adapter."""

import sys
from pathlib import Path

from lcrt.convert.lora import write_adapter
from lcrt.convert.run import AdapterTask
from lcrt.task import child
from lcrt.task.child import Said, say


def _work(task: AdapterTask) -> None:
    write_adapter(
        Path(task.folder),
        Path(task.base),
        Path(task.output),
        tell=lambda completed, total: say(Said(completed=completed, total=total)),
    )


if __name__ == "__main__":
    sys.exit(child.serve(_work, AdapterTask))
