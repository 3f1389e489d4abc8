import pytest

from tests.server.wire import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/v1/responses", {"model": "nope", "input": "x"}, 404, "model 'nope' not found"),
        ("/v1/responses", {"model": "tiny", "reasoning": {"effort": "low"}}, 400, '"tiny" does not support thinking'),
        (
            "/v1/responses",
            {"model": "tiny", "tools": [{}]},
            400,
            "registry.ollama.ai/library/tiny:latest does not support tools",
        ),
        (
            "/v1/responses",
            {"model": "tiny", "input": "x"},
            501,
            "the responses endpoint is not available in this version, use /v1/chat/completions",
        ),
        ("/v1/audio/transcriptions", {}, 501, "audio transcription is not available in this version"),
    ],
)
async def test_requests_are_checked_and_the_rest_is_said_to_be_missing(
    client: Client, path: str, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(path, body)
    assert (reply.status, reply.json["error"]["message"]) == (status, text)  # type: ignore[index]
