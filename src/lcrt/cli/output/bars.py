"""Progress of long operations on stderr: bars on a terminal, a line per step elsewhere."""

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Steps(Protocol):
    """Shows which step is being done and how far it is."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, title: str, completed: int = 0, total: int = 0) -> None:
        """Show a step; another title begins another step. Bytes are shown when ``total`` is known."""


def steps() -> Steps:
    """Choose by what stderr is."""
    return LiveSteps(Console(stderr=True, highlight=False)) if sys.stderr.isatty() else PlainSteps()


class PlainSteps:
    """One line for each new title."""

    def __init__(self) -> None:
        self._title = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have nothing to put back."""

    def update(self, title: str, completed: int = 0, total: int = 0) -> None:
        """Write the title if it is new."""
        del completed, total
        if title != self._title:
            self._title = title
            sys.stderr.write(title + "\n")
            sys.stderr.flush()


class LiveSteps:
    """A spinner line or a bar for each step; what is done stays on the screen."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._plain = Progress(
            SpinnerColumn(finished_text=" "), TextColumn("{task.description}", markup=False), console=console
        )
        self._title = ""
        self._task: TaskID | None = None
        self._shown: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(done=error is None)

    def update(self, title: str, completed: int = 0, total: int = 0) -> None:
        """Show a step, and how many of its bytes are done."""
        wanted = self._bars if total else self._plain
        if title != self._title or wanted is not self._shown:
            self._close(done=title != self._title)
            self._title, self._shown = title, wanted
            for old in wanted.task_ids:
                wanted.remove_task(old)
            self._task = wanted.add_task(title, total=total or None, completed=completed)
            wanted.start()
        if self._task is not None and total:
            wanted.update(self._task, completed=completed, total=total)

    def _close(self, *, done: bool) -> None:
        if self._shown is None or self._task is None:
            return
        if done and self._shown is self._plain:
            self._shown.update(self._task, total=1, completed=1)
        if not done:
            self._shown.remove_task(self._task)
        self._shown.stop()
        self._shown = self._task = None
