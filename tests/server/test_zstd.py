import pytest
import zstandard

from lcrt.errors import InvalidRequest
from lcrt.server.zstd import BODY_MAX, unpack
from tests.server.wire import Client

ASK = b'{"model":"nope","messages":[{"role":"user","content":"x"}],"prompt":"x"}'
ZSTD = {"content-encoding": "zstd"}
PACKED = zstandard.compress(ASK)


def test_a_body_comes_out_as_it_was() -> None:
    assert unpack(PACKED) == ASK


@pytest.mark.parametrize("data", [b"{}", zstandard.compress(bytes(BODY_MAX + 1))])
def test_what_cannot_be_unpacked_or_grows_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="failed to decompress zstd body"):
        unpack(data)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_the_endpoints_of_openai_take_compressed_bodies(client: Client, path: str) -> None:
    assert (await client.send("POST", path, PACKED, ZSTD)).status == 404
    reply = await client.send("POST", path, b"junk", ZSTD)
    assert (reply.status, b"failed to decompress zstd body" in reply.body) == (400, True)


@pytest.mark.anyio
async def test_the_native_endpoints_take_them_as_they_are(client: Client) -> None:
    reply = await client.send("POST", "/api/chat", PACKED, ZSTD)
    assert (reply.status, b"malformed" in reply.body) == (400, True)
