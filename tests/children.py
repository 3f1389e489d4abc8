"""Processes that a test has started."""

import os
from pathlib import Path


def children() -> set[int]:
    """The ids of those that this thread has started and that nobody has waited for."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
