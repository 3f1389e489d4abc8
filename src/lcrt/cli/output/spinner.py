"""A turning mark on stderr while nothing else can be shown."""

import sys
import threading
from types import TracebackType
from typing import Self

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_DELAY = 0.15
_PERIOD = 0.1


class Spinner:
    """Shows itself on a terminal after a moment, until ``stop``; does nothing elsewhere."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True) if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the mark away; may be called again."""
        self._stopped.set()
        if self._thread and self._thread.is_alive():
            self._thread.join()

    def _turn(self) -> None:
        shown = False
        wait = _DELAY
        n = 0
        while not self._stopped.wait(wait):
            sys.stderr.write(f"\r\x1b[?25l{_FRAMES[n % len(_FRAMES)]} {self._text}\x1b[K")
            sys.stderr.flush()
            shown, wait, n = True, _PERIOD, n + 1
        if shown:
            sys.stderr.write("\r\x1b[K\x1b[?25h")
            sys.stderr.flush()
