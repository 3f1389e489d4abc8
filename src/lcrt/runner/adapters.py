"""Adapters that requests name, loaded when they are first wanted and kept while there is room."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from lcrt.errors import BusyError, EngineError, InvalidRequest
from lcrt.native.adapter import Adapter
from lcrt.native.model import Model

N_KEPT = 16
SIZE_KEPT = 1 << 30
N_USED_MAX = 64
"""Adapters in memory at most, those that running requests have and nobody keeps included."""

Pairs = tuple[tuple[Adapter, float], ...]


class Adapters:
    """The adapters of one loaded model. Any thread.

    What was used last is kept, at most ``N_KEPT`` of ``SIZE_KEPT`` bytes in all. What is not kept any more is freed
    when the last request that has it has ended and the engine has computed something with another set.
    """

    def __init__(self, model: Model, own: Iterable[str] = ()) -> None:
        self._model = model
        self._lock = threading.Lock()  # held while files are read
        self._alive_lock = threading.Lock()
        self._kept: OrderedDict[str, Adapter] = OrderedDict()
        self._alive: weakref.WeakSet[Adapter] = weakref.WeakSet()
        self._own = {path: Adapter(model, path) for path in own}

    @property
    def own(self) -> Pairs:
        """The model's own, which stay."""
        return tuple((adapter, 1.0) for adapter in self._own.values())

    @property
    def own_size(self) -> int:
        """Bytes of the model's own."""
        return sum(adapter.size for adapter in self._own.values())

    def size(self) -> int:
        """Bytes of the others that are in memory now: kept, or some request's. Waits for no file."""
        with self._alive_lock:
            return sum(adapter.size for adapter in self._alive)

    def take(self, wanted: Sequence[tuple[str, float]]) -> Pairs:
        """The adapters of these files. ``InvalidRequest`` when one does not fit the model."""
        with self._lock:
            return tuple((self._get(path), scale) for path, scale in wanted)

    def _get(self, path: str) -> Adapter:
        adapter = self._own.get(path) or self._kept.get(path)
        if adapter is None:
            adapter = self._load(path)
            self._kept[path] = adapter
        if path in self._kept:
            self._kept.move_to_end(path)
        while len(self._kept) > N_KEPT or (len(self._kept) > 1 and self._kept_size() > SIZE_KEPT):
            self._kept.popitem(last=False)
        return adapter

    def _kept_size(self) -> int:
        return sum(adapter.size for adapter in self._kept.values())

    def _load(self, path: str) -> Adapter:
        if len(self._alive) >= N_USED_MAX:
            raise BusyError("too many adapters are in use, try again later")
        try:
            adapter = Adapter(self._model, path)
        except EngineError as error:
            reason = error.message.rpartition("`: ")[2].replace(path, "the file")
            raise InvalidRequest(f"an adapter cannot be applied to this model: {reason}") from error
        with self._alive_lock:
            self._alive.add(adapter)
        return adapter
