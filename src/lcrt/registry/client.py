"""HTTP to registries and hubs. The only file that imports the HTTP library; import it when a pull begins.

Small requests use HTTP/2 where it is offered. Blobs come over several connections of HTTP/1.1: a
connection each is faster on long ways, and frames of HTTP/2 taken apart in Python cost too much.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin

import httpx2
import msgspec

from lcrt.errors import LcrtError
from lcrt.registry.auth import Authenticator
from lcrt.registry.failure import Refused, Transient
from lcrt.registry.options import Options
from lcrt.registry.remote import host_of, place

_N_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_ERROR_MAX = 1024
_KEPT_OPEN = 32
_READ_SIZE = 1 << 18
_SET_UP = "the server is set up wrongly: ask whoever runs it"
_SIMPLE = "SyncStream"
"""The library's name for a connection whose socket, with TLS or without, gives the bytes themselves."""

_SLOW = 20
"""How much longer than usual an answer may take that needs work."""

_CERTIFICATE = "certificate verify failed"
_PLAIN = ("wrong version number", "record layer failure", "unexpected eof")

Body = bytes | Callable[[], Iterable[bytes]] | None


class Call(msgspec.Struct, frozen=True):
    """One request. With a ``repository`` a challenge of that registry is answered; ``headers`` hold what is ours.

    ``is_bulk``: the answer is large. ``follow``: go where a redirect points. ``is_slow``: the other side has to
    work before it can answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: Body = None
    repository: str = ""
    is_bulk: bool = False
    follow: bool = True
    is_slow: bool = False


class Reply:
    """An answer whose body has not been read. ``abort`` may be called from another thread."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.url)
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives; Transient when it breaks off or stalls."""
        with _network(self.url):
            yield from self._response.iter_raw()

    @property
    def can_receive(self) -> bool:
        """Whether ``receive`` works: the body has a known length and comes over a connection without layers."""
        headers = self.headers
        is_simple = "content-length" in headers and "transfer-encoding" not in headers
        return is_simple and type(self._response.extensions.get("network_stream")).__name__ == _SIMPLE

    def receive(self, buffer: memoryview) -> int:
        """Take the next bytes from the connection itself: the library copies every byte four times on its way.

        Only after a chunk of ``chunks`` and not beyond the body's length; the connection is of no use afterwards.
        Transient when it breaks off or stalls.
        """
        host = host_of(self.url)
        try:
            n_bytes: int = self._socket.recv_into(buffer)
        except TimeoutError as error:
            raise Transient(f"{host} sent nothing for too long") from error
        except OSError as error:
            raise Transient(f"the connection to {host} broke: {error.strerror}") from error
        if not n_bytes:
            raise Transient(f"the connection to {host} ended early")
        return n_bytes

    def read(self, limit: int) -> bytes:
        """Read the whole body; Refused when it is longer than ``limit`` bytes."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if len(data) > limit:
                raise Refused(
                    f"{host_of(self.url)} answered with more than {limit} bytes", self.status, "is it a registry?"
                )
        return bytes(data)

    def check(self) -> None:
        """Raise for a status that says no."""
        if self.status < 400:
            return
        if self.status == 404:
            raise Refused(
                "file does not exist", self.status, f"check the name and the tag, as {host_of(self.url)} has them"
            )
        text = _beginning(self).decode("utf-8", "replace").strip()
        message = f"{self.status}: {text or self._response.reason_phrase}"
        if self.status in _TRANSIENT:
            raise Transient(message, retry_after=_seconds(self.headers.get("retry-after", "")))
        raise Refused(message, self.status, _advice(self.status, host_of(self.url)))

    def check_done(self) -> None:
        """Raise unless what was asked for is done: where a redirect is not followed it has done nothing."""
        self.check()
        if not 200 <= self.status < 300:
            raise Refused(f"{host_of(self.url)} answers {self.status} and does nothing", self.status, _SET_UP)

    def abort(self) -> None:
        """Cut the connection: whoever reads from it gets an error at once."""
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @property
    def _socket(self) -> Any:
        stream = self._response.extensions.get("network_stream")
        return stream.get_extra_info("socket") if stream is not None else None


class Client:
    """One per daemon, used by any thread. Proxies come from the environment."""

    def __init__(self, options: Options, authenticator: Callable[[Callable[[Call], bytes]], Authenticator]) -> None:
        timeout = httpx2.Timeout(options.stall, connect=options.connect_timeout, pool=None)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=_KEPT_OPEN)
        headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
        self._small = httpx2.Client(http2=True, timeout=timeout, limits=limits, headers=headers)
        self._bulk = httpx2.Client(timeout=timeout, limits=limits, headers=headers)
        for client in (self._small, self._bulk):
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._slow = httpx2.Timeout(_SLOW * options.stall, connect=options.connect_timeout, pool=None)
        self._offline = options.offline
        self._auth = authenticator(self._fetch_token)
        self._auth_lock = threading.Lock()

    def close(self) -> None:
        """Close connections that are kept open."""
        self._small.close()
        self._bulk.close()

    @contextlib.contextmanager
    def open(self, call: Call) -> Iterator[Reply]:
        """Send a request; the answer's status is the caller's to judge. LcrtError when there is no answer."""
        if self._offline:
            raise LcrtError(f"offline: {host_of(call.url)} is not asked", "unset LCRT_OFFLINE, or drop --offline")
        response = self._follow(call)
        try:
            yield Reply(response)
        finally:
            response.close()

    def _follow(self, call: Call) -> httpx2.Response:
        """Send, and go where redirects point; what is secret stays with the host that was asked first."""
        here = call
        for _ in range(_N_REDIRECTS + 1):
            response = self._send_authorised(here) if here.repository else self._send(here, None)
            location = response.headers.get("location")
            if not call.follow or response.status_code not in _REDIRECTS or not location:
                return response
            response.close()
            here = redirected(call, resolved(here.url, location))
        raise Refused(f"{host_of(call.url)}: maximum redirects exceeded ({_N_REDIRECTS})", hint=_SET_UP)

    def _send_authorised(self, call: Call) -> httpx2.Response:
        """Send with what the registry is known to want; answer its challenge once."""
        used = self._auth.known(call.url, call.repository)
        response = self._send(call, used)
        if response.status_code != 401:
            return response
        challenges = response.headers.get_list("www-authenticate")
        response.close()
        with self._auth_lock:
            fresh = self._auth.answer(call.url, call.repository, challenges, used)
        response = self._send(call, fresh)
        if response.status_code == 401:
            response.close()
            raise Refused("unauthorized: access denied", 401, "`docker login` stores a name and password that are used")
        return response

    def _send(self, call: Call, authorization: str | None) -> httpx2.Response:
        client = self._bulk if call.is_bulk else self._small
        headers = dict(call.headers) | ({"Authorization": authorization} if authorization else {})
        content = call.body() if callable(call.body) else call.body
        with _network(call.url):
            timeout = self._slow if call.is_slow else httpx2.USE_CLIENT_DEFAULT
            request = client.build_request(call.method, call.url, headers=headers, content=content, timeout=timeout)
            response = client.send(request, stream=True, auth=None)
        if call.is_bulk:
            _read_widely(response)
        return response

    def _fetch_token(self, call: Call) -> bytes:
        """Ask a token service; it may not send us elsewhere."""
        response = self._send(call, None)
        try:
            reply = Reply(response)
            if reply.status in _REDIRECTS:
                raise Refused(f"{host_of(call.url)} redirects a request for a token", reply.status, _SET_UP)
            reply.check()
            return reply.read(1 << 20)
        finally:
            response.close()


def _read_widely(response: httpx2.Response) -> None:
    """Let a connection hand over more at once than the library asks for: a quarter of the turns for the same bytes."""
    stream = response.extensions.get("network_stream")
    if stream is not None:
        read = type(stream).read
        stream.read = lambda n_bytes, timeout=None: read(stream, max(n_bytes, _READ_SIZE), timeout)


def resolved(url: str, location: str) -> str:
    """The address that an answer from ``url`` names, perhaps not in full; Refused when it is none."""
    try:
        target = urljoin(url, location)
        place(target)
    except ValueError as error:
        raise _no_address(url, location) from error
    return target


def redirected(first: Call, target: str) -> Call:
    """The request as the next host gets it: without secrets unless it is the host that was asked first.

    Refused when the way would lose its TLS, or is none.
    """
    try:
        scheme = place(target)[0]
    except ValueError as error:
        raise _no_address(first.url, target) from error
    if scheme not in ("http", "https"):
        raise _no_address(first.url, target)
    if place(first.url)[0] == "https" and scheme == "http":
        raise Refused(
            f"{host_of(first.url)} redirects to a place without TLS: {host_of(target)}",
            hint="nothing is sent or fetched that way: a server behind a proxy must be told that it speaks https",
        )
    if place(target) == place(first.url):
        return msgspec.structs.replace(first, url=target)
    headers = {name: value for name, value in first.headers.items() if name.lower() != "authorization"}
    return msgspec.structs.replace(first, url=target, headers=headers, repository="")


def _no_address(url: str, target: str) -> Refused:
    return Refused(f"{host_of(url)} redirects to what is no web address: {target}", hint=_SET_UP)


def _beginning(reply: Reply) -> bytes:
    data = b""
    for chunk in reply.chunks():
        data += chunk
        if len(data) >= _ERROR_MAX:
            break
    return data[:_ERROR_MAX]


def _advice(status: int, host: str) -> str:
    if status in (401, 403):
        return f"is one allowed to do that there? `docker login {host}` stores a name and password that are used"
    if status == 413:
        return "a server on the way takes no bodies of that size: its limit must be raised"
    return f"that is what {host} answers: whoever runs it can tell more"


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() else 0.0


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
    """Turn the library's errors into ours."""
    host = host_of(url)
    try:
        yield
    except httpx2.ProxyError as error:
        raise Transient(f"the proxy on the way to {host} refused: {error}", "see HTTPS_PROXY and NO_PROXY") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise _no_connection(host, error) from error
    except httpx2.TimeoutException as error:
        raise Transient(f"{host} sent nothing for too long") from error
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError) as error:
        raise Refused(f"cannot ask {host}: {error}", hint="check the name of the model and its host") from error
    except (httpx2.TransportError, httpx2.StreamError) as error:
        raise Transient(f"the connection to {host} broke: {_reason(error)}") from error


def _no_connection(host: str, error: Exception) -> LcrtError:
    text = _reason(error)
    lowered = text.lower()
    if _CERTIFICATE in lowered:
        return Refused(f"cannot trust {host}: {text}", hint="SSL_CERT_FILE can name the certificate of its authority")
    if any(mark in lowered for mark in _PLAIN):
        return Refused(f"{host} does not speak TLS: {text}", hint="`--insecure` asks it without")
    return Transient(
        f"cannot connect to {host}: {text}", "is this machine online? HTTPS_PROXY can name a proxy, see also NO_PROXY"
    )


def _reason(error: Exception) -> str:
    """The innermost cause in words."""
    cause: BaseException | None = error
    text = ""
    while cause is not None:
        own = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
        text = own or text
        cause = cause.__cause__ or cause.__context__
    return text.strip() or type(error).__name__
