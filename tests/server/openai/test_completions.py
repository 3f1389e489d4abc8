import json
from typing import Any

import pytest

from lcrt.core.message import Message
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

PATH = "/v1/completions"
ASK: dict[str, object] = {"model": "tiny", "prompt": "x"}
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
COUNTS = {"prompt_tokens": 15, "completion_tokens": 3, "total_tokens": 18}


async def test_without_a_stream_the_text_is_one(client: Client, models: FakeModels) -> None:
    found = (await client.post(PATH, ASK)).json
    assert found["choices"] == [{"text": "The sky blue", "index": 0, "finish_reason": "length"}]
    assert (found["object"], found["usage"]) == ("text_completion", COUNTS)
    assert models.requests[0].messages == (Message("user", "x"),)


@pytest.mark.parametrize(("options", "zero", "last"), [({}, None, []), ({"include_usage": True}, ZERO, [[]])])
async def test_a_stream_carries_zero_counts_only_when_counts_are_asked_for(
    client: Client, options: dict[str, object], zero: dict[str, int] | None, last: list[list[object]]
) -> None:
    reply = await client.post(PATH, ASK | {"stream": True, "stream_options": options})
    *events, done = reply.events
    found = [json.loads(event) for event in events]
    texts = [(c["choices"][0]["text"], c["choices"][0]["finish_reason"]) for c in found[:4]]
    assert texts == [("The", None), (" sky", None), (" blue", None), ("", "length")]
    assert {json.dumps(c.get("usage")) for c in found[:4]} == {json.dumps(zero)}
    assert ([c["choices"] for c in found[4:]], done) == (last, "[DONE]")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_prompt_only_loads(client: Client, models: FakeModels, stream: bool) -> None:
    reply = await client.post(PATH, {"model": "tiny", "prompt": "", "stream": stream})
    found: dict[str, Any] = json.loads(reply.events[0]) if stream else reply.json
    assert (found["choices"][0]["finish_reason"], found["usage"]) == ("load", ZERO)
    assert (len(models.acquired), models.requests) == (1, [])


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"stop": [5]}, 400, "invalid type for 'stop' field: float64"),
        ({"model": "nope"}, 404, "model 'nope' not found"),
        ({"model": "embedder"}, 400, '"embedder" does not support generate'),
        ({"prompt": ["x"]}, 400, None),
    ],
)
async def test_errors_have_the_shape_of_the_dialect(
    client: Client, body: dict[str, object], status: int, text: str | None
) -> None:
    reply = await client.post(PATH, ASK | body)
    message = reply.json["error"]["message"]  # type: ignore[index]
    assert (reply.status, message) == (status, text or message)


@pytest.mark.parametrize(("given", "used"), [({}, 1.0), ({"top_p": 0}, 1.0), ({"top_p": 0.5}, 0.5)])
async def test_top_p_is_off_when_it_is_zero_or_not_given(
    client: Client, models: FakeModels, given: dict[str, object], used: float
) -> None:
    await client.post(PATH, ASK | given)
    assert models.requests[0].options.sampling.top_p == used
