"""Where the bytes of a blob come from."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import msgspec

from lcrt.registry.client import Call, Client, Reply
from lcrt.registry.failure import RangeIgnored, Refused
from lcrt.registry.remote import place

_EXPIRED = frozenset({400, 401, 403, 404, 410})
_BROKEN = "the server, or a proxy on the way, does not speak HTTP well: pull from elsewhere (LCRT_REGISTRY_MIRROR)"
_OK, _PARTIAL, _TOO_FAR = 200, 206, 416


class Source:
    """The places that have a blob, the best first, and where the current one sent us last. Any thread may use it.

    ``check`` raises for an answer that is none.
    """

    def __init__(self, client: Client, calls: tuple[Call, ...], check: Callable[[Reply], None] = Reply.check) -> None:
        self._client = client
        self._calls = calls
        self._check = check
        self._lock = threading.Lock()
        self._n_gone = 0
        self._location: Call | None = None

    @contextlib.contextmanager
    def open(self, headers: dict[str, str]) -> Iterator[Reply]:
        """Ask for the blob or a range of it. Refused when no place has it, Transient when another try may help."""
        known = self._location
        if known is not None:
            with self._client.open(_with(known, headers)) as reply:
                if reply.status not in _EXPIRED:
                    self._check(reply)
                    yield reply
                    return
            self._forget(known)
        while True:
            n_gone = self._n_gone
            with self._client.open(_with(self._calls[n_gone], headers)) as reply:
                if reply.status != 404 or not self._next(n_gone):
                    self._check(reply)
                    self._remember(self._calls[n_gone], reply.url)
                    yield reply
                    return

    def _remember(self, call: Call, url: str) -> None:
        """Ask the place that a redirect named directly, as long as it answers."""
        if place(url) != place(call.url):
            kept = {name: value for name, value in call.headers.items() if name.lower() != "authorization"}
            with self._lock:
                self._location = msgspec.structs.replace(call, url=url, headers=kept, repository="")

    def _forget(self, location: Call) -> None:
        with self._lock:
            if self._location is location:
                self._location = None

    def _next(self, n_gone: int) -> bool:
        """Go on to the next place; False when there is none."""
        with self._lock:
            if self._n_gone == n_gone and n_gone + 1 < len(self._calls):
                self._n_gone += 1
            return self._n_gone != n_gone


def _with(call: Call, headers: dict[str, str]) -> Call:
    return msgspec.structs.replace(call, headers=dict(call.headers) | headers)


def range_header(start: int, end: int) -> dict[str, str]:
    """Ask for the bytes from ``start`` up to, without, ``end``."""
    return {"Range": f"bytes={start}-{end - 1}"}


def check_range(reply: Reply, start: int, end: int, size: int) -> None:
    """Make sure that the body is what was asked for: bytes ``start`` to ``end`` of ``size``."""
    if reply.status == _OK:
        if (start, end) != (0, size):
            raise RangeIgnored("the server does not send parts")
        length = reply.headers.get("content-length", "")
        if length.isdecimal() and int(length) != size:
            raise _wrong_size(int(length), size)
        return
    if reply.status != _PARTIAL and reply.status != _TOO_FAR:
        raise Refused(f"unexpected answer {reply.status}", reply.status, _BROKEN)
    unit, _, rest = reply.headers.get("content-range", "").partition(" ")
    given, _, total = rest.partition("/")
    if total.isdecimal() and int(total) != size:
        raise _wrong_size(int(total), size)
    if unit != "bytes" or given.partition("-")[0] != str(start):
        raise Refused(f"asked for bytes from {start} on, got `{rest}`", reply.status, _BROKEN)


def _wrong_size(found: int, size: int) -> Refused:
    return Refused(f"the blob has {found} bytes there, the manifest says {size}", hint="the model is damaged there")
