import pytest

from tests.server.wire import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/api/nothing", 404, b"404 page not found"),
        ("GET", "/v1/images/generations", 404, b"404 page not found"),
        ("POST", "/api/tags", 405, b"405 method not allowed"),
        ("POST", "/api/delete", 405, b"405 method not allowed"),
        ("HEAD", "/api/ps", 405, b""),
        ("GET", "/api/blobs/x", 405, b"405 method not allowed"),
        ("POST", "/api/tags/", 404, b"404 page not found"),
    ],
)
async def test_what_is_not_there_is_said_in_plain_text(
    client: Client, method: str, path: str, status: int, text: bytes
) -> None:
    reply = await client.send(method, path)
    assert (reply.status, reply.kind, reply.body) == (status, "text/plain", text)


@pytest.mark.parametrize(
    ("method", "path", "status", "to"),
    [
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("POST", "/api/show/?a=1", 307, "/api/show?a=1"),
        ("GET", "//api/tags?x=%2F", 307, "/api/tags?x=%2F"),
        ("POST", "/api/./x/../chat", 307, "/api/chat"),
        ("GET", "/v1/models/", 301, "/v1/models"),
        ("GET", "//evil.example/%0d%0ax:1", 307, "/evil.example/%0D%0Ax:1"),
    ],
)
async def test_an_unclean_path_is_led_to_the_clean_one(
    client: Client, method: str, path: str, status: int, to: str
) -> None:
    reply = await client.send(method, path)
    assert (reply.status, reply.headers["location"]) == (status, to)


async def test_a_redirect_says_where_in_html(client: Client) -> None:
    reply = await client.get("//api/tags")
    assert reply.body == b'<a href="/api/tags">Temporary Redirect</a>.\n\n'
    assert reply.kind == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
async def test_head_has_the_headers_of_get_and_no_body(client: Client, path: str) -> None:
    head, get = await client.send("HEAD", path), await client.get(path)
    assert (head.status, head.body, head.kind) == (200, b"", get.kind)


async def test_an_encoded_path_is_the_same_path(client: Client) -> None:
    assert (await client.get("/api/%74ags")).status == 200
