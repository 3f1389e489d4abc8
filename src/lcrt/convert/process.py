"""The process that converts a folder; what it holds at a time is the tokenizer and a block of rows."""

import sys
from pathlib import Path

from lcrt.convert.run import Task
from lcrt.convert.write import write_model
from lcrt.task import child
from lcrt.task.child import Said, say


def _work(task: Task) -> None:
    write_model(
        Path(task.folder),
        Path(task.output),
        file_type=task.file_type or None,
        name=task.name,
        tell=lambda completed, total: say(Said(completed=completed, total=total)),
        warn=lambda text: say(Said(note=text)),
    )


if __name__ == "__main__":
    sys.exit(child.serve(_work, Task))
