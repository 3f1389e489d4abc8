import msgspec
import pytest

from tests.server import fake
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

ASKED = {"model": "tiny", "prompt": "def f(", "suffix": "return x", "stream": False}
PATHS = ["/api/generate", "/v1/completions"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_vocabulary_without_the_tokens_cannot_fill_a_gap(client: Client, models: FakeModels, path: str) -> None:
    reply = await client.post(path, ASKED)
    assert reply.status == 400
    assert b"registry.ollama.ai/library/tiny:latest does not support insert" in reply.body
    assert (models.requests, models.released) == ([], 1)


@pytest.mark.parametrize("path", PATHS)
async def test_both_sides_of_a_gap_reach_the_runner_as_they_are(
    client: Client, models: FakeModels, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "INFO", msgspec.structs.replace(fake.INFO, can_fill=True))
    assert (await client.post(path, ASKED)).status == 200
    [request] = models.requests
    assert (request.prompt, request.suffix, request.messages) == ("def f(", "return x", ())
