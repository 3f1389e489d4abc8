"""How threads are told to end, and how they wait."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from lcrt.errors import Cancelled, LcrtError
from lcrt.registry.failure import Transient

_LONGEST_WAIT = 60.0
_LATER = "try again later: what has been transferred is not transferred again"


class Stop:
    """A flag that wakes whoever waits. Any thread may use it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Stop, and call what was given to ``calling``."""
        with self._lock:
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    @property
    def is_set(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled when it is time to stop."""
        if self._event.is_set():
            raise Cancelled("stopped")

    def sleep(self, seconds: float) -> None:
        """Wait; Cancelled as soon as it is time to stop."""
        if self._event.wait(seconds):
            raise Cancelled("stopped")

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call something, from the thread that stops, when that happens within the block or before it."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            if self._event.is_set():
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


class Patience:
    """Counts failures in a row and waits longer after each. One that came further than the one before begins a row."""

    def __init__(self, stop: Stop, first_wait: float, tries: int) -> None:
        self._stop = stop
        self._first_wait = first_wait
        self._tries = tries
        self._n_failed = 0
        self._done = 0

    def wait(self, error: Transient, done: int = 0) -> None:
        """Wait for the next try; LcrtError when this was the last, Cancelled when it is time to stop.

        ``done`` says how much of the work is behind it, in any unit.
        """
        self._stop.check()
        if done > self._done:
            self._n_failed = 0
        self._done = done
        self._n_failed += 1
        if self._n_failed >= self._tries:
            raise LcrtError(f"max retries exceeded: {error.message}", error.hint or _LATER) from error
        pause = max(self._first_wait * 2 ** (self._n_failed - 1), min(error.retry_after, _LONGEST_WAIT))
        self._stop.sleep(pause)
