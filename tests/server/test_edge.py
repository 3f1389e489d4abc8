import asyncio
import re

import h11
import pytest

from lcrt.server.edge import INBOX_MAX, Inbox, RefusedError, check
from lcrt.server.limits import Limits
from lcrt.server.services import Services
from tests.server.fake import FakeModels
from tests.server.wire import Client, daemon

pytestmark = pytest.mark.anyio

HOST = b"host: localhost\r\n"
VERSION = b"GET /api/version HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = VERSION.replace(HOST, HOST + b"connection: close\r\n")


def statuses(answer: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+)", answer)


async def test_a_body_announced_twice_is_refused_and_what_hides_behind_it_is_not_answered(client: Client) -> None:
    head = b"POST /api/show HTTP/1.1\r\n" + HOST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
    assert statuses(await client.raw(head + b"0\r\n\r\n" + VERSION)) == [b"400"]


async def test_two_lengths_that_differ_are_refused(client: Client) -> None:
    head = b"POST /api/show HTTP/1.1\r\n" + HOST + b"content-length: 4\r\ncontent-length: 5\r\n\r\n"
    assert statuses(await client.raw(head + b"{}  ")) == [b"400"]


async def test_chunks_in_an_old_version_are_refused(client: Client) -> None:
    head = b"POST /api/show HTTP/1.0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"
    assert statuses(await client.raw(head + b"0\r\n\r\n")) == [b"400"]


async def test_http_2_is_not_spoken(client: Client) -> None:
    answer = await client.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert statuses(answer) == [b"505"]


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_an_upgrade_is_ignored(client: Client, upgrade: bytes) -> None:
    ask = b"GET /api/version HTTP/1.1\r\n" + HOST + b"connection: upgrade, http2-settings\r\nupgrade: " + upgrade
    answer = await client.raw(
        ask + b"\r\nhttp2-settings: AAMAAABk\r\n\r\n" + VERSION.replace(HOST, HOST + b"connection: close\r\n")
    )
    assert statuses(answer) == [b"200", b"200"]


async def test_an_absolute_target_is_its_path_and_its_host(client: Client) -> None:
    good = await client.raw(
        b"GET http://localhost/api/version HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    )
    evil = await client.raw(b"GET http://evil.example/api/version HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
    assert (statuses(good), statuses(evil)) == ([b"200"], [b"403"])


@pytest.mark.parametrize("target", [b"*", b"localhost:80", b"ftp://localhost/", b"http://me@localhost/", b"http://[/"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    request = h11.Request(method="GET", target=target, headers=[("host", "localhost")])
    with pytest.raises(RefusedError) as refused:
        check(request, Limits())
    assert refused.value.status == 400


async def test_too_many_headers_are_refused(client: Client) -> None:
    many = b"".join(b"x-%d: 1\r\n" % i for i in range(200))
    assert statuses(await client.raw(b"GET / HTTP/1.1\r\n" + HOST + many + b"\r\n")) == [b"431"]


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
async def test_headers_that_are_too_long_are_refused(client: Client, end: bytes) -> None:
    long = b"x: " + b"a" * (Limits().max_header + 1)
    assert statuses(await client.raw(b"GET / HTTP/1.1\r\n" + HOST + long + end)) == [b"431"]


async def test_garbage_gets_a_400(client: Client) -> None:
    assert statuses(await client.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")) == [b"400"]


async def test_slow_headers_get_a_408(services: Services) -> None:
    async with daemon(services, Limits(header_timeout=0.05)) as client:
        assert statuses(await client.raw(b"GET / HT")) == [b"408"]


async def test_a_connection_that_says_nothing_is_closed(services: Services) -> None:
    async with daemon(services, Limits(header_timeout=0.05)) as client:
        assert await client.raw(b"") == b""


async def test_an_idle_connection_is_closed_after_its_answer(services: Services) -> None:
    async with daemon(services, Limits(idle_timeout=0.05)) as client:
        assert statuses(await client.raw(VERSION)) == [b"200"]


async def test_a_body_that_stalls_gets_a_408(services: Services) -> None:
    async with daemon(services, Limits(body_timeout=0.05)) as client:
        answer = await client.raw(b"POST /api/show HTTP/1.1\r\n" + HOST + b"content-length: 10\r\n\r\n{")
    assert statuses(answer) == [b"408"]
    assert b'{"error":"the request body stopped arriving"}' in answer


@pytest.mark.parametrize("length", [b"content-length: 100\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n64\r\n"])
async def test_a_body_over_the_limit_gets_a_413(services: Services, length: bytes) -> None:
    async with daemon(services, Limits(max_body=50, idle_timeout=0.05, body_timeout=0.05)) as client:
        answer = await client.raw(b"POST /api/show HTTP/1.1\r\n" + HOST + length + b"a" * 100)
    assert statuses(answer) == [b"413"]


async def test_a_body_that_is_announced_too_large_is_not_waited_for(services: Services) -> None:
    async with daemon(services, Limits(max_body=50, body_timeout=3600)) as client:
        answer = await client.raw(b"POST /api/show HTTP/1.1\r\n" + HOST + b"content-length: 99999999\r\n\r\n{")
    assert statuses(answer) == [b"413"]


async def test_an_answer_that_leaves_a_body_unread_does_not_keep_the_connection(services: Services) -> None:
    async with daemon(services, Limits(max_body=50)) as client:
        size = 32 << 20
        reader, writer = await client.connect()
        writer.write(b"POST /api/show HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % size)
        writer.write(b"a" * size)
        assert statuses(await reader.read()) == [b"413"]
        writer.close()
        await client.listener.close(grace=20.0)


async def test_an_inbox_lets_go_of_who_waits_when_the_client_is_gone() -> None:
    inbox = Inbox()
    for _ in range(INBOX_MAX):
        await inbox.put({"type": "http.request"})
    stuck = asyncio.create_task(inbox.put({"type": "http.request"}))
    await asyncio.sleep(0)
    assert not stuck.done()
    await inbox.put({"type": "http.disconnect"})
    await stuck
    assert await inbox.get() == await inbox.get() == {"type": "http.disconnect"}


async def test_requests_in_one_go_are_answered_in_order(client: Client) -> None:
    last = b"GET /nothing HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
    assert statuses(await client.raw(VERSION * 20 + last)) == [b"200"] * 20 + [b"404"]


async def test_a_client_that_leaves_is_noticed_also_behind_a_second_request(client: Client, models: FakeModels) -> None:
    models.go.clear()
    body = b'{"model":"tiny","prompt":"x","stream":false}'
    _, writer = await client.connect()
    ask = b"POST /api/generate HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    writer.write(ask + VERSION)
    await models.sent.wait()
    writer.close()
    await models.idle.wait()
    assert (models.running, models.released) == (0, 1)


async def test_what_waits_behind_a_request_is_bounded(client: Client, models: FakeModels) -> None:
    models.go.clear()
    body = b'{"model":"tiny","prompt":"x","stream":false}'
    reader, writer = await client.connect()
    writer.write(b"POST /api/generate HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    await models.sent.wait()
    more = b"POST /api/show HTTP/1.1\r\n" + HOST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % (8 << 20)
    writer.write(more + b" " * (8 << 20))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.2)
    models.go.set()
    assert statuses(await reader.read()) == [b"200", b"400"]
    writer.close()


async def test_more_connections_than_allowed_get_a_503(services: Services) -> None:
    async with daemon(services, Limits(max_connections=1)) as client:
        _, first = await client.connect()
        first.write(VERSION)
        assert statuses(await client.raw(VERSION)) == [b"503"]
        first.close()
