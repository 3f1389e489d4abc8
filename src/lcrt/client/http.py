"""HTTP to a daemon over the standard library: one connection per request, errors as in lcrt.errors."""

import http.client
import io
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from lcrt import errors
from lcrt.client.stream import Lines
from lcrt.client.wire import Reply
from lcrt.config.address import Address

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_TIMEOUT = 5.0
CALL_TIMEOUT = 60.0
NO_SERVER = "could not connect to lcrt server, run 'lcrt serve' to start it"
_READ_SIZE = 65536
_ERROR_STATUS = 400
_ERRORS: dict[int, type[errors.LcrtError]] = {
    404: errors.NotFound,
    409: errors.Conflict,
    499: errors.Cancelled,
    503: errors.BusyError,
}

_PATIENCE = 0.2

R = TypeVar("R", bound=Reply)
Body = bytes | Iterable[bytes] | None


class _Steps(io.RawIOBase):
    """Reads a socket, waiting for it in short steps.

    A Ctrl-C that comes just before a blocking read, or on another thread, does not end the read: Python notices
    it between two steps.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """See ``io.RawIOBase``. A socket with a time limit of its own is left to that."""
        decrypted = self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0
        while not decrypted and self._sock.gettimeout() is None:
            if select.select([self._sock], [], [], _PATIENCE)[0]:
                break
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """See ``io.RawIOBase``."""
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Steps(sock, self.fp.detach()))


class HttpClient:
    """Requests to one address; holds no connection between them."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def status(self, method: str, path: str) -> int:
        """Send a request without a body and return the status of its answer."""
        with self._exchange(method, path, None, CALL_TIMEOUT) as response:
            response.read()
            return response.status

    def call(self, method: str, path: str, body: object, want: type[R]) -> R:
        """Send JSON and decode the whole answer; an empty one is an empty ``want``."""
        data = None if body is None else msgspec.json.encode(body)
        with self._exchange(method, path, data, CALL_TIMEOUT) as response:
            answer = _read(response)
        _raise_for(response.status, answer)
        return self._decode(msgspec.json.Decoder(want), answer) if answer else want()

    @contextmanager
    def stream(self, path: str, body: object, want: type[R]) -> Iterator[Iterator[R]]:
        """Send JSON and decode one object per line as they come. Leaving the block ends the request."""
        with self._exchange("POST", path, msgspec.json.encode(body), None) as response:
            if response.status >= _ERROR_STATUS:
                _raise_for(response.status, _read(response))
            yield self._objects(response, want)

    def send(self, path: str, pieces: Iterable[bytes], size: int) -> None:
        """Send ``size`` bytes as the body of a POST."""
        with self._exchange("POST", path, pieces, None, size) as response:
            _raise_for(response.status, _read(response))

    def _objects(self, response: http.client.HTTPResponse, want: type[R]) -> Iterator[R]:
        decoder = msgspec.json.Decoder(want)
        lines = Lines()
        while data := _piece(response):
            for line in lines.feed(data):
                yield self._decode(decoder, line)
        for line in lines.end():
            yield self._decode(decoder, line)

    def _decode(self, decoder: msgspec.json.Decoder[R], data: bytes) -> R:
        try:
            reply = decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise errors.LcrtError(f"unexpected answer from {self.address.url}: {error}") from error
        if reply.error:
            raise errors.EngineError(reply.error)
        return reply

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: Body, timeout: float | None, size: int | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connect(timeout)
        headers = {"Accept": "application/x-ndjson, application/json"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream" if size is not None else "application/json"
        if size is not None:
            headers["Content-Length"] = str(size)
        try:
            yield _answer(connection, method, self.address.path + path, body, headers)
        finally:
            connection.close()

    def _connect(self, timeout: float | None) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.address.host, self.address.port, timeout=CONNECT_TIMEOUT)
        connection.response_class = _Response
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            raise errors.NoServer(NO_SERVER) from error
        except OSError as error:
            raise errors.NoServer(f"could not connect to {self.address.url}: {_reason(error)}") from error
        connection.sock.settimeout(timeout)
        return connection


def _answer(
    connection: http.client.HTTPConnection, method: str, path: str, body: Body, headers: dict[str, str]
) -> http.client.HTTPResponse:
    try:
        # A refusal may come before the body has been read: then the answer says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, headers)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error) from error


def _piece(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_READ_SIZE)
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error) from error


def _broken(error: Exception) -> errors.LcrtError:
    if isinstance(error, TimeoutError):
        return errors.LcrtError("the server did not answer in time")
    return errors.LcrtError(f"the connection to the server broke: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return text or str(error) or type(error).__name__


def _raise_for(status: int, answer: bytes) -> None:
    if status < _ERROR_STATUS:
        return
    try:
        message = msgspec.json.decode(answer, type=Reply).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = answer.decode("utf-8", "replace").strip()
    fallback = errors.InvalidRequest if status < 500 else errors.EngineError
    raise _ERRORS.get(status, fallback)(message or f"{status} {http.client.responses.get(status, 'error')}")
