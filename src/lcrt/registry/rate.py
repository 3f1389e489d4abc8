"""A limit on bytes per second that several threads keep together."""

import threading
import time

from lcrt.registry.stop import Stop


class Limit:
    """A rate of 0 is no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return bool(self._rate)

    def take(self, n_bytes: int, stop: Stop) -> None:
        """Wait until so many bytes may pass; Cancelled when it is time to stop."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + n_bytes / self._rate
        if begin > now:
            stop.sleep(begin - now)
