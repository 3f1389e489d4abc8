"""Blobs on their way into the store: one download of each, however many ask for it, in this process or another."""

import contextlib
import errno
import logging
import threading
from collections.abc import Iterator

import msgspec

from lcrt.errors import LcrtError
from lcrt.registry.download import Download, Line
from lcrt.registry.partial import Partial, come_so_far
from lcrt.registry.stop import Stop
from lcrt.store.failure import store_error
from lcrt.store.store import Store
from lcrt.units import human_bytes

_LOG = logging.getLogger("lcrt.registry")
_WATCH_EVERY = 0.1


class Wanted(msgspec.Struct, frozen=True):
    """A blob to fetch, and how."""

    digest: str
    size: int
    line: Line


class Transfer:
    """One download in a thread of its own."""

    def __init__(self, store: Store, wanted: Wanted) -> None:
        self.n_users = 0
        self._store = store
        self._wanted = wanted
        self._stop = Stop()
        self._ended = threading.Event()
        self._error: LcrtError | None = None
        self._download: Download | None = None
        self._watched = 0

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="lcrt-transfer", daemon=True).start()

    def cancel(self) -> None:
        """End soon; what has come stays."""
        self._stop.set()

    @property
    def completed(self) -> int:
        """Bytes that are here."""
        return self._download.completed if self._download is not None else self._watched

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, not longer than ``seconds``; True when it is there. Raises what went wrong."""
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._fetch_or_watch()
        except LcrtError as error:
            self._error = error
        except OSError as error:
            self._error = self._disk_error(error)
        except Exception:  # noqa: BLE001 -- a thread's main: whoever waits is told
            _LOG.exception("the transfer of %s failed", self._wanted.digest)
            self._error = LcrtError("internal error", "the server's log says more")
        finally:
            self._ended.set()

    def _fetch_or_watch(self) -> None:
        """Fetch the blob, or watch another process that does."""
        while not self._is_here():
            claim = self._store.claim(self._wanted.digest)
            if claim is None:
                self._watched = come_so_far(self._store.blobs.partial(self._wanted.digest))
                self._stop.sleep(_WATCH_EVERY)
                continue
            with claim:
                if not self._is_here():
                    self._fetch()

    def _is_here(self) -> bool:
        return self._store.blobs.has(self._wanted.digest, self._wanted.size)

    def _fetch(self) -> None:
        """Fetch the blob; what was continued and turns out wrong is fetched anew."""
        was_continued, digest = self._try()
        if was_continued and digest != self._wanted.digest:
            _LOG.warning("what there was of %s is damaged: it is fetched again", self._wanted.digest)
            _, digest = self._try()
        if digest != self._wanted.digest:
            raise LcrtError(
                f"digest mismatch, file must be downloaded again: want {self._wanted.digest}, got {digest}",
                "pull again; if it happens twice, what the server has is damaged",
            )

    def _try(self) -> tuple[bool, str]:
        """Fetch once; returns whether something was there before, and the digest of what is there now."""
        wanted = self._wanted
        with Partial(self._store.blobs.partial(wanted.digest), wanted.size, wanted.line.options.part_size) as partial:
            was_continued = partial.completed > 0
            self._download = Download(partial, wanted.line, self._stop)
            digest = self._download.run()
            self._watched, self._download = partial.completed, None
            if digest == wanted.digest:
                self._store.place(partial.path, digest)
                partial.forget()
            else:
                partial.discard()
        return was_continued, digest

    def _disk_error(self, error: OSError) -> LcrtError:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return store_error(f"cannot store blob {self._wanted.digest}", error)
        here, all_of_it = human_bytes(self.completed), human_bytes(self._wanted.size)
        return LcrtError(
            f"no space left on device: {here} of {all_of_it} are on disk",
            "make room and pull again: it goes on from there",
        )


class Transfers:
    """All transfers of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._running: dict[str, Transfer] = {}

    @contextlib.contextmanager
    def join(self, wanted: Wanted) -> Iterator[Transfer]:
        """Take part in the transfer of a blob, or begin it; it is cancelled when the last one leaves the block."""
        with self._lock:
            transfer = self._running.get(wanted.digest)
            if transfer is None or transfer.ended:
                transfer = Transfer(self._store, wanted)
                self._running[wanted.digest] = transfer
                transfer.start()
            transfer.n_users += 1
        try:
            yield transfer
        finally:
            self._leave(wanted.digest, transfer)

    def _leave(self, digest: str, transfer: Transfer) -> None:
        with self._lock:
            transfer.n_users -= 1
            if transfer.n_users:
                return
            transfer.cancel()
            if self._running.get(digest) is transfer:
                del self._running[digest]
