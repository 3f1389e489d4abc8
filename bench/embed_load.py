"""Texts to embed, and a client that sends them over connections it keeps: one asyncio protocol, no library."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from lcrt.client.load.plan import _WORDS as WORDS


def texts(n: int, words: tuple[int, int], seed: int) -> list[str]:
    """Distinct texts of ordinary words; their number is even between both bounds."""
    numbers = random.Random(seed)
    return [" ".join([f"{seed}.{i}", *numbers.choices(WORDS, k=numbers.randint(*words) - 1)]) for i in range(n)]


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._missing = -1
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            head, _, data = data.partition(b"\r\n\r\n")
            status, *headers = head.lower().split(b"\r\n")
            if status.split()[1] != b"200":
                raise RuntimeError(f"{head.decode()}\n{data.decode()}")
            self._missing = next(int(line[15:]) for line in headers if line.startswith(b"content-length:"))
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing == 0 and self._answer is not None:
            self._missing = -1
            self._answer.set_result(b"".join(self._parts))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(str(exc or "closed")))

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent: some servers hang up after a hundred."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> bytes:
        """Send a request whole and return the body of the answer."""
        self._parts = []
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def _request(url: str, inputs: Sequence[str]) -> bytes:
    place = urlsplit(url)
    body = json.dumps({"model": "m", "input": inputs if len(inputs) > 1 else inputs[0]}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _drive(url: str, requests: Sequence[bytes], concurrency: int) -> tuple[float, list[bytes]]:
    place = urlsplit(url)
    loop = asyncio.get_running_loop()
    answers: list[bytes] = [b""] * len(requests)
    numbers = iter(range(len(requests)))

    async def connect() -> _Connection:
        return (await loop.create_connection(_Connection, place.hostname, place.port))[1]

    async def one() -> None:
        connection = await connect()
        for number in numbers:
            while not answers[number]:
                if not connection.is_open:
                    connection = await connect()
                with contextlib.suppress(ConnectionResetError):
                    answers[number] = await connection.ask(requests[number])
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(min(concurrency, len(requests)))))
    return time.perf_counter() - started, answers


def embed(url: str, inputs: Sequence[str], *, per_request: int, concurrency: int) -> tuple[float, list[bytes]]:
    """Embed all inputs; the seconds it took, and the bodies of the answers, which are not read within that time."""
    cuts = range(0, len(inputs), per_request)
    requests = [_request(url, inputs[at : at + per_request]) for at in cuts]
    return asyncio.run(_drive(url, requests, concurrency))


def vectors(answers: Sequence[bytes]) -> list[list[float]]:
    """The vectors in the answers, in the order of the inputs."""
    rows: list[list[float]] = []
    for answer in answers:
        rows += [row["embedding"] for row in sorted(json.loads(answer)["data"], key=lambda row: row["index"])]
    return rows


def n_tokens(answers: Sequence[bytes]) -> int:
    """Tokens that the server counted."""
    return sum(int(json.loads(answer)["usage"]["prompt_tokens"]) for answer in answers)
