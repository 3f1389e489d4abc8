import re

import pytest

from tests.server.wire import Client

pytestmark = pytest.mark.anyio

ASK: dict[str, object] = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("body", "status", "kind", "text"),
    [
        ({"model": "", "max_tokens": 0}, 400, "invalid_request_error", "model is required"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens is required and must be positive"),
        ({"messages": []}, 400, "invalid_request_error", "messages is required"),
        ({"model": "nope"}, 404, "not_found_error", "model 'nope' not found"),
        (
            {"tools": [{"name": "f"}]},
            400,
            "invalid_request_error",
            "registry.ollama.ai/library/tiny:latest does not support tools",
        ),
        (
            {},
            501,
            "api_error",
            "the messages endpoint is not available in this version, use /v1/chat/completions",
        ),
    ],
)
async def test_errors_have_the_shape_of_the_dialect(
    client: Client, body: dict[str, object], status: int, kind: str, text: str
) -> None:
    reply = await client.post("/v1/messages?beta=true", ASK | body)
    assert (reply.status, reply.json["error"]) == (status, {"type": kind, "message": text})
    assert reply.json["type"] == "error"
    assert re.fullmatch(r"req_[0-9a-f]{24}", str(reply.json["request_id"]))
