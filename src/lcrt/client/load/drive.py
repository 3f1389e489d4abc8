"""Keeps a number of requests under way until all of a plan have been answered."""

import asyncio
import ssl
import time
from collections.abc import Iterator

from lcrt.client.load.connection import Connection, Record, StaleConnection
from lcrt.client.load.events import reader
from lcrt.client.load.plan import Plan, request
from lcrt.client.load.report import Report, report


async def drive(plan: Plan) -> Report:
    """Send the requests of a plan; failures are part of the report."""
    indices = iter(range(plan.n_requests))
    began, cpu = time.perf_counter(), time.process_time()
    workers = [_work(plan, indices) for _ in range(min(plan.concurrency, plan.n_requests))]
    records = [record for some in await asyncio.gather(*workers) for record in some]
    return report(records, time.perf_counter() - began, time.process_time() - cpu)


async def _work(plan: Plan, indices: Iterator[int]) -> list[Record]:
    """Send one request after another over one connection while it holds."""
    sender = _Sender(plan)
    records: list[Record] = []
    for index in indices:
        data = request(plan, index)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(plan.timeout):
                records.append(await sender.send(data))
        except OSError as error:
            # TimeoutError is one of them.
            records.append(_failed(started, str(error) or type(error).__name__))
            sender.close()
    sender.close()
    return records


class _Sender:
    """One connection, made anew when the server closed it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._connection: Connection | None = None

    async def send(self, data: bytes) -> Record:
        if self._connection and self._connection.is_open:
            try:
                return await self._connection.ask(data)
            except StaleConnection:
                pass
        self._connection = await _connect(self._plan)
        return await self._connection.ask(data)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


async def _connect(plan: Plan) -> Connection:
    read = reader(plan.api)
    tls = ssl.create_default_context() if plan.address.scheme == "https" else None
    make = asyncio.get_running_loop().create_connection
    _, connection = await make(lambda: Connection(read), plan.address.host, plan.address.port, ssl=tls)
    return connection


def _failed(started: float, error: str) -> Record:
    record = Record(started)
    record.ended = time.perf_counter()
    record.error = error
    return record
