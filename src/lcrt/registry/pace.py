"""How fast connections bring bytes: whether more of them could help, and which of them lag behind."""

import contextlib
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)

LOOK_EVERY = 0.25
"""Seconds between two looks at the whole."""

_FAST = 200e6
"""Bytes per second above which the processor, not the line, is what limits."""

_KNOWN_AFTER = 1 << 20
"""Bytes after which the rate of a connection says something."""

_LAGGING = 0.1
"""Share of the others' median rate below which a connection lags."""

_TRICKLE = 1024.0
"""Bytes per second below which a connection is as good as dead."""

_N_FINISHED = 16
_N_CUTS = 3
"""How often a part may get another connection for being slow: then it is as fast as it can be."""


class Pace:
    """Tells from time to time whether more connections could help: a very fast line is filled by a few."""

    def __init__(self, completed: int) -> None:
        self._completed = completed
        self._since = time.monotonic()

    def is_slow(self, completed: int) -> bool:
        """Look again after a while; True when less came meanwhile than a few connections can bring."""
        now = time.monotonic()
        if now - self._since < LOOK_EVERY:
            return False
        rate = (completed - self._completed) / (now - self._since)
        self._completed, self._since = completed, now
        return rate < _FAST


class Flow:
    """One open connection for a part, the bytes that it brought, and how it is cut."""

    def __init__(self, part: int, abort: Callable[[], None]) -> None:
        self.part = part
        self.n_bytes = 0
        self.was_cut = False
        self._abort = abort
        self._began = time.monotonic()
        self._marked: int | None = None

    def mark(self) -> int | None:
        """Return the bytes since the last mark, None when there was none, and begin to count anew."""
        marked, self._marked = self._marked, self.n_bytes
        return None if marked is None else self._marked - marked

    def rate(self) -> float:
        """Say how many bytes per second it brought since it was opened."""
        return self.n_bytes / max(time.monotonic() - self._began, 1e-6)

    @property
    def is_fast(self) -> bool:
        """Whether it is so fast that the work for each byte counts."""
        return self.n_bytes > _KNOWN_AFTER and self.rate() > _FAST / 4

    def cut(self) -> None:
        """Let whoever reads from it get an error at once."""
        self.was_cut = True
        self._abort()


class Flows:
    """The open connections of one download; over ``window`` seconds they are compared.

    Each belongs to the thread that reads from it; another thread looks.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._looked = time.monotonic()
        self._lock = threading.Lock()
        self._open: list[Flow] = []
        self._finished: list[float] = []
        self._n_cuts: Counter[int] = Counter()

    @contextlib.contextmanager
    def watching(self, part: int, abort: Callable[[], None]) -> Iterator[Flow]:
        """Watch a connection within the block; others are compared with those that ended well."""
        flow = Flow(part, abort)
        with self._lock:
            self._open.append(flow)
        try:
            yield flow
        finally:
            with self._lock:
                self._open.remove(flow)
                if flow.n_bytes and not flow.was_cut:
                    self._finished = [*self._finished, flow.rate()][-_N_FINISHED:]

    def cut_lagging(self) -> None:
        """Cut the connections that brought far less than the others, when it is time to look again."""
        seconds = time.monotonic() - self._looked
        if seconds < self._window:
            return
        self._looked += seconds
        with self._lock:
            marks = [(flow, flow.mark()) for flow in self._open]
            rates = {flow: n_bytes / seconds for flow, n_bytes in marks if n_bytes is not None}
            for flow in lagging(rates, self._finished):
                if self._n_cuts[flow.part] < _N_CUTS:
                    self._n_cuts[flow.part] += 1
                    flow.cut()


def lagging(rates: Mapping[_T, float], finished: Sequence[float]) -> list[_T]:
    """Choose from the rates of open connections those that lag behind the others, or one alone behind its past."""

    def floor(flow: _T) -> float:
        others = [rate for other, rate in rates.items() if other is not flow] or finished
        return max(_TRICKLE, _LAGGING * statistics.median(others)) if others else _TRICKLE

    return [flow for flow, rate in rates.items() if rate < floor(flow)]
