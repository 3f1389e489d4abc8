import json

import pytest

from lcrt.core.event import Failure, Finish, Text, Usage
from lcrt.core.message import Message, ToolCall
from lcrt.core.options import Options, Sampling
from tests.server.fake import FakeModels
from tests.server.wire import Client, Reply

pytestmark = pytest.mark.anyio

PATH = "/v1/chat/completions"
ASK: dict[str, object] = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
EFFORTS = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'


def chunks(reply: Reply) -> list[dict[str, object]]:
    *events, done = reply.events
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


async def test_a_stream_names_the_role_once_and_finishes_with_an_empty_delta(client: Client) -> None:
    reply = await client.post(PATH, ASK | {"stream": True})
    assert (reply.status, reply.kind) == (200, "text/event-stream")
    found = chunks(reply)
    assert [chunk["choices"] for chunk in found] == [
        [{"index": 0, "delta": {"role": "assistant", "content": "The"}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": " sky"}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": " blue"}, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "length"}],
    ]
    assert {(c["id"], c["object"], c["created"], c["model"]) for c in found} == {
        (found[0]["id"], "chat.completion.chunk", found[0]["created"], "tiny")
    }


async def test_counts_come_in_a_chunk_of_their_own_when_asked_for(client: Client) -> None:
    found = chunks(await client.post(PATH, ASK | {"stream": True, "stream_options": {"include_usage": True}}))
    assert (found[-1]["choices"], found[-1]["usage"]) == (
        [],
        {"prompt_tokens": 15, "completion_tokens": 3, "total_tokens": 18},
    )
    assert not any("usage" in chunk for chunk in found[:-1])


async def test_without_a_stream_the_text_is_one(client: Client) -> None:
    reply = await client.post(PATH, ASK)
    assert (reply.kind, reply.body[-1:]) == ("application/json", b"\n")
    found = reply.json
    assert found["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "The sky blue"}, "finish_reason": "length"}
    ]
    assert (found["object"], found["usage"]) == (
        "chat.completion",
        {"prompt_tokens": 15, "completion_tokens": 3, "total_tokens": 18},
    )


async def test_an_answer_without_text_still_names_its_role(client: Client, models: FakeModels) -> None:
    models.answer = [(Finish("stop", Usage()),)]
    found = chunks(await client.post(PATH, ASK | {"stream": True}))
    assert [c["choices"][0]["delta"] for c in found] == [{"role": "assistant", "content": ""}, {}]  # type: ignore[index]


async def test_text_held_back_to_the_end_is_sent(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("a"),), (Finish("stop", Usage(), text="b"),)]
    found = chunks(await client.post(PATH, ASK | {"stream": True}))
    assert [c["choices"][0]["delta"].get("content") for c in found] == ["a", "b", None]  # type: ignore[index]


async def test_thinking_is_called_reasoning_and_has_chunks_of_its_own(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("a", thinking="hm"),), (Finish("stop", Usage()),)]
    found = chunks(await client.post(PATH, ASK | {"stream": True}))
    assert [c["choices"][0]["delta"] for c in found] == [  # type: ignore[index]
        {"role": "assistant", "content": "", "reasoning": "hm"},
        {"content": "a"},
        {},
    ]
    whole = (await client.post(PATH, ASK)).json
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "a", "reasoning": "hm"}  # type: ignore[index]


@pytest.mark.parametrize("stream", [True, False])
async def test_logprobs_stand_in_the_choice(client: Client, models: FakeModels, stream: bool) -> None:
    reply = await client.post(PATH, ASK | {"logprobs": True, "top_logprobs": 2, "stream": stream})
    first = (chunks(reply)[0] if stream else reply.json)["choices"][0]  # type: ignore[index]
    entry = first["logprobs"]["content"][0]
    assert (entry["token"], entry["bytes"], len(entry["top_logprobs"])) == ("The", [84, 104, 101], 2)
    assert models.requests[0].n_logprobs == 2


@pytest.mark.parametrize(
    ("body", "status", "kind", "text"),
    [
        ({"messages": None, "model": ""}, 400, "invalid_request_error", "[] is too short - 'messages'"),
        ({"messages": [{"content": 5}]}, 400, "invalid_request_error", "invalid message content type: float64"),
        ({"messages": [{"role": "user"}]}, 400, "invalid_request_error", "invalid message content type: <nil>"),
        ({"messages": [{"content": [{"type": "x"}]}]}, 400, "invalid_request_error", "invalid message format"),
        (
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]},
            400,
            "invalid_request_error",
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        (
            {"messages": [{"content": [{"type": "image_url", "image_url": "data:image/gif;base64,AA=="}]}]},
            400,
            "invalid_request_error",
            "invalid image input",
        ),
        (
            {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": "{bad"}}]}]},
            400,
            "invalid_request_error",
            "invalid tool call arguments",
        ),
        (
            {"reasoning_effort": "hard"},
            400,
            "invalid_request_error",
            f'invalid reasoning value: "hard" (must be {EFFORTS})',
        ),
        ({"model": ""}, 400, "invalid_request_error", "model is required"),
        ({"model": "nope"}, 404, "not_found_error", "model 'nope' not found"),
        ({"reasoning": {"effort": "low"}}, 400, "invalid_request_error", '"tiny" does not support thinking'),
        (
            {"tools": [{"type": "function"}]},
            400,
            "invalid_request_error",
            "registry.ollama.ai/library/tiny:latest does not support tools",
        ),
        ({"model": "embedder"}, 400, "invalid_request_error", '"embedder" does not support chat'),
        ({"n": 2}, 400, "invalid_request_error", "n > 1 is not available, send the request several times"),
        ({"logit_bias": {"x": 1}}, 400, "invalid_request_error", "logit_bias must map token numbers to numbers"),
        (
            {"guided_regex": "a", "lark": "start: A"},
            400,
            "invalid_request_error",
            "an answer can have one form only, and these were given: lark, guided_regex",
        ),
    ],
)
async def test_errors_have_the_shape_of_the_dialect(
    client: Client, body: dict[str, object], status: int, kind: str, text: str
) -> None:
    reply = await client.post(PATH, ASK | body)
    assert reply.json == {"error": {"message": text, "type": kind, "param": None, "code": None}}
    assert reply.status == status


@pytest.mark.parametrize(("body", "text"), [(b"", "EOF"), (b"{bad", None)])
async def test_a_body_that_is_no_request_gets_a_400(client: Client, body: bytes, text: str | None) -> None:
    reply = await client.send("POST", PATH, body)
    message = reply.json["error"]["message"]  # type: ignore[index]
    assert (reply.status, message) == (400, text or message)


async def test_a_failure_in_the_stream_is_an_error_event_and_there_is_no_end(
    client: Client, models: FakeModels
) -> None:
    models.answer = [(Text("a"),), (Finish("error", Usage(), error=Failure("RunnerDied", "gone")),)]
    events = (await client.post(PATH, ASK | {"stream": True})).events
    assert json.loads(events[-1]) == {"error": {"message": "gone", "type": "api_error", "param": None, "code": None}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Options()),
        ({"max_tokens": 5}, Options(num_predict=5)),
        ({"ignore_eos": True}, Options(ignore_eos=True)),
        ({"max_tokens": 5, "max_completion_tokens": 3}, Options(num_predict=3)),
        ({"stop": "a"}, Options(stop=("a",))),
        ({"stop": ["a", 5]}, Options(stop=("a",))),
        ({"stop": 5}, Options()),
    ],
)
async def test_limits_and_stops_reach_the_engine(
    client: Client, models: FakeModels, body: dict[str, object], expected: Options
) -> None:
    await client.post(PATH, ASK | body)
    got = models.requests[0].options
    for name in ("num_predict", "stop", "ignore_eos"):
        assert getattr(got, name) == getattr(expected, name)


async def test_temperature_and_top_p_are_one_unless_given(client: Client, models: FakeModels) -> None:
    await client.post(PATH, ASK)
    given = {"temperature": 0, "top_p": 0.5, "seed": 7, "frequency_penalty": 0.25, "presence_penalty": 0.75}
    await client.post(PATH, ASK | given)
    plain, full = (request.options.sampling for request in models.requests)
    assert plain == Sampling(temperature=1.0, top_p=1.0)
    assert full == Sampling(7, 0.0, top_p=0.5, frequency_penalty=0.25, presence_penalty=0.75)


async def test_messages_arrive_whole(client: Client, models: FakeModels) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b":1}'}}
    answer = {"role": "Assistant", "content": None, "tool_calls": [call], "reasoning": "t", "refusal": None}
    result = {"role": "tool", "content": "r", "tool_call_id": "c1"}
    await client.post(PATH, ASK | {"messages": [{"role": "developer", "content": parts}, answer, result]})
    assert models.requests[0].messages == (
        Message("developer", "a\nb"),
        Message("assistant", "", "t", tool_calls=(ToolCall("f", '{"b":1}', "c1"),)),
        Message("tool", "r", tool_name="f", tool_call_id="c1"),
    )


async def test_tokens_that_were_not_computed_again_are_told(client: Client, models: FakeModels) -> None:
    usage = Usage(n_prompt=15, n_cached=12, n_generated=1, n_sampled=1)
    models.answer = [(Text("hi"), Finish("stop", usage))]
    found = (await client.post(PATH, ASK)).json
    assert found["usage"] == {
        "prompt_tokens": 15,
        "completion_tokens": 1,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 12},
    }


async def test_tokens_that_were_guessed_are_told(client: Client, models: FakeModels) -> None:
    usage = Usage(n_prompt=15, n_generated=9, n_sampled=9, n_drafted=7, n_accepted=5)
    models.answer = [(Text("hi"), Finish("stop", usage))]
    found = (await client.post(PATH, ASK)).json["usage"]
    details = {"accepted_prediction_tokens": 5, "rejected_prediction_tokens": 2}
    assert isinstance(found, dict)
    assert found["completion_tokens_details"] == details
